//! The validation matrix: one defect a case, our verdict beside that of OpenSSL.
//!
//! Every case starts from a sound chain of three (root, plant, leaf; the root trusted, the plant in the issuer list,
//! current lists of both) and breaks one thing. To add a case, add a row to [`cases`]: its name, our verdict, that of
//! `openssl verify -x509_strict -crl_check_all -purpose`, why the two differ (empty where they agree on whether to
//! accept), and what is broken. A difference without a reason fails, and so does a reason without a difference.

use std::sync::{Arc, LazyLock};

use koios_pki::{
    Certificate, PeerRole, RevocationList, Suppression, Suppressions, TrustStatus, UnknownRevocation,
    ValidationParams, validate,
};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use time::Duration;

use crate::openssl::OpenSsl;
use crate::samples::NOW;
use crate::trust_pki::{
    Authority, List, authority_params, chain, entry, extension, leaf_params, new_key, reason, serial_der,
    trust, with_wrong_signature,
};

#[test]
fn each_case_is_judged_as_expected_by_us_and_by_openssl() {
    let mut wrong = Vec::new();
    let openssl = OpenSsl::or_skip();
    for case in cases() {
        let scene = Scene::of(case.change);
        let world = scene.build();
        let ours = world.ours(&scene);
        if ours != case.ours {
            wrong.push(format!("{}: ours {ours:?}, expected {:?}", case.name, case.ours));
        }
        if let (Some(openssl), Some(expected)) = (&openssl, case.openssl) {
            let theirs = world.theirs(&scene, openssl);
            if theirs != Ok(expected) {
                wrong.push(format!("{}: openssl {theirs:?}, expected {expected}", case.name));
            }
        }
        let differs = case.openssl.is_some_and(|code| (code == OK) != case.ours.is_ok());
        if differs == case.why.is_empty() {
            wrong.push(format!("{}: differs {differs}, reason {:?}", case.name, case.why));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

struct Case {
    name: &'static str,
    ours: Verdict,
    /// The number of the error, [`OK`], or `None` where the question is not theirs.
    openssl: Option<u32>,
    why: &'static str,
    change: fn(&mut Scene),
}

/// The number of the step, the status, and how far above the leaf.
type Verdict = Result<(), (u8, TrustStatus, usize)>;

const OK: u32 = 0;
const PROFILE: &str = "OPC UA asks more of an application certificate than RFC 5280 does";

fn case(
    name: &'static str,
    ours: Verdict,
    openssl: Option<u32>,
    why: &'static str,
    change: fn(&mut Scene),
) -> Case {
    Case { name, ours, openssl, why, change }
}

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    use TrustStatus as S;
    let no = |step, status, depth| Err((step, status, depth));
    vec![
        case("sound", Ok(()), Some(OK), "", |_| {}),
        case("plant in the blob", Ok(()), Some(OK), "", |s| { s.plant_listed = false; s.plant_sent = true; }),
        case("plant in blob and list", Ok(()), Some(OK), "", |s| s.plant_sent = true),
        case("plant missing", no(2, S::ChainIncomplete, 0), Some(20), "", |s| s.plant_listed = false),
        case("root not trusted", no(5, S::Untrusted, 0), Some(19), "", |s| s.root_trusted = false),
        case("leaf expired", no(6, S::TimeInvalid, 0), Some(10), "", |s| s.leaf.not_after = NOW - Duration::HOUR),
        case("plant expired", no(6, S::IssuerTimeInvalid, 1), Some(10), "", |s| s.plant.not_after = NOW - Duration::HOUR),
        case("root expired", no(6, S::IssuerTimeInvalid, 2), Some(10), "", |s| s.root.not_after = NOW - Duration::HOUR),
        case("leaf not yet valid", no(6, S::TimeInvalid, 0), Some(9), "", |s| s.leaf.not_before = NOW + Duration::HOUR),
        case("plant not yet valid", no(6, S::IssuerTimeInvalid, 1), Some(9), "", |s| s.plant.not_before = NOW + Duration::HOUR),
        case("root not yet valid", no(6, S::IssuerTimeInvalid, 2), Some(9), "", |s| s.root.not_before = NOW + Duration::HOUR),
        case("leaf's signature", no(3, S::CertificateInvalid, 0), Some(7), "", |s| s.leaf_forged = true),
        case("plant's signature", no(3, S::CertificateInvalid, 1), Some(7), "", |s| s.plant_forged = true),
        case("leaf without keyUsage", no(9, S::UseNotAllowed, 0), Some(OK), PROFILE, |s| s.leaf.key_usages.clear()),
        case("leaf on a curve without extKeyUsage", Ok(()), Some(OK), "", |s| s.leaf.extended_key_usages.clear()),
        case("client's leaf for servers only", no(9, S::UseNotAllowed, 0), Some(26), "", |s| s.leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
        case("server's leaf for clients only", no(9, S::UseNotAllowed, 0), Some(26), "", |s| { s.role = PeerRole::Server; s.leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]; }),
        case("server", Ok(()), Some(OK), "", |s| s.role = PeerRole::Server),
        case("plant is no authority", no(9, S::IssuerUseNotAllowed, 1), Some(79), "", |s| s.plant.is_ca = IsCa::ExplicitNoCa),
        case("plant without keyCertSign", no(9, S::IssuerUseNotAllowed, 1), Some(79), "", |s| s.plant.key_usages = vec![KeyUsagePurpose::CrlSign]),
        case("root's path length 0", no(9, S::IssuerUseNotAllowed, 2), Some(25), "", |s| s.root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))),
        case("root's path length 1", Ok(()), Some(OK), "", |s| s.root.is_ca = IsCa::Ca(BasicConstraints::Constrained(1))),
        case("plant's path length 0", Ok(()), Some(OK), "", |s| s.plant.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))),
        case("unknown extension", Ok(()), Some(OK), "", |s| s.leaf.custom_extensions.push(unknown(false))),
        case("unknown critical extension of the leaf", no(1, S::CertificateInvalid, 0), Some(34), "", |s| s.leaf.custom_extensions.push(unknown(true))),
        case("unknown critical extension of the plant", no(1, S::CertificateInvalid, 1), Some(34), "", |s| s.plant.custom_extensions.push(unknown(true))),
        case("no list of the plant", no(10, S::RevocationUnknown, 0), Some(3), "", |s| s.plant_list = None),
        case("no list of the root", no(10, S::IssuerRevocationUnknown, 1), Some(3), "", |s| s.root_list = None),
        case("plant's list expired", no(10, S::RevocationUnknown, 0), Some(12), "", |s| s.plant_list = Some(|l, _| l.next_update = Some(NOW - Duration::HOUR))),
        case("plant's list not yet valid", no(10, S::RevocationUnknown, 0), Some(11), "", |s| s.plant_list = Some(|l, _| l.this_update = NOW + Duration::HOUR)),
        case("plant's list without an end", no(10, S::RevocationUnknown, 0), Some(OK), "RFC 5280 §5.1.2.5 requires nextUpdate; OpenSSL takes a list without it as current for ever", |s| s.plant_list = Some(|l, _| l.next_update = None)),
        case("unknown critical extension of the list", no(10, S::RevocationUnknown, 0), Some(36), "", |s| s.plant_list = Some(|l, _| l.extensions.push(extension(99, true, &[5, 0])))),
        case("leaf revoked", no(11, S::Revoked, 0), Some(23), "", |s| s.plant_list = Some(|l, c| l.revoke(c))),
        case("plant revoked", no(11, S::IssuerRevoked, 1), Some(23), "", |s| s.root_list = Some(|l, c| l.revoke(c))),
        case("leaf on hold", no(11, S::Revoked, 0), Some(23), "", |s| s.plant_list = Some(|l, c| l.entries.push(entry(&serial_der(c), &[reason(6)])))),
        case("host matches", Ok(()), None, "", |s| { s.role = PeerRole::Server; s.host = Some("GW01.plant.example"); }),
        case("host differs", no(7, S::HostNameInvalid, 0), None, "", |s| { s.role = PeerRole::Server; s.host = Some("gw02.plant.example"); }),
        case("address matches", Ok(()), None, "", |s| { s.role = PeerRole::Server; s.host = Some("192.0.2.7"); }),
        case("address differs", no(7, S::HostNameInvalid, 0), None, "", |s| { s.role = PeerRole::Server; s.host = Some("192.0.2.8"); }),
        case("URI matches", Ok(()), None, "", |s| s.uri = Some("urn:test:leaf")),
        case("URI differs", no(8, S::UriInvalid, 0), None, "", |s| s.uri = Some("urn:test:other")),
        case("expired and overlooked", Ok(()), None, "", |s| { s.leaf.not_after = NOW - Duration::HOUR; s.suppressed = Suppressions::NONE.with(Suppression::Time); }),
        case("plant expired, the leaf's time overlooked", no(6, S::IssuerTimeInvalid, 1), None, "", |s| { s.plant.not_after = NOW - Duration::HOUR; s.suppressed = Suppressions::NONE.with(Suppression::Time); }),
        case("no list and unknown allowed", Ok(()), None, "", |s| { s.plant_list = None; s.unknown = UnknownRevocation::Allow; }),
        case("revoked and unknown allowed", no(11, S::Revoked, 0), None, "", |s| { s.plant_list = Some(|l, c| l.revoke(c)); s.unknown = UnknownRevocation::Allow; }),
        case("plant without keyUsage", Ok(()), Some(92), "OPC 10000-6 contradicts itself on whether an authority needs a keyUsage; RFC 5280 and OpenSSL's strict mode ask for it", |s| s.plant.key_usages.clear()),
        case("leaf revoked as superseded", no(11, S::Revoked, 0), Some(23), "", |s| s.plant_list = Some(|l, c| l.entries.push(entry(&serial_der(c), &[reason(4)])))),
        case("leaf revoked for its key", no(11, S::Revoked, 0), Some(23), "", |s| s.plant_list = Some(|l, c| l.entries.push(entry(&serial_der(c), &[reason(1)])))),
        case("root's list expired", no(10, S::IssuerRevocationUnknown, 1), Some(12), "", |s| s.root_list = Some(|l, _| l.next_update = Some(NOW - Duration::HOUR))),
        case("root's list not yet valid", no(10, S::IssuerRevocationUnknown, 1), Some(11), "", |s| s.root_list = Some(|l, _| l.this_update = NOW + Duration::HOUR)),
        case("wildcards are no names", no(7, S::HostNameInvalid, 0), None, "", |s| { s.role = PeerRole::Server; s.host = Some("*.plant.example"); }),
        case("root is no authority", no(9, S::IssuerUseNotAllowed, 2), Some(79), "", |s| s.root.is_ca = IsCa::ExplicitNoCa),
        case("no list and the leaf's overlooked", Ok(()), None, "", |s| { s.plant_list = None; s.suppressed = Suppressions::NONE.with(Suppression::RevocationUnknown); }),
        case("no list of the root and the leaf's overlooked", no(10, S::IssuerRevocationUnknown, 1), None, "", |s| { s.root_list = None; s.suppressed = Suppressions::NONE.with(Suppression::RevocationUnknown); }),
        case("revoked and unknown lists overlooked", no(11, S::Revoked, 0), None, "", |s| { s.plant_list = Some(|l, c| l.revoke(c)); s.suppressed = Suppressions::NONE.with(Suppression::RevocationUnknown); }),
    ]
}

fn unknown(critical: bool) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
    extension.set_criticality(critical);
    extension
}

/// What is broken in the list, given the certificate that it is asked about.
type ListChange = fn(&mut List, &Certificate);

struct Scene {
    root: CertificateParams,
    plant: CertificateParams,
    leaf: CertificateParams,
    root_trusted: bool,
    plant_listed: bool,
    plant_sent: bool,
    plant_forged: bool,
    leaf_forged: bool,
    root_list: Option<ListChange>,
    plant_list: Option<ListChange>,
    role: PeerRole,
    host: Option<&'static str>,
    uri: Option<&'static str>,
    suppressed: Suppressions,
    unknown: UnknownRevocation,
}

impl Scene {
    fn of(change: fn(&mut Self)) -> Self {
        let mut scene = Self {
            root: authority_params("Root"),
            plant: authority_params("Plant"),
            leaf: leaf_params(),
            root_trusted: true,
            plant_listed: true,
            plant_sent: false,
            plant_forged: false,
            leaf_forged: false,
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

    fn build(&self) -> World {
        let [root_key, plant_key, leaf_key] = &*KEYS;
        let root = Authority::root_with("Root", Arc::clone(root_key), |params| *params = self.root.clone());
        let mut plant =
            root.authority_with("Plant", Arc::clone(plant_key), |params| *params = self.plant.clone());
        let mut leaf = plant.certify(&self.leaf, leaf_key);
        if self.leaf_forged {
            leaf = with_wrong_signature(&leaf);
        }
        if self.plant_forged {
            plant.certificate = with_wrong_signature(&plant.certificate);
        }
        let lists = [
            self.root_list.map(|change| root.list_with(|list| change(list, &plant.certificate))),
            self.plant_list.map(|change| plant.list_with(|list| change(list, &leaf))),
        ];
        World {
            root: root.certificate,
            plant: plant.certificate,
            leaf,
            lists: lists.into_iter().flatten().collect(),
        }
    }
}

struct World {
    root: Certificate,
    plant: Certificate,
    leaf: Certificate,
    lists: Vec<RevocationList>,
}

impl World {
    fn ours(&self, scene: &Scene) -> Verdict {
        let mut params = ValidationParams::new(NOW, scene.role);
        params.host = scene.host;
        params.application_uri = scene.uri;
        params.suppressed = scene.suppressed;
        params.unknown_revocation = scene.unknown;
        let sent: &[&Certificate] = if scene.plant_sent { &[&self.plant] } else { &[] };
        let mut issuers = Vec::new();
        if scene.plant_listed {
            issuers.push(&self.plant);
        }
        let trusted: &[&Certificate] = if scene.root_trusted { &[&self.root] } else { &[] };
        if !scene.root_trusted {
            issuers.push(&self.root);
        }
        let trust = trust(trusted, &issuers, &self.lists.iter().collect::<Vec<_>>());
        match validate(&chain(&self.leaf, sent), &trust, &params) {
            Ok(_) => Ok(()),
            Err(error) => Err((error.step().number(), error.status(), error.depth())),
        }
    }

    /// The first error's number.
    fn theirs(&self, scene: &Scene, openssl: &OpenSsl) -> Result<u32, String> {
        let purpose = if scene.role == PeerRole::Server { "sslserver" } else { "sslclient" };
        let mut command = format!(
            "verify -x509_strict -crl_check_all -no-CApath -no-CAstore -attime {} -purpose {purpose}",
            NOW.unix_timestamp()
        );
        let mut untrusted = String::new();
        if scene.plant_listed || scene.plant_sent {
            untrusted += &self.plant.to_pem();
        }
        if scene.root_trusted {
            openssl.write("root.pem", self.root.to_pem());
            command += " -CAfile root.pem";
        } else {
            untrusted += &self.root.to_pem();
            command += " -no-CAfile";
        }
        if !untrusted.is_empty() {
            openssl.write("untrusted.pem", untrusted);
            command += " -untrusted untrusted.pem";
        }
        let lists: String = self.lists.iter().map(|list| list.to_pem()).collect();
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

/// Of the root, the plant and the leaf.
static KEYS: LazyLock<[Arc<KeyPair>; 3]> = LazyLock::new(|| [new_key(), new_key(), new_key()]);
