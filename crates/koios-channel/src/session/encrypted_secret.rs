//! A user's secret under a policy on a curve: `EccEncryptedSecret` (OPC 10000-4 §7.40.2.5), encrypted with a key that two
//! ephemeral keys share and signed with our certificate's.

use aws_lc_rs::cipher::EncryptingKey;
use koios_pki::SecurityPolicy;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::ClientIdentity;
use crate::error::Fault;
use crate::kdf::KeyMaterial;
use crate::key_share::EphemeralKey;
use crate::policy::{AES_BLOCK_LEN, Algorithms, Asymmetric, Symmetric};
use crate::symmetric::{AEAD_TAG_LEN, AeadKey, CbcCipher};
use crate::wire::{put_byte_string, put_u32};

/// Whose secret it is, and for whom.
pub(super) struct Envelope<'a> {
    pub(super) policy: SecurityPolicy,
    pub(super) identity: &'a ClientIdentity,
    pub(super) server_nonce: &'a [u8],
    /// The server's ephemeral key, which its certificate has signed.
    pub(super) server_key: &'a [u8],
    pub(super) time: OffsetDateTime,
}

impl Envelope<'_> {
    pub(super) fn seal(&self, secret: &[u8]) -> Result<Vec<u8>, Fault> {
        let algorithms = Algorithms::of(self.policy).ok_or(Fault::NotReady)?;
        let Asymmetric::Ecc(curve) = algorithms.asymmetric else { return Err(Fault::NotReady) };
        let ours = EphemeralKey::generate(curve)?;
        let sender = ours.public().to_vec();
        let shared = ours.agree(self.server_key)?;
        let nonces = [sender.as_slice(), self.server_key];
        let keys = KeyMaterial::of_user_secret(&algorithms, &shared, nonces)?;
        let payload = self.payload(secret)?;

        let mut key_data = Vec::new();
        put_byte_string(&mut key_data, Some(&sender));
        put_byte_string(&mut key_data, Some(self.server_key));
        let too_long = |_| Fault::Crypto { operation: "sealing a secret" };
        let key_data_len = u16::try_from(key_data.len()).map_err(too_long)?;
        let mut rest = Vec::new();
        put_byte_string(&mut rest, Some(self.policy.uri().as_bytes()));
        put_byte_string(&mut rest, Some(self.identity.leaf().der()));
        rest.extend_from_slice(&crate::service::ticks(self.time).to_le_bytes());
        rest.extend_from_slice(&key_data_len.to_le_bytes());
        rest.extend_from_slice(&key_data);

        let tag_len = match algorithms.symmetric {
            Symmetric::Cbc { .. } => 0,
            Symmetric::Aead(_) => AEAD_TAG_LEN,
        };
        let len = rest.len() + payload.len() + tag_len + self.identity.key().signature_len();
        let mut envelope = TYPE_ID.to_vec();
        put_u32(&mut envelope, u32::try_from(len).map_err(too_long)?);
        envelope.extend_from_slice(&rest);
        // The tag covers all that stands before.
        let encrypted = encrypt(algorithms.symmetric, &keys, &envelope, &payload)?;
        envelope.extend_from_slice(&encrypted);
        let signature = self.identity.key().sign(&algorithms, &envelope)?;
        envelope.extend_from_slice(&signature);
        Ok(envelope)
    }

    /// Nonce, secret, and padding to whole blocks, at least one of them when the secret is shorter than that (§7.40.2.5).
    fn payload(&self, secret: &[u8]) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let used = 2 * LENGTH_LEN + self.server_nonce.len() + secret.len() + PADDING_SIZE_LEN;
        let mut padding = used.next_multiple_of(AES_BLOCK_LEN) - used;
        if padding + secret.len() < AES_BLOCK_LEN {
            padding += AES_BLOCK_LEN;
        }
        // In one piece: a vector that grows would leave the secret behind.
        let mut payload = Zeroizing::new(Vec::with_capacity(used + padding));
        put_byte_string(&mut payload, Some(self.server_nonce));
        put_byte_string(&mut payload, Some(secret));
        let size = u16::try_from(padding).map_err(|_| Fault::Crypto { operation: "padding a secret" })?;
        let [low, _] = size.to_le_bytes();
        payload.extend(std::iter::repeat_n(low, padding));
        payload.extend_from_slice(&size.to_le_bytes());
        Ok(payload)
    }
}

/// Encrypts `plain`; the tag of authenticated encryption, which covers `clear` too, stands at its end.
fn encrypt(symmetric: Symmetric, keys: &KeyMaterial, clear: &[u8], plain: &[u8]) -> Result<Vec<u8>, Fault> {
    // What is not encrypted in the end is wiped.
    let mut bytes = Zeroizing::new(plain.to_vec());
    match symmetric {
        Symmetric::Cbc { .. } => CbcCipher::<EncryptingKey>::new(keys)?.encrypt(&mut bytes)?,
        Symmetric::Aead(aead) => {
            let tag = AeadKey::new(aead, keys, true)?.seal_once(clear, &mut bytes)?;
            bytes.extend_from_slice(tag.as_ref());
        }
    }
    Ok(std::mem::take(&mut bytes))
}

/// `EccEncryptedSecret` (i=17546) as a node id in four bytes, and that a body follows (OPC 10000-6 §5.2.2.9, §5.2.2.15).
const TYPE_ID: [u8; 5] = [0x01, 0x00, 0x8A, 0x44, 0x01];
const LENGTH_LEN: usize = 4;
const PADDING_SIZE_LEN: usize = 2;

#[cfg(test)]
mod tests {
    use aws_lc_rs::aead;
    use aws_lc_rs::cipher::{AES_128, AES_256, DecryptingKey, DecryptionContext, UnboundCipherKey};
    use aws_lc_rs::iv::FixedLength;
    use time::macros::datetime;

    use super::*;
    use crate::test_server::client_for;
    use crate::wire::ByteReader;

    /// What a server does with it, with nothing of the code above but the derivation.
    fn open(policy: SecurityPolicy, server: EphemeralKey, envelope: &[u8]) -> Vec<u8> {
        let algorithms = Algorithms::of(policy).unwrap();
        let identity = client_for(policy);
        let (signed, signature) = envelope.split_at(envelope.len() - identity.key().signature_len());
        assert!(algorithms.verify(&identity.leaf().public_key().unwrap(), signed, signature));
        let mut reader = ByteReader::new(signed);
        reader.skip(TYPE_ID.len()).unwrap();
        assert_eq!(usize::try_from(reader.u32().unwrap()).unwrap(), envelope.len() - 9);
        assert_eq!(reader.byte_string(255).unwrap(), policy.uri().as_bytes());
        assert_eq!(reader.byte_string(65_536).unwrap(), identity.leaf().der());
        reader.skip(8).unwrap();
        let key_data = [reader.u8().unwrap(), reader.u8().unwrap()];
        let before = reader.rest().len();
        let sender = reader.byte_string(96).unwrap().to_vec();
        let receiver = reader.byte_string(96).unwrap().to_vec();
        assert_eq!(usize::from(u16::from_le_bytes(key_data)), before - reader.rest().len());
        assert_eq!(receiver, server.public());
        let shared = server.agree(&sender).unwrap();
        let nonces = [sender.as_slice(), &receiver];
        let keys = KeyMaterial::of_user_secret(&algorithms, &shared, nonces).unwrap();
        let mut sealed = reader.rest().to_vec();
        let clear = &signed[..signed.len() - sealed.len()];
        match algorithms.symmetric {
            Symmetric::Cbc { encryption_key_len, .. } => {
                let algorithm = if encryption_key_len == 16 { &AES_128 } else { &AES_256 };
                let key = UnboundCipherKey::new(algorithm, keys.encryption_key()).unwrap();
                let vector: [u8; 16] = keys.initialisation_vector().try_into().unwrap();
                let context = DecryptionContext::Iv128(FixedLength::from(&vector));
                DecryptingKey::cbc(key).unwrap().decrypt(&mut sealed, context).unwrap();
            }
            Symmetric::Aead(aead) => {
                let key = aead::UnboundKey::new(aead.algorithm(), keys.encryption_key()).unwrap();
                let nonce = aead::Nonce::try_assume_unique_for_key(keys.initialisation_vector()).unwrap();
                let key = aead::LessSafeKey::new(key);
                let len = key.open_in_place(nonce, aead::Aad::from(clear), &mut sealed).unwrap().len();
                sealed.truncate(len);
            }
        }
        sealed
    }

    #[test]
    fn a_secret_of_any_length_opens_for_the_server_whose_key_it_was_sealed_for() {
        for policy in SecurityPolicy::SECURE {
            let Asymmetric::Ecc(curve) = Algorithms::of(policy).unwrap().asymmetric else { continue };
            for len in [0, 1, 5, 14, 15, 16, 17, 300] {
                let secret = vec![b'x'; len];
                let server = EphemeralKey::generate(curve).unwrap();
                let (identity, server_key) = (client_for(policy), server.public().to_vec());
                let envelope = Envelope {
                    policy,
                    identity: &identity,
                    server_nonce: &[7; 32],
                    server_key: &server_key,
                    time: datetime!(2026-11-27 12:00 UTC),
                };
                let plain = open(policy, server, &envelope.seal(&secret).unwrap());
                assert_eq!(plain.len() % AES_BLOCK_LEN, 0);
                let mut reader = ByteReader::new(&plain);
                assert_eq!(reader.byte_string(32).unwrap(), [7; 32]);
                assert_eq!(reader.byte_string(300).unwrap(), secret);
                let (padding, size) = reader.rest().split_at(reader.rest().len() - 2);
                assert_eq!(usize::from(u16::from_le_bytes(size.try_into().unwrap())), padding.len());
                assert!(padding.iter().all(|byte| usize::from(*byte) == padding.len()));
                assert!(padding.len() + len >= AES_BLOCK_LEN, "a short secret does not show its length");
            }
        }
    }

    #[test]
    fn a_server_key_that_is_none_is_refused() {
        let policy = SecurityPolicy::EccNistP256;
        for server_key in [&[][..], &[1; 64], &[0; 64], &[1; 96]] {
            let envelope = Envelope {
                policy,
                identity: &client_for(policy),
                server_nonce: &[7; 32],
                server_key,
                time: datetime!(2026-11-27 12:00 UTC),
            };
            assert_eq!(envelope.seal(b"secret"), Err(Fault::ServerEphemeralKey), "{server_key:?}");
        }
    }
}
