//! What no client can do without.

use koios_pki::{EncryptionScheme, PrivateKey, PrivateKeyPem, SignatureScheme};
use koios_testkit::TestCertificate;

use crate::Result;
use crate::client::median;
use crate::ours::cpu_time;

/// The CPU time in ms of what RSA costs a client with this key: two signatures, the answer to OPN decrypted, which takes
/// two blocks with a server key of the same length, two verifications, the request of OPN encrypted.
pub(crate) fn floor(certificate: &TestCertificate) -> Result<f64> {
    let key = PrivateKeyPem::from_bytes(certificate.key_pem().as_bytes().to_vec());
    let key = PrivateKey::from_pem(&key)?.into_rsa().ok_or("an RSA key")?;
    let (scheme, hash) = (SignatureScheme::RsaPkcs1Sha256, EncryptionScheme::OaepSha1);
    let public = key.public_key();
    let request = vec![0xA5; certificate.der().len() + 2 * key.modulus_len()];
    let message = b"what is signed".as_slice();
    let signature = key.sign(scheme, message)?;
    let block = public.encrypt_block(hash, &[0xA5; 100])?;
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let cpu = cpu_time();
        for _ in 0..2 {
            std::hint::black_box(key.sign(scheme, message)?);
            std::hint::black_box(key.decrypt_block(hash, &block)?);
            std::hint::black_box(public.verify(scheme, message, &signature));
        }
        for part in request.chunks(public.max_plain_len(hash)) {
            std::hint::black_box(public.encrypt_block(hash, part)?);
        }
        times.push((cpu_time() - cpu).as_secs_f64() * 1e3);
    }
    median(times).ok_or_else(|| "no run".into())
}

const RUNS: usize = 51;
