//! Security modes and policies on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How messages are protected.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SecurityMode {
    None,
    Sign,
    SignAndEncrypt,
}

impl From<koios_pki::SecurityMode> for SecurityMode {
    fn from(mode: koios_pki::SecurityMode) -> Self {
        match mode {
            koios_pki::SecurityMode::None => Self::None,
            koios_pki::SecurityMode::Sign => Self::Sign,
            koios_pki::SecurityMode::SignAndEncrypt => Self::SignAndEncrypt,
        }
    }
}

impl From<SecurityMode> for koios_pki::SecurityMode {
    fn from(mode: SecurityMode) -> Self {
        match mode {
            SecurityMode::None => Self::None,
            SecurityMode::Sign => Self::Sign,
            SecurityMode::SignAndEncrypt => Self::SignAndEncrypt,
        }
    }
}

/// The security policy that a device asks for, by the name in its URI; `auto` takes the best one offered.
///
/// `Basic256` and `Basic128Rsa15` are deprecated: `auto` never takes them, and they need a build and a setting of their own.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, ToSchema)]
pub(crate) enum SecurityPolicyChoice {
    #[serde(rename = "auto")]
    Auto,
    Basic256Sha256,
    #[serde(rename = "Aes128_Sha256_RsaOaep")]
    Aes128Sha256RsaOaep,
    #[serde(rename = "Aes256_Sha256_RsaPss")]
    Aes256Sha256RsaPss,
    #[serde(rename = "ECC_nistP256")]
    EccNistP256,
    #[serde(rename = "ECC_nistP384")]
    EccNistP384,
    #[serde(rename = "ECC_nistP256_AesGcm")]
    EccNistP256AesGcm,
    #[serde(rename = "ECC_nistP256_ChaChaPoly")]
    EccNistP256ChaChaPoly,
    #[serde(rename = "ECC_nistP384_AesGcm")]
    EccNistP384AesGcm,
    #[serde(rename = "ECC_nistP384_ChaChaPoly")]
    EccNistP384ChaChaPoly,
    Basic256,
    Basic128Rsa15,
}

impl SecurityPolicyChoice {
    /// The policy, `None` for the best one offered.
    pub(crate) fn policy(self) -> Option<koios_pki::SecurityPolicy> {
        use koios_pki::SecurityPolicy;
        Some(match self {
            Self::Auto => return None,
            Self::Basic256Sha256 => SecurityPolicy::Basic256Sha256,
            Self::Aes128Sha256RsaOaep => SecurityPolicy::Aes128Sha256RsaOaep,
            Self::Aes256Sha256RsaPss => SecurityPolicy::Aes256Sha256RsaPss,
            Self::EccNistP256 => SecurityPolicy::EccNistP256,
            Self::EccNistP384 => SecurityPolicy::EccNistP384,
            Self::EccNistP256AesGcm => SecurityPolicy::EccNistP256AesGcm,
            Self::EccNistP256ChaChaPoly => SecurityPolicy::EccNistP256ChaChaPoly,
            Self::EccNistP384AesGcm => SecurityPolicy::EccNistP384AesGcm,
            Self::EccNistP384ChaChaPoly => SecurityPolicy::EccNistP384ChaChaPoly,
            Self::Basic256 => SecurityPolicy::Basic256,
            Self::Basic128Rsa15 => SecurityPolicy::Basic128Rsa15,
        })
    }

    /// The name on the wire of what a device asks for.
    pub(crate) fn name_of(policy: Option<koios_pki::SecurityPolicy>) -> &'static str {
        policy.map_or("auto", koios_pki::SecurityPolicy::name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_can_be_asked_for_again() {
        let all = koios_pki::SecurityPolicy::SECURE.into_iter().chain(koios_pki::SecurityPolicy::DEPRECATED);
        for policy in all.map(Some).chain([None]) {
            let name = SecurityPolicyChoice::name_of(policy);
            let choice: SecurityPolicyChoice = serde_json::from_value(name.into()).unwrap();
            assert_eq!(choice.policy(), policy, "{name}");
        }
    }
}
