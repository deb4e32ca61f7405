//! The tokio driver: one TCP connection, one conversation, every wait under a deadline.

mod deadline;
pub use deadline::Deadline;
mod dial;
pub use dial::{Connection, connect, resolve, resolve_allowed};
mod link;
mod reverse;
pub use reverse::{Incoming, ReverseConnection, ReverseListener};
mod secure_channel;
pub use secure_channel::{SecureChannel, Transport};
mod session;
pub use session::{CreatedSession, Session};
