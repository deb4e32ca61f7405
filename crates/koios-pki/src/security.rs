use std::fmt;
use std::ops::RangeInclusive;

use crate::{Curve, KeyAlgorithm};

/// How messages on a secure channel are protected (OPC 10000-4 §7.20).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "OPC 10000-4 defines these three and an invalid value")]
pub enum SecurityMode {
    /// No protection; no certificate is needed.
    None,
    /// Messages are signed.
    Sign,
    /// Messages are signed and encrypted.
    SignAndEncrypt,
}

impl SecurityMode {
    /// The mode's name as OPC UA spells it, for example `SignAndEncrypt`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Sign => "Sign",
            Self::SignAndEncrypt => "SignAndEncrypt",
        }
    }

    /// Whether a channel of this mode needs certificates on both sides.
    pub const fn needs_certificate(self) -> bool {
        !matches!(self, Self::None)
    }
}

impl fmt::Display for SecurityMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The algorithms of a secure channel (OPC 10000-7).
///
/// Only the policies this crate has keys for. Every build knows the deprecated ones by name, since what one build stored
/// another reads; only one with the feature `deprecated-policies` has their algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SecurityPolicy {
    /// No security.
    None,
    /// `Basic128Rsa15`, deprecated: PKCS#1 v1.5 signatures with SHA-1, PKCS#1 v1.5 encryption.
    Basic128Rsa15,
    /// `Basic256`, deprecated: PKCS#1 v1.5 signatures with SHA-1, OAEP with SHA-1.
    Basic256,
    /// `Basic256Sha256`: PKCS#1 v1.5 signatures, OAEP with SHA-1.
    Basic256Sha256,
    /// `Aes128_Sha256_RsaOaep`: PKCS#1 v1.5 signatures, OAEP with SHA-1.
    Aes128Sha256RsaOaep,
    /// `Aes256_Sha256_RsaPss`: PSS signatures, OAEP with SHA-256.
    Aes256Sha256RsaPss,
    /// `ECC_nistP256`: ECDSA, ephemeral keys on P-256, AES-128, HMAC-SHA-256.
    EccNistP256,
    /// `ECC_nistP384`: ECDSA, ephemeral keys on P-384, AES-256, HMAC-SHA-384.
    EccNistP384,
    /// `ECC_nistP256_AesGcm`: as `ECC_nistP256`, with AES-128-GCM, and sessions bound to their channel.
    EccNistP256AesGcm,
    /// `ECC_nistP256_ChaChaPoly`: the same with ChaCha20-Poly1305.
    EccNistP256ChaChaPoly,
    /// `ECC_nistP384_AesGcm`: as `ECC_nistP384`, with AES-256-GCM, and sessions bound to their channel.
    EccNistP384AesGcm,
    /// `ECC_nistP384_ChaChaPoly`: the same with ChaCha20-Poly1305.
    EccNistP384ChaChaPoly,
}

impl SecurityPolicy {
    /// The policies that protect anything and are not deprecated.
    pub const SECURE: [Self; 9] = [
        Self::Basic256Sha256,
        Self::Aes128Sha256RsaOaep,
        Self::Aes256Sha256RsaPss,
        Self::EccNistP256,
        Self::EccNistP384,
        Self::EccNistP256AesGcm,
        Self::EccNistP256ChaChaPoly,
        Self::EccNistP384AesGcm,
        Self::EccNistP384ChaChaPoly,
    ];

    /// The current policies for RSA keys.
    pub const RSA: [Self; 3] = [Self::Basic256Sha256, Self::Aes128Sha256RsaOaep, Self::Aes256Sha256RsaPss];

    /// The policies that OPC UA deprecates, for the SHA-1 in their signatures (OPC 10000-7); some old PLCs have no other.
    pub const DEPRECATED: [Self; 2] = [Self::Basic128Rsa15, Self::Basic256];

    /// The policy named `name` (the part of the URI after `#`), if it is one of ours.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::None]
            .into_iter()
            .chain(Self::SECURE)
            .chain(Self::DEPRECATED)
            .find(|policy| policy.name() == name)
    }

    /// The policy whose URI is `uri`, compared byte for byte, if it is one of ours.
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::from_name(uri.strip_prefix(URI_PREFIX)?)
    }

    /// The name in the policy's URI, for example `Aes128_Sha256_RsaOaep`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Basic128Rsa15 => "Basic128Rsa15",
            Self::Basic256 => "Basic256",
            Self::Basic256Sha256 => "Basic256Sha256",
            Self::Aes128Sha256RsaOaep => "Aes128_Sha256_RsaOaep",
            Self::Aes256Sha256RsaPss => "Aes256_Sha256_RsaPss",
            Self::EccNistP256 => "ECC_nistP256",
            Self::EccNistP384 => "ECC_nistP384",
            Self::EccNistP256AesGcm => "ECC_nistP256_AesGcm",
            Self::EccNistP256ChaChaPoly => "ECC_nistP256_ChaChaPoly",
            Self::EccNistP384AesGcm => "ECC_nistP384_AesGcm",
            Self::EccNistP384ChaChaPoly => "ECC_nistP384_ChaChaPoly",
        }
    }

    /// The URI that names the policy on the wire.
    pub const fn uri(self) -> &'static str {
        match self {
            Self::None => "http://opcfoundation.org/UA/SecurityPolicy#None",
            Self::Basic128Rsa15 => "http://opcfoundation.org/UA/SecurityPolicy#Basic128Rsa15",
            Self::Basic256 => "http://opcfoundation.org/UA/SecurityPolicy#Basic256",
            Self::Basic256Sha256 => "http://opcfoundation.org/UA/SecurityPolicy#Basic256Sha256",
            Self::Aes128Sha256RsaOaep => "http://opcfoundation.org/UA/SecurityPolicy#Aes128_Sha256_RsaOaep",
            Self::Aes256Sha256RsaPss => "http://opcfoundation.org/UA/SecurityPolicy#Aes256_Sha256_RsaPss",
            Self::EccNistP256 => "http://opcfoundation.org/UA/SecurityPolicy#ECC_nistP256",
            Self::EccNistP384 => "http://opcfoundation.org/UA/SecurityPolicy#ECC_nistP384",
            Self::EccNistP256AesGcm => "http://opcfoundation.org/UA/SecurityPolicy#ECC_nistP256_AesGcm",
            Self::EccNistP256ChaChaPoly => {
                "http://opcfoundation.org/UA/SecurityPolicy#ECC_nistP256_ChaChaPoly"
            }
            Self::EccNistP384AesGcm => "http://opcfoundation.org/UA/SecurityPolicy#ECC_nistP384_AesGcm",
            Self::EccNistP384ChaChaPoly => {
                "http://opcfoundation.org/UA/SecurityPolicy#ECC_nistP384_ChaChaPoly"
            }
        }
    }

    /// Whether it is one of [`SecurityPolicy::DEPRECATED`].
    pub const fn is_deprecated(self) -> bool {
        matches!(self, Self::Basic128Rsa15 | Self::Basic256)
    }

    /// The type that every certificate on a channel of this policy must be of; `None` for [`SecurityPolicy::None`].
    pub const fn certificate_type(self) -> Option<CertificateType> {
        match self {
            Self::None => None,
            Self::Basic128Rsa15 | Self::Basic256 => Some(CertificateType::RsaMin),
            Self::Basic256Sha256 | Self::Aes128Sha256RsaOaep | Self::Aes256Sha256RsaPss => {
                Some(CertificateType::RsaSha256)
            }
            Self::EccNistP256 | Self::EccNistP256AesGcm | Self::EccNistP256ChaChaPoly => {
                Some(CertificateType::EccNistP256)
            }
            Self::EccNistP384 | Self::EccNistP384AesGcm | Self::EccNistP384ChaChaPoly => {
                Some(CertificateType::EccNistP384)
            }
        }
    }

    /// Whether a channel of this policy may be secured with such a key; [`SecurityPolicy::None`] asks for none.
    pub const fn allows_key(self, key: &KeyAlgorithm) -> bool {
        match self.certificate_type() {
            Some(certificate_type) => certificate_type.allows_key(key),
            None => true,
        }
    }

    /// The RSA key lengths, in bits, the policy allows for every certificate of a chain (OPC 10000-6 §6.1).
    ///
    /// `None` for policies without RSA keys.
    pub const fn rsa_key_bits(self) -> Option<RangeInclusive<u32>> {
        match self {
            Self::Basic128Rsa15 | Self::Basic256 => Some(1024..=2048),
            Self::Basic256Sha256 | Self::Aes128Sha256RsaOaep | Self::Aes256Sha256RsaPss => Some(2048..=4096),
            _ => None,
        }
    }
}

impl fmt::Display for SecurityPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which keys and signatures a security policy takes (OPC 10000-12 §7.8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum CertificateType {
    /// RSA of 1024 or 2048 bits, signed with SHA-1 or SHA-256: the deprecated `Basic128Rsa15` and `Basic256`.
    RsaMin,
    /// RSA of 2048 to 4096 bits, signed with SHA-256: every current RSA policy.
    RsaSha256,
    /// ECDSA on P-256: `ECC_nistP256` and its forms, which take P-384 as well.
    EccNistP256,
    /// ECDSA on P-384: `ECC_nistP384` and its forms.
    EccNistP384,
}

impl CertificateType {
    /// The name of the `ObjectType` in OPC UA, without its suffix, for example `RsaSha256`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RsaMin => "RsaMin",
            Self::RsaSha256 => "RsaSha256",
            Self::EccNistP256 => "EccNistP256",
            Self::EccNistP384 => "EccNistP384",
        }
    }

    /// Whether a certificate of this type may have such a key.
    pub const fn allows_key(self, key: &KeyAlgorithm) -> bool {
        match (self, key) {
            (Self::RsaMin, KeyAlgorithm::Rsa { bits }) => *bits >= 1024 && *bits <= 2048,
            (Self::RsaSha256, KeyAlgorithm::Rsa { bits }) => *bits >= 2048 && *bits <= 4096,
            (Self::EccNistP256, KeyAlgorithm::Ec { curve: Curve::P256 | Curve::P384 })
            | (Self::EccNistP384, KeyAlgorithm::Ec { curve: Curve::P384 }) => true,
            _ => false,
        }
    }
}

impl fmt::Display for CertificateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

const URI_PREFIX: &str = "http://opcfoundation.org/UA/SecurityPolicy#";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_is_found_by_its_name_and_by_its_uri() {
        let secure = SecurityPolicy::SECURE.into_iter().chain(SecurityPolicy::DEPRECATED);
        for policy in [SecurityPolicy::None].into_iter().chain(secure) {
            assert_eq!(SecurityPolicy::from_name(policy.name()), Some(policy));
            assert_eq!(SecurityPolicy::from_uri(policy.uri()), Some(policy));
            assert_eq!(policy.uri(), format!("{URI_PREFIX}{policy}"));
        }
    }

    #[test]
    fn unknown_and_differently_spelled_policies_are_none_of_ours() {
        for name in ["", "basic256sha256", "Basic192Rsa15", "Aes128Sha256RsaOaep"] {
            assert_eq!(SecurityPolicy::from_name(name), None, "{name}");
        }
        assert_eq!(SecurityPolicy::from_uri("Basic256Sha256"), None);
    }

    #[test]
    fn deprecated_policies_are_apart_from_the_current_ones() {
        for policy in SecurityPolicy::DEPRECATED {
            assert!(policy.is_deprecated());
            assert_eq!(policy.certificate_type(), Some(CertificateType::RsaMin));
            assert_eq!(policy.rsa_key_bits(), Some(1024..=2048));
        }
        for policy in SecurityPolicy::SECURE.into_iter().chain([SecurityPolicy::None]) {
            assert!(!policy.is_deprecated(), "{policy}");
        }
    }

    #[test]
    fn rsa_policies_take_rsa_2048_to_4096_and_others_none() {
        assert_eq!(SecurityPolicy::None.rsa_key_bits(), None);
        for policy in SecurityPolicy::SECURE {
            let expected = SecurityPolicy::RSA.contains(&policy).then_some(2048..=4096);
            assert_eq!(policy.rsa_key_bits(), expected, "{policy}");
        }
    }

    #[test]
    fn each_certificate_type_takes_the_keys_of_its_policies_only() {
        let keys = [
            KeyAlgorithm::Rsa { bits: 1024 },
            KeyAlgorithm::Rsa { bits: 2048 },
            KeyAlgorithm::Rsa { bits: 4096 },
            KeyAlgorithm::Rsa { bits: 8192 },
            KeyAlgorithm::Ec { curve: Curve::P256 },
            KeyAlgorithm::Ec { curve: Curve::P384 },
            KeyAlgorithm::Other { oid: "1.3.101.112".to_owned() },
        ];
        let allowed = |kind: CertificateType| keys.each_ref().map(|key| kind.allows_key(key));
        assert_eq!(allowed(CertificateType::RsaMin), [true, true, false, false, false, false, false]);
        assert_eq!(allowed(CertificateType::RsaSha256), [false, true, true, false, false, false, false]);
        assert_eq!(allowed(CertificateType::EccNistP256), [false, false, false, false, true, true, false]);
        assert_eq!(allowed(CertificateType::EccNistP384), [false, false, false, false, false, true, false]);
        for policy in SecurityPolicy::RSA {
            assert_eq!(policy.certificate_type(), Some(CertificateType::RsaSha256));
        }
        for policy in SecurityPolicy::SECURE {
            let rsa = SecurityPolicy::RSA.contains(&policy);
            let p256 = policy.name().starts_with("ECC_nistP256");
            let allowed = [2048, 4096].map(|bits| policy.allows_key(&KeyAlgorithm::Rsa { bits }));
            assert_eq!(allowed, [rsa; 2], "{policy}");
            let on = |curve| policy.allows_key(&KeyAlgorithm::Ec { curve });
            assert_eq!([on(Curve::P256), on(Curve::P384)], [p256, !rsa], "{policy}");
        }
    }

    #[test]
    fn only_mode_none_does_without_a_certificate() {
        assert!(!SecurityMode::None.needs_certificate());
        assert!(SecurityMode::Sign.needs_certificate());
        assert!(SecurityMode::SignAndEncrypt.needs_certificate());
    }
}
