//! Tests against real servers and odd peers.

mod chains;
mod client;
mod discovery;
#[cfg(feature = "store")]
mod earlier_attempts;
mod fresh_endpoints;
mod interop;
mod odd_peers;
mod relay;
mod server_certificates;
mod verdicts;

#[cfg(feature = "store")]
mod plans;
#[cfg(feature = "store")]
mod plant;
#[cfg(feature = "store")]
mod supervisor;
#[cfg(feature = "store")]
mod supervisor_changes;
#[cfg(feature = "store")]
mod supervisor_faults;
#[cfg(feature = "store")]
mod supervisor_load;
#[cfg(feature = "store")]
mod supervisor_tests;
#[cfg(feature = "store")]
mod trust_lists;
#[cfg(feature = "store")]
mod user_identities;
