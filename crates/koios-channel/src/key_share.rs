//! What each side gives to the keys of a channel: a nonce, or an ephemeral public key (OPC 10000-6 §6.7.5, §6.8.1).

use aws_lc_rs::agreement::{self, EphemeralPrivateKey, UnparsedPublicKey};
use koios_pki::SecurityMode;
use zeroize::Zeroizing;

use crate::error::Fault;
use crate::kdf::{KeyMaterial, Label};
use crate::policy::{Algorithms, Asymmetric, EphemeralCurve, NONCE_LEN};
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
            Some(Asymmetric::Rsa(_)) => {
                let mut nonce = vec![0; NONCE_LEN];
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

    /// The keys that this share and the nonce of the other side make; `we` says which side this is.
    ///
    /// # Errors
    /// [`Fault::ServerNonce`] when theirs has another length, [`Fault::ServerEphemeralKey`] when it is no key.
    pub(crate) fn keys(
        self,
        algorithms: &Algorithms,
        mode: SecurityMode,
        theirs: &[u8],
        we: Label,
    ) -> Result<(SendingKeys, ReceivingKeys), Fault> {
        if theirs.len() != self.nonce().len() {
            return Err(Fault::ServerNonce { len: theirs.len() });
        }
        let (sending, receiving) = match self {
            Self::None => return Err(Fault::NotReady),
            // OPC 10000-6 Table 66: the secret is the nonce of the receiving side, the seed that of the sending one.
            Self::Nonce(ours) => (
                KeyMaterial::of_nonces(algorithms, theirs, &ours),
                KeyMaterial::of_nonces(algorithms, &ours, theirs),
            ),
            Self::Ephemeral(key) => {
                let ours = key.public().to_vec();
                let shared = key.agree(theirs)?;
                let material =
                    |label, nonces| KeyMaterial::of_shared_secret(algorithms, mode, &shared, label, nonces);
                (material(we, [&ours, theirs])?, material(we.other(), [theirs, &ours])?)
            }
        };
        Ok((
            SendingKeys::of(mode, algorithms.mac, &sending)?,
            ReceivingKeys::of(mode, algorithms.mac, &receiving)?,
        ))
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
