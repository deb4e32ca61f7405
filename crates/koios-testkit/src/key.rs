//! Keys, shared between tests.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, RsaKeySize};

use crate::openssl;

/// A key of a test: cheap to clone, worthless as a secret.
#[derive(Clone)]
pub struct TestKey(Arc<Inner>);

struct Inner {
    bits: u32,
    pem: String,
    /// Absent for keys that only the `openssl` program can use (under 2048 bits).
    pair: Option<KeyPair>,
}

impl TestKey {
    /// The key of this size and slot, the same one each time within a process.
    ///
    /// Certificates that must have different keys use different slots. 2048, 3072 and 4096 bits are made by aws-lc,
    /// other sizes by `openssl`; 256 and 384 bits are keys on P-256 and P-384.
    pub fn shared(bits: u32, slot: u32) -> Self {
        let cell = {
            let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(pool.entry((bits, slot)).or_default())
        };
        // Outside the pool's lock: keys of different slots are made at the same time.
        cell.get_or_init(|| Self::generate(bits)).clone()
    }

    /// A new key that nobody else has.
    pub fn generate(bits: u32) -> Self {
        let size = match bits {
            2048 => RsaKeySize::_2048,
            3072 => RsaKeySize::_3072,
            4096 => RsaKeySize::_4096,
            256 | 384 => return Self::generate_on_curve(bits),
            _ => return Self::generate_with_openssl(bits),
        };
        let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size).expect("aws-lc makes RSA keys");
        Self(Arc::new(Inner { bits, pem: pair.serialize_pem(), pair: Some(pair) }))
    }

    fn generate_on_curve(bits: u32) -> Self {
        let algorithm = if bits == 256 { &PKCS_ECDSA_P256_SHA256 } else { &PKCS_ECDSA_P384_SHA384 };
        let pair = KeyPair::generate_for(algorithm).expect("aws-lc makes keys on curves");
        Self(Arc::new(Inner { bits, pem: pair.serialize_pem(), pair: Some(pair) }))
    }

    /// The RSA key in this PKCS#8 PEM.
    ///
    /// # Panics
    ///
    /// When it is none, or has fewer than 2048 bits.
    pub fn from_pem(pem: &str) -> Self {
        let pair = KeyPair::from_pem(pem).expect("a private key in PKCS#8 PEM");
        let key = aws_lc_rs::rsa::KeyPair::from_pkcs8(pair.serialized_der()).expect("an RSA key");
        let bits = u32::try_from(key.public_modulus_len() * 8).expect("a key of a sensible size");
        Self(Arc::new(Inner { bits, pem: pem.to_owned(), pair: Some(pair) }))
    }

    /// The size of the modulus, or of the curve, in bits.
    pub fn bits(&self) -> u32 {
        self.0.bits
    }

    /// The private key as PKCS#8 PEM (`BEGIN PRIVATE KEY`).
    pub fn pem(&self) -> &str {
        &self.0.pem
    }

    pub(crate) fn pair(&self) -> Option<&KeyPair> {
        self.0.pair.as_ref()
    }

    fn generate_with_openssl(bits: u32) -> Self {
        let size = format!("rsa_keygen_bits:{bits}");
        let pem = openssl::run(&["genpkey", "-algorithm", "RSA", "-pkeyopt", &size], b"");
        let pem = String::from_utf8(pem).expect("PEM is text");
        Self(Arc::new(Inner { bits, pem, pair: None }))
    }
}

impl fmt::Debug for TestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TestKey({} bits)", self.0.bits)
    }
}

type Pool = HashMap<(u32, u32), Arc<OnceLock<TestKey>>>;

static POOL: LazyLock<Mutex<Pool>> = LazyLock::new(Mutex::default);
