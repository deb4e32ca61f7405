//! Signatures on certificates, the weak ones of old certificates included: verified here, judged in findings.

use std::sync::OnceLock;

use aws_lc_rs::signature::{
    self, ParsedPublicKey, RsaPssSaltLength, UnparsedPublicKey, VerificationAlgorithm,
};
use der::asn1::ObjectIdentifier;

use crate::{Curve, KeyAlgorithm, SignatureAlgorithm};

/// OpenSSL's name of a signature algorithm, else its dotted object identifier.
pub(crate) fn name(oid: ObjectIdentifier) -> String {
    SignatureAlgorithm::of(oid).to_string()
}

/// A key parsed for the signature algorithm it was first used with, since a key rarely has two.
#[derive(Default)]
pub(super) struct CachedKey(OnceLock<(ObjectIdentifier, Option<ParsedPublicKey>)>);

/// Whether `signature` over `message` verifies; false for algorithms that cannot be verified.
pub(super) fn verifies(
    algorithm: ObjectIdentifier,
    key_algorithm: &KeyAlgorithm,
    key_oid: ObjectIdentifier,
    key: &[u8],
    cache: &CachedKey,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let candidates = candidates(algorithm, key_algorithm, key_oid);
    if let [candidate] = candidates {
        let parsed = || (algorithm, ParsedPublicKey::new(*candidate, key).ok());
        let (cached_for, parsed) = cache.0.get_or_init(parsed);
        if *cached_for == algorithm {
            return parsed.as_ref().is_some_and(|key| key.verify_sig(message, signature).is_ok());
        }
    }
    candidates
        .iter()
        .any(|candidate| UnparsedPublicKey::new(*candidate, key).verify(message, signature).is_ok())
}

/// The verifications that fit: one, save for PSS, whose hash and salt length stand in parameters that we need not
/// read, because the signature verifies under one of them only.
fn candidates(
    algorithm: ObjectIdentifier,
    key_algorithm: &KeyAlgorithm,
    key_oid: ObjectIdentifier,
) -> &'static [&'static dyn VerificationAlgorithm] {
    match key_algorithm {
        KeyAlgorithm::Rsa { .. } => match algorithm {
            SHA1_WITH_RSA => &[&signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY],
            SHA256_WITH_RSA => &[&signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY],
            SHA384_WITH_RSA => &[&signature::RSA_PKCS1_2048_8192_SHA384],
            SHA512_WITH_RSA => &[&signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY],
            RSASSA_PSS => &[
                &signature::RSA_PSS_2048_8192_SHA256,
                &signature::RSA_PSS_2048_8192_SHA384,
                &signature::RSA_PSS_2048_8192_SHA512,
                // OpenSSL's default.
                &const { signature::RSA_PSS_2048_8192_SHA256.with_pss_salt_length(RsaPssSaltLength::Max) },
                &const { signature::RSA_PSS_2048_8192_SHA384.with_pss_salt_length(RsaPssSaltLength::Max) },
                &const { signature::RSA_PSS_2048_8192_SHA512.with_pss_salt_length(RsaPssSaltLength::Max) },
            ],
            _ => &[],
        },
        KeyAlgorithm::Ec { curve: Curve::P256 } => match algorithm {
            ECDSA_WITH_SHA256 => &[&signature::ECDSA_P256_SHA256_ASN1],
            ECDSA_WITH_SHA384 => &[&signature::ECDSA_P256_SHA384_ASN1],
            _ => &[],
        },
        KeyAlgorithm::Ec { curve: Curve::P384 } => match algorithm {
            ECDSA_WITH_SHA256 => &[&signature::ECDSA_P384_SHA256_ASN1],
            ECDSA_WITH_SHA384 => &[&signature::ECDSA_P384_SHA384_ASN1],
            _ => &[],
        },
        KeyAlgorithm::Other { .. } if algorithm == ED25519 && key_oid == ED25519 => &[&signature::ED25519],
        KeyAlgorithm::Other { .. } => &[],
    }
}

const SHA1_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.5");
const RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const SHA256_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const SHA384_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const SHA512_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_WITH_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
