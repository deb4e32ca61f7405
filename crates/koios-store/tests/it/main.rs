//! What the store promises, seen through its public API and by looking at the directory.

mod access;
mod attempt_evidence;
mod audit;
mod backups;
mod beside;
mod certificates;
#[cfg(unix)]
mod check;
mod crash;
mod database;
mod devices;
mod encryption;
mod events;
mod expiry;
mod fixture;
mod listing;
mod listing_model;
mod model;
mod opening;
mod released_format;
mod replacement;
mod requests;
mod server_certificates;
#[cfg(unix)]
mod tls_identity;
mod tokens;
mod trust_lists;
