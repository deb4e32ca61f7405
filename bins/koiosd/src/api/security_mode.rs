//! The security mode on the wire.

use koios_pki::SecurityMode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How messages between Koios and a server are protected.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SecurityMode)]
pub(crate) enum SecurityModeBody {
    None,
    Sign,
    SignAndEncrypt,
}

impl From<SecurityMode> for SecurityModeBody {
    fn from(mode: SecurityMode) -> Self {
        match mode {
            SecurityMode::None => Self::None,
            SecurityMode::Sign => Self::Sign,
            SecurityMode::SignAndEncrypt => Self::SignAndEncrypt,
        }
    }
}
