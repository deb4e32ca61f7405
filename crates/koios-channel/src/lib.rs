//! OPC UA client secure conversation.
#![forbid(unsafe_code)]
#![warn(
    missing_docs,
    missing_debug_implementations,
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod channel;
mod chunk;
mod conversation;
pub use conversation::{Conversation, Event, Timing};
mod endpoint;
pub use endpoint::{ApplicationDescription, Endpoint, UserTokenKind, UserTokenPolicy};
mod endpoint_url;
pub use endpoint_url::{EndpointUrl, EndpointUrlError};
mod error;
pub use error::{ChannelError, Fault, Origin, Stage};
mod kdf;
mod keys;
pub use keys::{CertificateSending, ClientIdentity, IdentityError, Security};
mod limits;
pub use limits::Limits;
mod net;
pub use net::{Connection, CreatedSession, Deadline, SecureChannel, Session, Transport, connect, resolve};
mod policy;
mod random;
pub use random::{RandomSource, SystemRandom};
mod server_status;
pub use server_status::{BuildInfo, ServerState, ServerStatus};
mod service;
mod session;
mod session_request;
pub use session_request::SessionRequest;
mod status_code;
pub use status_code::StatusCode;
mod symmetric;
#[cfg(test)]
mod test_server;
mod user;
pub use user::UserIdentity;
mod wire;

pub use koios_pki::{SecurityMode, SecurityPolicy};
