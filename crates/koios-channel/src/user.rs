use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::ClientIdentity;

/// Who the session is for.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum UserIdentity {
    /// Nobody in particular.
    #[default]
    Anonymous,
    /// A name and a password; the password never travels in clear text.
    UserName {
        /// The name.
        user_name: String,
        /// The password, erased from memory when dropped.
        password: Zeroizing<String>,
    },
    /// The holder of a certificate, which need not be the application's; its key signs the server's nonce
    /// (OPC 10000-4 §7.40.3).
    Certificate(Arc<ClientIdentity>),
}

impl fmt::Debug for UserIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("Anonymous"),
            Self::UserName { user_name, password: _ } => {
                f.debug_struct("UserName").field("user_name", user_name).finish_non_exhaustive()
            }
            Self::Certificate(identity) => f.debug_tuple("Certificate").field(identity).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_show_the_password() {
        let user = UserIdentity::UserName {
            user_name: "op".to_owned(),
            password: Zeroizing::new("hunter2".to_owned()),
        };
        let shown = format!("{user:?}");
        assert!(shown.contains("op") && !shown.contains("hunter2"), "{shown}");
    }
}
