//! What each side gives to the keys of a channel: a nonce, or an ephemeral public key (OPC 10000-6 §6.7.5, §6.8.1).

use aws_lc_rs::agreement::{self, EphemeralPrivateKey, UnparsedPublicKey};
use koios_pki::SecurityMode;
use zeroize::Zeroizing;

use crate::error::Fault;
use crate::kdf::{KeyMaterial, Label};
use crate::policy::{Algorithms, Asymmetric, EphemeralCurve};
use crate::random::RandomSource;
use crate::symmetric::{ReceivingKeys, SendingKeys};

/// Our share of the keys of one token.
pub(crate) enum KeyShare {
    /// Without security there are no keys.
    None,
    Nonce(Vec<u8>),
    Ephemeral(EphemeralKey),
}

impl KeyShare {
    /// A fresh one. Ephemeral keys come from the cryptographic library's own generator, not from `random`.
    pub(crate) fn new(algorithms: Option<&Algorithms>, random: &mut dyn RandomSource) -> Result<Self, Fault> {
        match algorithms.map(|algorithms| algorithms.asymmetric) {
            None => Ok(Self::None),
            Some(Asymmetric::Rsa(rsa)) => {
                let mut nonce = vec![0; rsa.nonce_len];
                random.fill(&mut nonce)?;
                Ok(Self::Nonce(nonce))
            }
            Some(Asymmetric::Ecc(curve)) => EphemeralKey::generate(curve).map(Self::Ephemeral),
        }
    }

    /// The nonce that is sent; empty without security.
    pub(crate) fn nonce(&self) -> &[u8] {
        match self {
            Self::None => &[],
            Self::Nonce(nonce) => nonce,
            Self::Ephemeral(key) => key.public(),
        }
    }

    /// The keys that this share and the nonce of the other side make; `we` says which side this is. `chained` is what the
    /// secret of the token before left behind, if there was one.
    ///
    /// # Errors
    /// [`Fault::ServerNonce`] when theirs has another length, [`Fault::ServerEphemeralKey`] when it is no key.
    pub(crate) fn keys(
        self,
        algorithms: &Algorithms,
        mode: SecurityMode,
        theirs: &[u8],
        we: Label,
        chained: Option<&ChainedSecret>,
    ) -> Result<TokenKeys, Fault> {
        if theirs.len() != self.nonce().len() {
            return Err(Fault::ServerNonce { len: theirs.len() });
        }
        let (sending, receiving, chained) = match self {
            Self::None => return Err(Fault::NotReady),
            // OPC 10000-6 Table 66: the secret is the nonce of the receiving side, the seed that of the sending one.
            Self::Nonce(ours) => (
                KeyMaterial::of_nonces(algorithms, theirs, &ours),
                KeyMaterial::of_nonces(algorithms, &ours, theirs),
                None,
            ),
            Self::Ephemeral(key) => {
                let ours = key.public().to_vec();
                let secret = ChainedSecret::of(algorithms, key.agree(theirs)?, chained);
                let material =
                    |label, nonces| KeyMaterial::of_shared_secret(algorithms, mode, &secret.0, label, nonces);
                let sending = material(we, [&ours, theirs])?;
                let receiving = material(we.other(), [theirs, &ours])?;
                (sending, receiving, algorithms.binds_sessions().then_some(secret))
            }
        };
        Ok(TokenKeys {
            sending: SendingKeys::of(mode, algorithms.symmetric, &sending)?,
            receiving: ReceivingKeys::of(mode, algorithms.symmetric, &receiving)?,
            chained,
        })
    }
}

/// The keys of one token, and what the next one is chained to.
pub(crate) struct TokenKeys {
    pub(crate) sending: SendingKeys,
    pub(crate) receiving: ReceivingKeys,
    pub(crate) chained: Option<ChainedSecret>,
}

/// All that the ephemeral keys of a channel have shared so far (OPC 10000-6 §6.8.1): who learns the keys of one token
/// still knows nothing of the next.
pub(crate) struct ChainedSecret(Zeroizing<Vec<u8>>);

impl ChainedSecret {
    /// What the ephemeral keys share, mixed with all before it where the policy chains.
    fn of(algorithms: &Algorithms, mut shared: Zeroizing<Vec<u8>>, before: Option<&Self>) -> Self {
        if let Some(Self(before)) = before.filter(|_| algorithms.binds_sessions()) {
            for (byte, before) in shared.iter_mut().zip(before.iter()) {
                *byte ^= before;
            }
        }
        Self(shared)
    }
}

/// A key pair for one agreement (OPC 10000-6 §6.8.1).
pub(crate) struct EphemeralKey {
    curve: EphemeralCurve,
    private: EphemeralPrivateKey,
    /// X and Y, as they travel.
    public: Vec<u8>,
}

impl EphemeralKey {
    pub(crate) fn generate(curve: EphemeralCurve) -> Result<Self, Fault> {
        let failed = |_| Fault::Crypto { operation: "making an ephemeral key" };
        let random = aws_lc_rs::rand::SystemRandom::new();
        let private = EphemeralPrivateKey::generate(algorithm(curve), &random).map_err(failed)?;
        let point = private.compute_public_key().map_err(failed)?;
        let public = point.as_ref().strip_prefix(&[UNCOMPRESSED]).unwrap_or_default().to_vec();
        Ok(Self { curve, private, public })
    }

    pub(crate) fn public(&self) -> &[u8] {
        &self.public
    }

    /// The x-coordinate that both sides compute.
    ///
    /// # Errors
    /// [`Fault::ServerEphemeralKey`] when `theirs` is no point of the curve.
    pub(crate) fn agree(self, theirs: &[u8]) -> Result<Zeroizing<Vec<u8>>, Fault> {
        if theirs.len() != self.curve.public_key_len() {
            return Err(Fault::ServerEphemeralKey);
        }
        let point = [&[UNCOMPRESSED], theirs].concat();
        let peer = UnparsedPublicKey::new(algorithm(self.curve), point);
        agreement::agree_ephemeral(self.private, peer, Fault::ServerEphemeralKey, |shared| {
            Ok(Zeroizing::new(shared.to_vec()))
        })
    }
}

fn algorithm(curve: EphemeralCurve) -> &'static agreement::Algorithm {
    match curve {
        EphemeralCurve::P256 => &agreement::ECDH_P256,
        EphemeralCurve::P384 => &agreement::ECDH_P384,
    }
}

/// SEC 1 §2.3.3; on the wire it goes without saying.
const UNCOMPRESSED: u8 = 4;

#[cfg(test)]
mod tests {
    use koios_pki::SecurityPolicy;

    use super::*;
    use crate::chunk::{Numbers, Opened, symmetric};
    use crate::wire::{ChunkKind, FrameType};

    /// Vectors that another implementation computed from the text of the standard: see the script beside them.
    #[test]
    fn authenticated_encryption_gives_the_vectors_of_another_implementation() {
        let vectors: Vec<serde_json::Value> =
            serde_json::from_str(include_str!("../tests/vectors/authenticated_encryption.json")).unwrap();
        assert_eq!(vectors.len(), 4 * 2 * 3 * 3);
        for vector in vectors {
            let policy = SecurityPolicy::from_name(vector["policy"].as_str().unwrap()).unwrap();
            let algorithms = Algorithms::of(policy).unwrap();
            let Asymmetric::Ecc(curve) = algorithms.asymmetric else { panic!("{policy}") };
            let nonces = [vec![1; curve.public_key_len()], vec![2; curve.public_key_len()]];
            let mode = match vector["mode"].as_str().unwrap() {
                "Sign" => SecurityMode::Sign,
                _ => SecurityMode::SignAndEncrypt,
            };
            let mut chained = None;
            for secret in vector["secrets"].as_array().unwrap() {
                let secret = u8::try_from(secret.as_u64().unwrap()).unwrap();
                let shared = Zeroizing::new(vec![secret; curve.public_key_len() / 2]);
                chained = Some(ChainedSecret::of(&algorithms, shared, chained.as_ref()));
            }
            let chained = chained.unwrap();
            let material = KeyMaterial::of_shared_secret(
                &algorithms,
                mode,
                &chained.0,
                Label::Client,
                [&nonces[0], &nonces[1]],
            )
            .unwrap();
            let number = u32::try_from(vector["sequence_number"].as_u64().unwrap()).unwrap();
            let numbers = Numbers { channel_id: 7, sequence_number: number, request_id: 3 };
            let sending = SendingKeys::of(mode, algorithms.symmetric, &material).unwrap();
            let (kind, body) = (FrameType::Message, b"what is said");
            let chunk =
                symmetric::seal(kind, ChunkKind::Final, 0x0102_0304, Some(&sending), numbers, body).unwrap();
            let hex: String = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, vector["chunk"].as_str().unwrap(), "{policy} {mode}");

            let receiving = ReceivingKeys::of(mode, algorithms.symmetric, &material).unwrap();
            let opened = symmetric::open(Some(&receiving), number.wrapping_sub(1), &chunk).unwrap();
            let expected = Opened { sequence_number: number, request_id: 3, body: body.to_vec() };
            assert_eq!(opened, expected);
            let moved = symmetric::open(Some(&receiving), number, &chunk);
            assert_eq!(moved, Err(Fault::BadSignature), "at another place");
        }
    }
}
