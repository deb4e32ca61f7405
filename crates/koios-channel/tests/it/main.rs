//! The public API against real servers, odd peers and hostile ones.

mod chains;
mod client;
mod connections;
#[cfg(feature = "deprecated-policies")]
mod deprecated;
mod hostile;
mod odd_peers;
mod services;
mod sessions;
mod users;
