//! What no client can do without.

use std::fs;

use koios_pki::{
    CertificateChain, EncryptionScheme, PrivateKey, PrivateKeyPem, RsaPrivateKey, SignatureScheme,
};

use crate::Result;
use crate::scene::Own;
use crate::spent::Stopwatch;

/// What RSA costs a client with this key: two signatures, the answer to OPN decrypted, which takes two blocks with a server
/// key of the same length, two verifications, the request of OPN encrypted.
pub(crate) struct Floor {
    key: RsaPrivateKey,
    request: Vec<u8>,
    signature: Vec<u8>,
    block: Vec<u8>,
}

impl Floor {
    pub(crate) fn of(own: &Own) -> Result<Self> {
        let certificate = CertificateChain::from_pem(&fs::read(&own.certificate)?)?.to_der_blob();
        let key = PrivateKeyPem::from_bytes(fs::read(&own.private_key)?);
        let key = PrivateKey::from_pem(&key)?.into_rsa().ok_or("an RSA key")?;
        Ok(Self {
            request: vec![0xA5; certificate.len() + 2 * key.modulus_len()],
            signature: key.sign(SIGNATURE, MESSAGE)?,
            block: key.public_key().encrypt_block(ENCRYPTION, &[0xA5; 100])?,
            key,
        })
    }

    /// The CPU time in ms of each of so many turns.
    pub(crate) fn measure(&self, turns: usize) -> Result<Vec<f64>> {
        (0..turns).map(|_| self.turn()).collect()
    }

    fn turn(&self) -> Result<f64> {
        let public = self.key.public_key();
        let watch = Stopwatch::start();
        for _ in 0..2 {
            std::hint::black_box(self.key.sign(SIGNATURE, MESSAGE)?);
            std::hint::black_box(self.key.decrypt_block(ENCRYPTION, &self.block)?);
            std::hint::black_box(public.verify(SIGNATURE, MESSAGE, &self.signature));
        }
        for part in self.request.chunks(public.max_plain_len(ENCRYPTION)) {
            std::hint::black_box(public.encrypt_block(ENCRYPTION, part)?);
        }
        Ok(watch.spent().cpu_ms)
    }
}

const SIGNATURE: SignatureScheme = SignatureScheme::RsaPkcs1Sha256;
const ENCRYPTION: EncryptionScheme = EncryptionScheme::OaepSha1;
const MESSAGE: &[u8] = b"what is signed";
