//! What a case is made of: certificates, lists, and the two judges.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use koios_pki::{
    Certificate, CertificateType, PeerRole, RevocationList, SelfSignedAuthority, Suppressions,
    UnknownRevocation, ValidationParams, validate,
};
use rcgen::{CertificateParams, KeyPair, RsaKeySize, SigningKey as _};
use time::Duration;

use self::Who::{Cross, Leaf, Looped, OtherRoot, Plant, Root, Twin};
use super::Verdict;
use crate::openssl::OpenSsl;
use crate::samples::NOW;
use crate::trust_pki::{
    Authority, List, authority_params, chain, children, der, extension, leaf_params, new_key, trust,
    with_wrong_signature,
};

/// What is broken in the list, given the certificate that it is asked about.
pub(super) type ListChange = fn(&mut List, &Certificate);

pub(super) struct Scene {
    pub(super) root: CertificateParams,
    pub(super) plant: CertificateParams,
    pub(super) leaf: CertificateParams,
    /// The kinds of their keys.
    pub(super) keys: [Kind; 3],
    /// What is trusted, what is known to have issued, and what the peer sends behind its leaf.
    pub(super) trusted: &'static [Who],
    pub(super) issuers: &'static [Who],
    pub(super) sent: &'static [Who],
    /// Changes of the signed parts, which are signed again.
    pub(super) root_fields: Option<FieldChange>,
    pub(super) plant_fields: Option<FieldChange>,
    pub(super) leaf_fields: Option<FieldChange>,
    /// The leaf signs itself.
    pub(super) alone: bool,
    /// Signed by the twin of the plant: another key of the same name.
    pub(super) by_twin: bool,
    pub(super) root_forged: bool,
    pub(super) plant_forged: bool,
    pub(super) leaf_forged: bool,
    /// Without authorityKeyIdentifier.
    pub(super) leaf_bare: bool,
    pub(super) more_lists: &'static [Extra],
    pub(super) certificate_type: Option<CertificateType>,
    pub(super) self_signed_authority: SelfSignedAuthority,
    pub(super) root_list: Option<ListChange>,
    pub(super) plant_list: Option<ListChange>,
    pub(super) role: PeerRole,
    pub(super) host: Option<&'static str>,
    pub(super) uri: Option<&'static str>,
    pub(super) suppressed: Suppressions,
    pub(super) unknown: UnknownRevocation,
}

impl Scene {
    pub(super) fn of(change: fn(&mut Self)) -> Self {
        let mut scene = Self {
            root: authority_params("Root"),
            plant: authority_params("Plant"),
            leaf: leaf_params(),
            keys: [Kind::P256; 3],
            trusted: &[Root],
            issuers: &[Plant],
            sent: &[],
            root_fields: None,
            plant_fields: None,
            leaf_fields: None,
            alone: false,
            by_twin: false,
            root_forged: false,
            plant_forged: false,
            leaf_forged: false,
            leaf_bare: false,
            more_lists: &[],
            certificate_type: None,
            self_signed_authority: SelfSignedAuthority::Refuse,
            root_list: Some(|_, _| {}),
            plant_list: Some(|_, _| {}),
            role: PeerRole::Client,
            host: None,
            uri: None,
            suppressed: Suppressions::NONE,
            unknown: UnknownRevocation::Deny,
        };
        change(&mut scene);
        scene
    }

    pub(super) fn build(&self) -> World {
        let [root_kind, plant_kind, leaf_kind] = self.keys;
        let [root_key, plant_key, leaf_key] = [root_kind.key(0), plant_kind.key(1), leaf_kind.key(2)];
        let mut root = Authority::root_with("Root", root_key, |params| *params = self.root.clone());
        if let Some(change) = self.root_fields {
            root.certificate = signed_again(&root.certificate, &root, change);
        }
        let mut plant = root.authority_with("Plant", plant_key, |params| *params = self.plant.clone());
        if let Some(change) = self.plant_fields {
            plant.certificate = signed_again(&plant.certificate, &root, change);
        }
        let twin = root.authority_with("Plant", new_key(), |params| *params = self.plant.clone());
        let other_root = Authority::root_with("Other root", new_key(), |_| {});
        let cross = other_root.cross_sign(&plant);
        // The plant certifies the root, which certifies the plant: a loop.
        let looped = plant.cross_sign(&root);
        let issuer = if self.by_twin { &twin } else { &plant };
        let mut leaf = if self.alone {
            Authority::root_with("leaf", Arc::clone(&leaf_key), |params| *params = self.leaf.clone())
        } else {
            let certified = if self.leaf_bare {
                issuer.certify_bare(&self.leaf, &leaf_key)
            } else {
                issuer.certify(&self.leaf, &leaf_key)
            };
            let mut signed = issuer.clone();
            signed.certificate = certified;
            signed
        };
        if let Some(change) = self.leaf_fields {
            leaf.certificate = signed_again(&leaf.certificate, &leaf, change);
        }
        let mut leaf = leaf.certificate;
        if self.leaf_forged {
            leaf = with_wrong_signature(&leaf);
        }
        if self.plant_forged {
            plant.certificate = with_wrong_signature(&plant.certificate);
        }
        if self.root_forged {
            root.certificate = with_wrong_signature(&root.certificate);
        }
        let mut lists: Vec<_> = [
            self.root_list.map(|change| root.list_with(|list| change(list, &plant.certificate))),
            self.plant_list.map(|change| plant.list_with(|list| change(list, &leaf))),
        ]
        .into_iter()
        .flatten()
        .collect();
        for extra in self.more_lists {
            lists.push(match extra {
                Extra::OfOtherRoot => other_root.list(),
                Extra::OfTwin => twin.list(),
                Extra::PlantsForged => {
                    let mut der = plant.list_der(|_| {});
                    *der.last_mut().unwrap() ^= 1;
                    RevocationList::from_der(&der).unwrap()
                }
                Extra::PlantsDelta => plant.list_with(|list| {
                    list.extensions.push(extension(27, true, &[2, 1, 1]));
                    list.revoke(&leaf);
                }),
                Extra::PlantsOlderThatRevokes => plant.list_with(|list| {
                    list.this_update = NOW - Duration::days(3);
                    list.revoke(&leaf);
                }),
                Extra::PlantsNewerThatRevokes => plant.list_with(|list| {
                    list.this_update = NOW - Duration::HOUR;
                    list.revoke(&leaf);
                }),
            });
        }
        World {
            root: root.certificate,
            plant: plant.certificate,
            twin: twin.certificate,
            cross,
            looped,
            leaf,
            other_root: other_root.certificate,
            lists,
        }
    }
}

/// The certificates of a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Root,
    Plant,
    Leaf,
    /// Another key under the plant's name, certified by the root.
    Twin,
    OtherRoot,
    /// The plant, certified by the other root.
    Cross,
    /// The root, certified by the plant.
    Looped,
}

/// Lists beside those of root and plant.
#[derive(Clone, Copy, Debug)]
pub(super) enum Extra {
    OfOtherRoot,
    OfTwin,
    PlantsForged,
    PlantsDelta,
    PlantsOlderThatRevokes,
    PlantsNewerThatRevokes,
}

/// Kinds of keys, each level with a key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    P256,
    P384,
    P521,
    Ed25519,
    Rsa2048,
    Rsa3072,
    Rsa4096,
}

type KeysByLevel = HashMap<(Kind, usize), Arc<KeyPair>>;

impl Kind {
    fn key(self, level: usize) -> Arc<KeyPair> {
        static KEYS: LazyLock<Mutex<KeysByLevel>> = LazyLock::new(Mutex::default);
        let rsa = |size| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size).unwrap();
        let make = || {
            Arc::new(match self {
                Self::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap(),
                Self::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap(),
                Self::P521 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap(),
                Self::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap(),
                Self::Rsa2048 => rsa(RsaKeySize::_2048),
                Self::Rsa3072 => rsa(RsaKeySize::_3072),
                Self::Rsa4096 => rsa(RsaKeySize::_4096),
            })
        };
        Arc::clone(KEYS.lock().unwrap().entry((self, level)).or_insert_with(make))
    }
}

/// A change of the fields of the signed part: version, serial number, algorithm, issuer, validity, subject, key,
/// extensions.
pub(super) type FieldChange = fn(&mut Vec<Vec<u8>>);

/// The certificate with its signed part changed and signed again by `issuer`, whose key is on P-256.
fn signed_again(certificate: &Certificate, issuer: &Authority, change: FieldChange) -> Certificate {
    let parts = children(certificate.der());
    let mut fields: Vec<Vec<u8>> = children(parts[0]).into_iter().map(<[u8]>::to_vec).collect();
    change(&mut fields);
    let tbs = der(0x30, &fields.concat());
    let signature = [&[0], issuer.key.sign(&tbs).unwrap().as_slice()].concat();
    Certificate::from_der(&der(0x30, &[tbs, parts[1].to_vec(), der(0x03, &signature)].concat())).unwrap()
}

/// Changes one extension (under 2.5.29) of the fields of a signed part; `None` takes it out.
pub(super) fn set_extension(fields: &mut Vec<Vec<u8>>, number: u8, value: Option<Vec<u8>>) {
    let explicit = fields.pop().unwrap();
    let sequence = children(&explicit)[0];
    let mut extensions: Vec<Vec<u8>> = children(sequence).into_iter().map(<[u8]>::to_vec).collect();
    extensions.retain(|extension| children(extension)[0] != [0x06, 0x03, 0x55, 0x1D, number]);
    extensions.extend(value);
    fields.push(der(0xA3, &der(0x30, &extensions.concat())));
}

/// `CN=…, O=Test` with strings of this type.
pub(super) fn name(tag: u8, common_name: &str) -> Vec<u8> {
    let rdn = |number: u8, text: &str| {
        let attribute = [&[0x06, 0x03, 0x55, 0x04, number][..], &der(tag, text.as_bytes())].concat();
        der(0x31, &der(0x30, &attribute))
    };
    der(0x30, &[rdn(3, common_name), rdn(10, "Test")].concat())
}

pub(super) struct World {
    root: Certificate,
    plant: Certificate,
    twin: Certificate,
    cross: Certificate,
    looped: Certificate,
    other_root: Certificate,
    leaf: Certificate,
    lists: Vec<RevocationList>,
}

impl World {
    fn of(&self, who: &[Who]) -> Vec<&Certificate> {
        let one = |who: &Who| match who {
            Root => &self.root,
            Plant => &self.plant,
            Leaf => &self.leaf,
            Twin => &self.twin,
            OtherRoot => &self.other_root,
            Cross => &self.cross,
            Looped => &self.looped,
        };
        who.iter().map(one).collect()
    }

    pub(super) fn ours(&self, scene: &Scene) -> Verdict {
        let mut params = ValidationParams::new(NOW, scene.role);
        params.host = scene.host;
        params.application_uri = scene.uri;
        params.suppressed = scene.suppressed;
        params.unknown_revocation = scene.unknown;
        params.certificate_type = scene.certificate_type;
        params.self_signed_authority = scene.self_signed_authority;
        let lists: Vec<_> = self.lists.iter().collect();
        let trust = trust(&self.of(scene.trusted), &self.of(scene.issuers), &lists);
        match validate(&chain(&self.leaf, &self.of(scene.sent)), &trust, &params) {
            Ok(_) => Ok(()),
            Err(error) => Err((error.step().number(), error.status(), error.depth())),
        }
    }

    /// The first error's number.
    pub(super) fn theirs(&self, scene: &Scene, openssl: &OpenSsl) -> Result<u32, String> {
        let purpose = if scene.role == PeerRole::Server { "sslserver" } else { "sslclient" };
        let mut command = format!(
            "verify -x509_strict -check_ss_sig -no-CApath -no-CAstore -attime {} -purpose {purpose}",
            NOW.unix_timestamp()
        );
        // Of a certificate that signed itself there is no list (OPC 10000-4 §6.1.3); OpenSSL would ask for its own.
        if !scene.alone {
            command += " -crl_check_all";
        }
        if let Some(host) = scene.host {
            let option =
                if host.parse::<std::net::IpAddr>().is_ok() { "-verify_ip" } else { "-verify_hostname" };
            command += &format!(" {option} {host}");
        }
        let pem = |certificates: Vec<&Certificate>| -> String {
            certificates.into_iter().map(Certificate::to_pem).collect()
        };
        let trusted = pem(self.of(scene.trusted));
        if trusted.is_empty() {
            command += " -no-CAfile";
        } else {
            openssl.write("trusted.pem", trusted);
            command += " -CAfile trusted.pem";
        }
        let untrusted = pem(self.of(scene.issuers)) + &pem(self.of(scene.sent));
        if !untrusted.is_empty() {
            openssl.write("untrusted.pem", untrusted);
            command += " -untrusted untrusted.pem";
        }
        let lists: String = self.lists.iter().map(RevocationList::to_pem).collect();
        if !lists.is_empty() {
            openssl.write("lists.pem", lists);
            command += " -CRLfile lists.pem";
        }
        openssl.write("leaf.pem", self.leaf.to_pem());
        let output = openssl.try_run(&format!("{command} leaf.pem"));
        if output.status.success() {
            return Ok(OK);
        }
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        text.lines().find_map(|line| line.strip_prefix("error ")?.split(' ').next()?.parse().ok()).ok_or(text)
    }
}

/// OpenSSL's number of no error.
pub(super) const OK: u32 = 0;
