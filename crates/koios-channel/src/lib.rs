//! The client's side of OPC UA's secure conversation (OPC 10000-6 §6.7 and §7.1): HELLO, secure channel, session, and
//! the few services a connection test and a supervised device need.
//!
//! Two layers. [`Conversation`] is the protocol without socket and clock: bytes in, bytes and [`Event`]s out. Around it
//! lies a thin tokio driver whose types are the steps; each takes a [`Deadline`], and none can be skipped:
//!
//! ```text
//! resolve ─► connect ─► Connection ─hello─► Transport ─open─► SecureChannel ─create_session─► CreatedSession
//!                                                              │  ▲                             │        │
//!                                                 get_endpoints└──┘                          activate  close
//!                                                              │                                ▼
//!                                                            close                           Session
//!                                                                          read_server_status │  ▲ renew
//!                                                                                             └──┘
//!                                                                                             close
//! ```
//!
//! ```text
//!             hello              open                    create_session          activate_session
//! Connected ───────► (awaited) ─────► (awaited) ─► open ────────────────► created ────────────────► active
//!                        │ Acknowledged   │ ChannelOpened   SessionCreated         SessionActivated
//!                        ▼                ▼
//!        any failure but a service's refusal ─► over      renew: ChannelRenewed, at any time while open
//! ```
//!
//! Beside what the drawing shows there are [`SecureChannel::find_servers`], [`Session::browse`] and [`Session::call`]
//! ([`NodeId`], [`Value`]), and [`Session::request_service`] for any other service, whose fields the caller encodes.
//!
//! A session outlives its connection: [`Session::detach`] keeps it, [`SecureChannel::attach_session`] goes on with it on
//! another channel (OPC 10000-4 §5.7.3).
//!
//! A [`Connection`] comes from [`connect`], which tries a host's addresses as RFC 8305 says, from a [`ReverseListener`], to
//! which servers connect by themselves (OPC 10000-6 §7.1.3), or from any stream ([`Connection::from_stream`]: a proxy, a
//! tunnel, a test).
//!
//! # Policies
//!
//! `Basic256Sha256`, `Aes128_Sha256_RsaOaep`, `Aes256_Sha256_RsaPss` with RSA keys; `ECC_nistP256` and `ECC_nistP384` with
//! keys on curves (OPC 10000-6 §6.8: ephemeral keys for each token, HKDF, user secrets sealed and signed), and their
//! forms with AES-GCM and ChaCha20-Poly1305 (1.05.07: chained keys, sessions bound to their channel). They are proven
//! against servers of other stacks, but for `ECC_nistP384_AesGcm` and `ECC_nistP384_ChaChaPoly`: no server offers them
//! here, and their chunks are compared with vectors of another implementation.
//!
//! The deprecated `Basic128Rsa15` and `Basic256`, for PLCs that know nothing else, come with the feature
//! `deprecated-policies` only ([`is_spoken`]). They take RSA keys from 1024 bits and never a password
//! ([`Fault::PasswordUnderDeprecatedPolicy`]); the crate page of `koios-pki` says what their RSA costs.
//!
//! # What is trusted
//!
//! This crate judges no certificate and stores nothing. The caller says who the server must be
//! ([`Security::Secure::server_certificate`]), having judged that certificate; the crate makes sure that who answers
//! holds its key. From [`SecureChannel`] on, and with security, what the server says is the server's word. Everything
//! else is anybody's:
//!
//! | what | worth |
//! | --- | --- |
//! | the answer to `GetEndpoints` without security | nothing until [`SessionRequest::expected_endpoints`] was compared with the session's list |
//! | an ERR message, an `OpenSecureChannel` refused without security ([`Fault::Err`], [`Fault::UnsecuredFault`]) | a hint |
//! | an unsecured success to a secured request | refused ([`Fault::Downgraded`]) |
//! | anything on a channel without security | a hint |
//!
//! A password leaves only encrypted to the server's certificate, or inside a channel that encrypts
//! ([`Fault::PasswordWouldBeInClear`]). What comes in is bounded by [`Limits`], and nothing is allocated or waited for
//! on the word of a length alone.
//!
//! Every failure is a [`ChannelError`]: at which stage, in whose mouth, with which code and text, and what happened.
//!
//! # Examples
//!
//! `examples/connect_and_read.rs` goes all the way to a value; `examples/core_without_io.rs` shows the protocol without
//! a socket.
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
pub use conversation::{Conversation, DetachedSession, Event, Timing};
mod endpoint;
pub use endpoint::{ApplicationDescription, ApplicationType, Endpoint, UserTokenKind, UserTokenPolicy};
mod endpoint_url;
pub use endpoint_url::{EndpointUrl, EndpointUrlError};
mod error;
pub use error::{ChannelError, Fault, Origin, Stage};
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod kdf;
mod key_share;
mod keys;
pub use keys::{CertificateSending, ClientIdentity, IdentityError, Security};
mod limits;
pub use limits::Limits;
mod net;
pub use net::{
    Connection, CreatedSession, Deadline, Incoming, ReverseConnection, ReverseListener, SecureChannel,
    Session, Transport, connect, resolve, resolve_allowed,
};
mod node_id;
pub use node_id::NodeId;
mod policy;
pub use policy::is_spoken;
mod random;
pub use random::{RandomSource, SystemRandom};
mod reference;
pub use reference::{NodeClass, Reference};
mod server_status;
pub use server_status::{BuildInfo, ServerState, ServerStatus};
mod service;
pub use service::{ServiceAnswer, ServiceRequest};
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
mod value;
pub use value::Value;
mod wire;

pub use koios_pki::{KeyAlgorithm, SecurityMode, SecurityPolicy};
