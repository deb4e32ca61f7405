//! The kinds of client certificates, and what a stack says of each.

use std::sync::Arc;

use koios_channel::IdentityError;
use koios_opcua::{
    BuildInfo, ClientCertificate, ClientIdentity, ClockReading, SecurityMode, SecurityPolicy, Target,
    UnavailableReason,
};
use koios_pki::{KeyError, PrivateKey, PrivateKeyPem, read_certificates};
use koios_testkit::{
    Ability, CertificateSpec, KeyUsage, Mode, Policy, San, Server, ServerOptions, SignatureHash, Stack,
    TestCertificate, TestKey, revocation_list, start_or_skip,
};

use super::relay::{Towards, switch};
use super::{Case, Key, Table, Verdicts, observe};
use crate::client::{URI, disbelieved_clock, url};

/// In this order they are asked of every stack.
pub(crate) const CASES: &[Case] = &[
    Case { name: "trusted", title: "trusted: RSA 2048, SHA-256, self-signed" },
    Case { name: "rsa_1024", title: "RSA 1024" },
    Case { name: "rsa_3072", title: "RSA 3072" },
    Case { name: "rsa_4096", title: "RSA 4096" },
    Case { name: "sha1", title: "signed with SHA-1" },
    Case { name: "untrusted", title: "not trusted, first attempt" },
    Case { name: "untrusted_again", title: "not trusted, later attempts" },
    Case { name: "expired", title: "expired" },
    Case { name: "expired_sent", title: "expired, sent all the same (our clock is not believed)" },
    Case { name: "not_yet_valid", title: "not yet valid" },
    Case {
        name: "not_yet_valid_sent",
        title: "not yet valid, sent all the same (our clock is not believed)",
    },
    Case { name: "uri_mismatch", title: "names another application URI than the session" },
    Case { name: "no_san", title: "no subject alternative name" },
    Case { name: "no_key_usage", title: "no key usage" },
    Case { name: "key_usage_signature_only", title: "key usage digitalSignature alone" },
    Case { name: "no_extended_key_usage", title: "no extended key usage" },
    Case { name: "ca_issued_chain", title: "CA-issued, CA and CRL trusted, chain sent" },
    Case { name: "ca_issued_leaf", title: "CA-issued, CA and CRL trusted, without chain" },
    Case {
        name: "intermediate_chain",
        title: "issued by an intermediate CA, only the root known, chain sent",
    },
    Case {
        name: "intermediate_leaf",
        title: "issued by an intermediate CA, only the root known, without chain",
    },
    Case { name: "ca_without_crl_chain", title: "CA-issued, CA trusted, no CRL, chain sent" },
    Case { name: "ca_without_crl_leaf", title: "CA-issued, CA trusted, no CRL, without chain" },
    Case { name: "revoked_chain", title: "revoked by the CA's CRL, chain sent" },
    Case { name: "revoked_leaf", title: "revoked by the CA's CRL, without chain" },
    Case { name: "unknown_ca_chain", title: "issued by a CA unknown there, chain sent" },
    Case { name: "unknown_ca_leaf", title: "issued by a CA unknown there, without chain" },
    Case { name: "leaf_trusted_ca_unknown", title: "trusted itself, its CA unknown there" },
    Case { name: "wrong_key", title: "the private key is another certificate's" },
    Case {
        name: "wrong_key_sent",
        title: "the private key is another certificate's, on the wire (switched by a relay)",
    },
];

/// Tries all certificates with all policies and modes; also tells what the server calls itself.
pub(crate) fn see(stack: Stack, expected: &Table) -> Option<(String, Verdicts)> {
    let scene = Scene::new();
    let server = start_or_skip(stack, scene.options(stack))?;
    let mut verdicts = Verdicts::new();
    let mut product = None;
    for case in CASES {
        for policy in Policy::RSA {
            for mode in Mode::ALL {
                let attempt = scene.attempt(case.name, &server);
                let key = Key::with(case.name, policy, mode);
                let target = with_security(&attempt.target, policy, mode);
                if case.name == "untrusted_again" {
                    observe(expected, &key, &target, attempt.clock);
                }
                let (observation, report) = observe(expected, &key, &target, attempt.clock);
                if let Some(build_info) = report.server.and_then(|server| server.build_info) {
                    let BuildInfo { product_name, software_version, .. } = build_info;
                    product.get_or_insert_with(|| format!("{product_name} {software_version}"));
                }
                verdicts.push((key, observation));
            }
        }
    }
    Some((product.unwrap_or_default(), verdicts))
}

/// The same target with this policy and mode.
pub(super) fn with_security(target: &Target, policy: Policy, mode: Mode) -> Target {
    let mut target = target.clone();
    target.security_policy = SecurityPolicy::from_uri(&policy.uri());
    target.security_mode = match mode {
        Mode::Sign => SecurityMode::Sign,
        Mode::SignAndEncrypt => SecurityMode::SignAndEncrypt,
    };
    target
}

struct Attempt {
    target: Target,
    clock: ClockReading,
}

/// The certificates, which all stacks get to see, and their authorities.
struct Scene {
    trusted: TestCertificate,
    rsa_1024: TestCertificate,
    rsa_3072: TestCertificate,
    rsa_4096: TestCertificate,
    sha1: TestCertificate,
    untrusted: TestCertificate,
    expired: TestCertificate,
    not_yet_valid: TestCertificate,
    no_san: TestCertificate,
    no_key_usage: TestCertificate,
    key_usage_signature_only: TestCertificate,
    no_extended_key_usage: TestCertificate,
    authority: TestCertificate,
    issued: TestCertificate,
    revoked: TestCertificate,
    intermediate: TestCertificate,
    issued_by_intermediate: TestCertificate,
    authority_without_crl: TestCertificate,
    issued_without_crl: TestCertificate,
    issued_by_unknown: TestCertificate,
    trusted_of_unknown: TestCertificate,
    another_key: TestCertificate,
}

impl Scene {
    fn new() -> Self {
        let named = |name: &str| CertificateSpec::application(URI).named(name);
        let issued = |name: &str, issuer| CertificateSpec::issued_application(URI, issuer).named(name).make();
        let authority = CertificateSpec::authority("Interop authority").make();
        let intermediate = CertificateSpec {
            issuer: Some(authority.clone()),
            ..CertificateSpec::authority("Interop intermediate").with_shared_key(2048, 101)
        }
        .make();
        let authority_without_crl =
            CertificateSpec::authority("Interop authority without CRL").with_shared_key(2048, 102).make();
        let unknown = CertificateSpec::authority("Interop unknown").with_shared_key(2048, 103).make();
        Self {
            trusted: named("trusted").make(),
            rsa_1024: named("rsa 1024").with_shared_key(1024, 0).make(),
            rsa_3072: named("rsa 3072").with_shared_key(3072, 0).make(),
            rsa_4096: named("rsa 4096").with_shared_key(4096, 0).make(),
            sha1: CertificateSpec { signature_hash: SignatureHash::Sha1, ..named("sha1") }.make(),
            untrusted: named("untrusted again").make(),
            expired: named("expired").expired().make(),
            not_yet_valid: named("not yet valid").not_yet_valid().make(),
            no_san: CertificateSpec { san: Vec::<San>::new(), ..named("no san") }.make(),
            no_key_usage: CertificateSpec { key_usage: vec![], ..named("no key usage") }.make(),
            key_usage_signature_only: CertificateSpec {
                key_usage: vec![KeyUsage::DigitalSignature],
                ..named("signature only")
            }
            .make(),
            no_extended_key_usage: CertificateSpec { extended_key_usage: vec![], ..named("no eku") }.make(),
            issued: issued("issued", &authority),
            revoked: issued("revoked", &authority),
            issued_by_intermediate: issued("issued by intermediate", &intermediate),
            issued_without_crl: issued("issued without crl", &authority_without_crl),
            issued_by_unknown: issued("issued by unknown", &unknown),
            trusted_of_unknown: issued("trusted of unknown", &unknown),
            // Of the length of `trusted`, whose place it takes.
            another_key: named("another").with_shared_key(2048, 1).make(),
            authority,
            intermediate,
            authority_without_crl,
        }
    }

    /// A server that trusts whatever is not to fail for want of trust.
    fn options(&self, stack: Stack) -> ServerOptions {
        let options = ServerOptions::trusting(&[
            &self.trusted,
            &self.rsa_1024,
            &self.rsa_3072,
            &self.rsa_4096,
            &self.sha1,
            &self.expired,
            &self.not_yet_valid,
            &self.no_san,
            &self.no_key_usage,
            &self.key_usage_signature_only,
            &self.no_extended_key_usage,
            &self.trusted_of_unknown,
            &self.another_key,
            &self.authority,
            &self.authority_without_crl,
        ]);
        if !stack.can(Ability::Authorities) {
            return options;
        }
        let revocation_lists = vec![
            revocation_list(&self.authority, &[&self.revoked]),
            revocation_list(&self.intermediate, &[]),
        ];
        ServerOptions { revocation_lists, ..options }
    }

    fn attempt(&self, case: &str, server: &Server) -> Attempt {
        let present = |certificate: &TestCertificate, sending| Attempt {
            target: target(&server.endpoint_url, certificate, certificate.key(), sending),
            clock: ClockReading::system(),
        };
        let chain = |certificate| present(certificate, Sending::Chain);
        let leaf = |certificate| present(certificate, Sending::Leaf);
        let sent = |certificate| Attempt { clock: disbelieved_clock(), ..leaf(certificate) };
        match case {
            "trusted" => leaf(&self.trusted),
            "rsa_1024" => leaf(&self.rsa_1024),
            "rsa_3072" => leaf(&self.rsa_3072),
            "rsa_4096" => leaf(&self.rsa_4096),
            "sha1" => leaf(&self.sha1),
            // A new one each time, since servers remember those that they have refused.
            "untrusted" => leaf(&CertificateSpec::application(URI).named("untrusted").make()),
            "untrusted_again" => leaf(&self.untrusted),
            "expired" => leaf(&self.expired),
            "expired_sent" => sent(&self.expired),
            "not_yet_valid" => leaf(&self.not_yet_valid),
            "not_yet_valid_sent" => sent(&self.not_yet_valid),
            "uri_mismatch" => {
                let mut attempt = leaf(&self.trusted);
                attempt.target.application_uri = "urn:koios:test:another".to_owned();
                attempt
            }
            "no_san" => leaf(&self.no_san),
            "no_key_usage" => leaf(&self.no_key_usage),
            "key_usage_signature_only" => leaf(&self.key_usage_signature_only),
            "no_extended_key_usage" => leaf(&self.no_extended_key_usage),
            "ca_issued_chain" => chain(&self.issued),
            "ca_issued_leaf" => leaf(&self.issued),
            "intermediate_chain" => chain(&self.issued_by_intermediate),
            "intermediate_leaf" => leaf(&self.issued_by_intermediate),
            "ca_without_crl_chain" => chain(&self.issued_without_crl),
            "ca_without_crl_leaf" => leaf(&self.issued_without_crl),
            "revoked_chain" => chain(&self.revoked),
            "revoked_leaf" => leaf(&self.revoked),
            "unknown_ca_chain" => chain(&self.issued_by_unknown),
            "unknown_ca_leaf" => leaf(&self.issued_by_unknown),
            "leaf_trusted_ca_unknown" => leaf(&self.trusted_of_unknown),
            "wrong_key" => {
                let (trusted, another) = (&self.trusted, self.another_key.key());
                let target = target(&server.endpoint_url, trusted, another, Sending::Leaf);
                Attempt { target, clock: ClockReading::system() }
            }
            "wrong_key_sent" => {
                let relay = switch(server, Towards::Server, &self.trusted, &self.another_key);
                let mut attempt = leaf(&self.trusted);
                attempt.target.endpoint_url = url(&relay);
                attempt
            }
            _ => panic!("{case} is not known"),
        }
    }
}

/// How much of its chain a client has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sending {
    Chain,
    Leaf,
}

/// A target with certificate and key as a device's are read from its files.
fn target(endpoint_url: &str, certificate: &TestCertificate, key: &TestKey, sending: Sending) -> Target {
    let pem = match sending {
        Sending::Chain => certificate.chain_pem(),
        Sending::Leaf => certificate.pem(),
    };
    let chain = read_certificates(pem.as_bytes()).expect("certificates");
    let unavailable = |reason, detail: String| ClientCertificate::Unavailable {
        reason,
        detail,
        label: None,
        chain: Some(chain.clone()),
    };
    let mut target = Target::new(url(endpoint_url), URI);
    target.client = match PrivateKey::from_pem(&PrivateKeyPem::from_bytes(key.pem().as_bytes().to_vec())) {
        Err(error @ KeyError::UnsupportedSize { .. }) => {
            unavailable(UnavailableReason::KeySize, error.to_string())
        }
        Err(error) => panic!("a key: {error}"),
        Ok(key) => match ClientIdentity::new(chain.clone(), key) {
            Ok(identity) => ClientCertificate::Ready { identity: Arc::new(identity), label: None },
            Err(error @ IdentityError::KeyMismatch { .. }) => {
                unavailable(UnavailableReason::KeyMismatch, error.to_string())
            }
            Err(error) => panic!("an identity: {error}"),
        },
    };
    target
}
