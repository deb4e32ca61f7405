//! Public keys: of RSA and on the curves of OPC UA, each with what can be done with it.

mod ec;
mod rsa;

use std::fmt;

use der::asn1::ObjectIdentifier;

pub use self::ec::EcPublicKey;
pub use self::rsa::{EncryptionScheme, RsaPublicKey, SignatureScheme};
pub(crate) use self::rsa::{LEAST_RSA_BITS, pkcs1_bits};

/// A public key that a security policy takes: RSA of 2048 to 4096 bits, or on P-256 or P-384.
///
/// Cheap to clone; parsed once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Rsa(RsaPublicKey),
    Ec(EcPublicKey),
}

impl PublicKey {
    pub(crate) const fn from_rsa(key: RsaPublicKey) -> Self {
        Self(Kind::Rsa(key))
    }

    pub(crate) const fn from_ec(key: EcPublicKey) -> Self {
        Self(Kind::Ec(key))
    }

    /// What kind of key it is.
    pub fn algorithm(&self) -> KeyAlgorithm {
        match &self.0 {
            Kind::Rsa(key) => KeyAlgorithm::Rsa { bits: key.bits() },
            Kind::Ec(key) => KeyAlgorithm::Ec { curve: key.curve() },
        }
    }

    /// The key as one of RSA, if it is one.
    pub const fn as_rsa(&self) -> Option<&RsaPublicKey> {
        match &self.0 {
            Kind::Rsa(key) => Some(key),
            Kind::Ec(_) => None,
        }
    }

    /// The key as one on an elliptic curve, if it is one.
    pub const fn as_ec(&self) -> Option<&EcPublicKey> {
        match &self.0 {
            Kind::Rsa(_) => None,
            Kind::Ec(key) => Some(key),
        }
    }

    /// The `SubjectPublicKeyInfo` in DER (RFC 5280 §4.1.2.7).
    pub fn spki_der(&self) -> &[u8] {
        match &self.0 {
            Kind::Rsa(key) => key.spki_der(),
            Kind::Ec(key) => key.spki_der(),
        }
    }
}

/// The kind of public key a certificate holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyAlgorithm {
    /// RSA.
    Rsa {
        /// The length of the modulus.
        bits: u32,
    },
    /// A key on a curve that an OPC UA security policy names.
    Ec {
        /// The curve.
        curve: Curve,
    },
    /// Anything else.
    Other {
        /// The algorithm's object identifier, dotted; for elliptic curves that of the curve when it is named.
        oid: String,
    },
}

impl KeyAlgorithm {
    /// Whether a key of this kind is longer than one of `other`; keys of different kinds have no common measure.
    pub(crate) fn is_longer_than(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Rsa { bits }, Self::Rsa { bits: other }) => bits > other,
            (Self::Ec { curve }, Self::Ec { curve: other }) => curve.bits() > other.bits(),
            _ => false,
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(f, "RSA {bits}"),
            Self::Ec { curve } => curve.fmt(f),
            Self::Other { oid } => f.write_str(oid),
        }
    }
}

/// An elliptic curve of an OPC UA security policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
}

impl Curve {
    /// The length of the curve's field, in bits.
    pub const fn bits(self) -> u32 {
        match self {
            Self::P256 => 256,
            Self::P384 => 384,
        }
    }
}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
        })
    }
}

/// The curve that `oid` names, if it is one of ours (RFC 5480 §2.1.1.1).
pub(crate) fn curve_of(oid: ObjectIdentifier) -> Option<Curve> {
    [Curve::P256, Curve::P384].into_iter().find(|curve| oid_of(*curve) == oid)
}

const fn oid_of(curve: Curve) -> ObjectIdentifier {
    match curve {
        Curve::P256 => ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"),
        Curve::P384 => ObjectIdentifier::new_unwrap("1.3.132.0.34"),
    }
}

/// `id-ecPublicKey` (RFC 5480 §2.1.1).
pub(crate) const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
