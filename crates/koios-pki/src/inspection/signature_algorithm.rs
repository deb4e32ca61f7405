use std::fmt;

use der::asn1::ObjectIdentifier;

use crate::Oid;

/// Declares the algorithms once: variant, object identifier, name in OpenSSL.
macro_rules! signature_algorithms {
    ($($variant:ident = $oid:literal, $name:literal;)+) => {
        /// How a certificate is signed; displayed as OpenSSL names it, else as the dotted object identifier.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum SignatureAlgorithm {
            $(#[doc = concat!("`", $name, "`, ", $oid, ".")] $variant,)+
            /// Any other.
            Other {
                /// Its object identifier.
                oid: Oid,
            },
        }

        impl SignatureAlgorithm {
            pub(crate) fn of(oid: ObjectIdentifier) -> Self {
                $(
                    if oid == const { ObjectIdentifier::new_unwrap($oid) } {
                        return Self::$variant;
                    }
                )+
                Self::Other { oid: Oid::new(oid) }
            }

            /// The name in OpenSSL, of those that have one here.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => Some($name),)+
                    Self::Other { .. } => None,
                }
            }
        }
    };
}

signature_algorithms! {
    RsaSha256 = "1.2.840.113549.1.1.11", "sha256WithRSAEncryption";
    RsaSha384 = "1.2.840.113549.1.1.12", "sha384WithRSAEncryption";
    RsaSha512 = "1.2.840.113549.1.1.13", "sha512WithRSAEncryption";
    RsaSha224 = "1.2.840.113549.1.1.14", "sha224WithRSAEncryption";
    RsaSha1 = "1.2.840.113549.1.1.5", "sha1WithRSAEncryption";
    RsaMd5 = "1.2.840.113549.1.1.4", "md5WithRSAEncryption";
    RsaMd2 = "1.2.840.113549.1.1.2", "md2WithRSAEncryption";
    RsaPss = "1.2.840.113549.1.1.10", "rsassaPss";
    EcdsaSha1 = "1.2.840.10045.4.1", "ecdsa-with-SHA1";
    EcdsaSha256 = "1.2.840.10045.4.3.2", "ecdsa-with-SHA256";
    EcdsaSha384 = "1.2.840.10045.4.3.3", "ecdsa-with-SHA384";
    EcdsaSha512 = "1.2.840.10045.4.3.4", "ecdsa-with-SHA512";
    Ed25519 = "1.3.101.112", "ED25519";
    Ed448 = "1.3.101.113", "ED448";
}

impl SignatureAlgorithm {
    /// Whether its hash is broken by collisions: MD2, MD5 or SHA-1.
    pub const fn is_broken(self) -> bool {
        matches!(self, Self::RsaMd2 | Self::RsaMd5 | Self::RsaSha1 | Self::EcdsaSha1)
    }
}

impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other { oid } => oid.fmt(f),
            known => f.write_str(known.name().unwrap_or_default()),
        }
    }
}
