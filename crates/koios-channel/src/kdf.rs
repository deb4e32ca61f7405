//! Symmetric keys from the two nonces of an OpenSecureChannel: of RSA policies (OPC 10000-6 §6.7.5), and of policies on
//! curves, whose nonces are ephemeral public keys (§6.8.1).

use aws_lc_rs::{hkdf, hmac};
use koios_pki::SecurityMode;
use zeroize::Zeroizing;

use crate::error::Fault;
use crate::policy::{Algorithms, KeyLengths, Mac, Symmetric};

/// The key material of one direction.
pub(crate) struct KeyMaterial {
    bytes: Zeroizing<Vec<u8>>,
    lengths: KeyLengths,
}

/// Whose messages keys are for, as §6.8.1 names it in the derivation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    Client,
    Server,
    /// A user's secret.
    Secret,
}

impl Label {
    /// That of the other end of a channel.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
            Self::Secret => Self::Secret,
        }
    }

    const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Client => b"opcua-client",
            Self::Server => b"opcua-server",
            Self::Secret => b"opcua-secret",
        }
    }
}

impl KeyMaterial {
    /// `remote` and `local` as OPC 10000-6 Table 66 names them: the secret is the nonce of the **other** side of the
    /// direction, the seed that of the sending side.
    pub(crate) fn of_nonces(algorithms: &Algorithms, secret: &[u8], seed: &[u8]) -> Self {
        let lengths = algorithms.symmetric.key_lengths();
        Self { bytes: p_hash(algorithms.derivation, secret, seed, lengths.sum()), lengths }
    }

    /// Of the secret that the ephemeral keys share; `nonces` are those of the sending and of the receiving side.
    ///
    /// Without authenticated encryption only the signing key is derived in mode Sign, and its length alone counts (OPC
    /// 10000-6 §6.8.1).
    pub(crate) fn of_shared_secret(
        algorithms: &Algorithms,
        mode: SecurityMode,
        shared: &[u8],
        label: Label,
        nonces: [&[u8]; 2],
    ) -> Result<Self, Fault> {
        let mut lengths = algorithms.symmetric.key_lengths();
        if let (Symmetric::Cbc { .. }, SecurityMode::None | SecurityMode::Sign) = (algorithms.symmetric, mode)
        {
            lengths = KeyLengths { encryption: 0, vector: 0, ..lengths };
        }
        let bytes = expand(algorithms.derivation, shared, label, nonces, lengths.sum())?;
        Ok(Self { bytes, lengths })
    }

    /// Of the secret that the ephemeral keys for one secret of a user share: no signing key (OPC 10000-4 §7.40.2.5).
    pub(crate) fn of_user_secret(
        algorithms: &Algorithms,
        shared: &[u8],
        nonces: [&[u8]; 2],
    ) -> Result<Self, Fault> {
        let lengths = KeyLengths { signing: 0, ..algorithms.symmetric.key_lengths() };
        let bytes = expand(algorithms.derivation, shared, Label::Secret, nonces, lengths.sum())?;
        Ok(Self { bytes, lengths })
    }

    pub(crate) fn signing_key(&self) -> &[u8] {
        self.bytes.get(..self.lengths.signing).unwrap_or_default()
    }

    pub(crate) fn encryption_key(&self) -> &[u8] {
        let from = self.lengths.signing;
        self.bytes.get(from..from + self.lengths.encryption).unwrap_or_default()
    }

    pub(crate) fn initialisation_vector(&self) -> &[u8] {
        self.bytes.get(self.lengths.signing + self.lengths.encryption..).unwrap_or_default()
    }
}

/// HKDF (RFC 5869) with the salt of OPC 10000-6 §6.8.1, which is the info as well: length, label and nonces.
fn expand(
    mac: Mac,
    shared: &[u8],
    label: Label,
    nonces: [&[u8]; 2],
    len: usize,
) -> Result<Zeroizing<Vec<u8>>, Fault> {
    struct Len(usize);
    impl hkdf::KeyType for Len {
        fn len(&self) -> usize {
            self.0
        }
    }
    let failed = |_| Fault::Crypto { operation: "deriving keys" };
    let prefix = u16::try_from(len).map_err(|_| Fault::Crypto { operation: "deriving keys" })?.to_le_bytes();
    let [sender, receiver] = nonces;
    let salt = [&prefix, label.as_bytes(), sender, receiver].concat();
    let key = hkdf::Salt::new(mac.hkdf(), &salt).extract(shared);
    let mut out = Zeroizing::new(vec![0; len]);
    let info = [salt.as_slice()];
    key.expand(&info, Len(len)).and_then(|okm| okm.fill(&mut out)).map_err(failed)?;
    Ok(out)
}

/// `P_hash` of RFC 5246 §5, `len` bytes of it.
fn p_hash(mac: Mac, secret: &[u8], seed: &[u8], len: usize) -> Zeroizing<Vec<u8>> {
    let key = hmac::Key::new(mac.hmac(), secret);
    // Reserved in full: a vector that grows would leave secrets behind in memory.
    let mut out = Zeroizing::new(Vec::with_capacity(len + mac.len()));
    let mut a = hmac::sign(&key, seed);
    while out.len() < len {
        let mut context = hmac::Context::with_key(&key);
        context.update(a.as_ref());
        context.update(seed);
        out.extend_from_slice(context.sign().as_ref());
        a = hmac::sign(&key, a.as_ref());
    }
    out.truncate(len);
    out
}

#[cfg(test)]
mod tests {
    use koios_pki::SecurityPolicy;

    use super::*;

    /// The vector of <https://mailarchive.ietf.org/arch/msg/tls/fzVCzk-z3FShgGJ6DOXqM1ydxms/>: the PRF of TLS 1.2 is
    /// `P_SHA256(secret, label ‖ seed)`.
    #[test]
    fn p_sha256_gives_the_published_tls_1_2_vector() {
        let secret = hex("9bbe436ba940f017b17652849a71db35");
        let seed = [b"test label".as_slice(), &hex("a0ba9f936cda311827a6f796ffd5198c")].concat();
        let expected = hex(concat!(
            "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a",
            "6b301791e90d35c9c9a46b4e14baf9af0fa022f7077def17abfd3797c0564bab",
            "4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff701",
            "87347b66"
        ));
        assert_eq!(*p_hash(Mac::Sha256, &secret, &seed, 100), expected);
        assert_eq!(*p_hash(Mac::Sha256, &secret, &seed, 33), expected[..33]);
    }

    #[test]
    fn the_material_is_cut_as_the_policy_says() {
        for (policy, mac, signing, encryption) in [
            (SecurityPolicy::Basic256Sha256, Mac::Sha256, 32, 32),
            (SecurityPolicy::Aes128Sha256RsaOaep, Mac::Sha256, 32, 16),
            #[cfg(feature = "deprecated-policies")]
            (SecurityPolicy::Basic128Rsa15, Mac::Sha1, 16, 16),
            #[cfg(feature = "deprecated-policies")]
            (SecurityPolicy::Basic256, Mac::Sha1, 24, 32),
        ] {
            let algorithms = Algorithms::of(policy).unwrap();
            let material = KeyMaterial::of_nonces(&algorithms, b"secret", b"seed");
            let whole = p_hash(mac, b"secret", b"seed", signing + encryption + 16);
            assert_eq!(material.signing_key(), &whole[..signing]);
            assert_eq!(material.encryption_key(), &whole[signing..signing + encryption]);
            assert_eq!(material.initialisation_vector(), &whole[signing + encryption..]);
        }
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }
}
