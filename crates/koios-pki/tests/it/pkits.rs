//! NIST's path validation tests (PKITS): chains of others, with the verdicts of others.
//!
//! All of its authorities and revocation lists lie in the trust list at once, as in a plant's; its anchor alone is
//! trusted. The name of a test says what must come out. Where we differ, [`DIFFERENCES`] says why; a difference that is
//! not there fails, and so does one that is there and is none. Tests whose verdict depends on the policies that somebody
//! asks for have no verdict in their name and are only read.

use std::fs;
use std::path::{Path, PathBuf};

use koios_pki::{
    Certificate, CertificateChain, LintParams, LintRole, PeerRole, RevocationList, TrustList, TrustStatus,
    ValidationParams, lint, validate,
};
use time::OffsetDateTime;
use time::macros::datetime;

#[test]
fn the_verdicts_are_those_of_nist_but_for_listed_reasons() {
    let (trust, tests) = (trust_list(), tests());
    let params = ValidationParams::new(AT, PeerRole::User);
    let mut wrong = Vec::new();
    let (mut agreed, mut differed) = (0, 0);
    for (name, certificate) in &tests {
        let expected = if name.starts_with("Valid") {
            true
        } else if name.starts_with("Invalid") {
            false
        } else {
            continue;
        };
        let status = validate(&CertificateChain::from(certificate.clone()), &trust, &params)
            .err()
            .map(|error| error.status());
        let listed = DIFFERENCES.iter().find(|(.., names)| names.contains(&name.as_str()));
        let agrees = status.is_none() == expected;
        let as_listed = listed.is_some_and(|(_, expected, _)| *expected == status);
        if agrees {
            agreed += 1;
        } else {
            differed += 1;
        }
        if agrees == listed.is_some() || agrees == as_listed {
            wrong.push(format!("{name}: {status:?}, listed {listed:?}"));
        }
    }
    println!("PKITS: {agreed} agree, {differed} differ for a reason");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn refusals_are_for_the_fault_that_nist_made() {
    let (trust, tests) = (trust_list(), tests());
    let params = ValidationParams::new(AT, PeerRole::User);
    for (status, names) in REFUSALS {
        for name in *names {
            let (_, certificate) = tests.iter().find(|(other, _)| other == name).unwrap();
            let error = validate(&CertificateChain::from(certificate.clone()), &trust, &params).unwrap_err();
            assert_eq!(error.status(), *status, "{name}: {error}");
        }
    }
}

#[test]
fn every_certificate_can_be_inspected_and_linted() {
    for (name, der) in files("certs") {
        let certificate = Certificate::from_der(&der).unwrap_or_else(|error| panic!("{name}: {error}"));
        let inspection = certificate.inspect();
        assert!(inspection.version() >= 1 && inspection.der_len() == der.len(), "{name}");
        let _ = (inspection.serial_number(), inspection.signature_algorithm(), inspection.validity());
        let _ = (inspection.subject(), inspection.issuer(), inspection.key(), inspection.extensions());
        lint(&CertificateChain::from(certificate), &LintParams::new(AT, LintRole::Client));
    }
}

/// Nothing of it had expired that is not meant to have.
const AT: OffsetDateTime = datetime!(2026-11-26 12:00 UTC);

/// Why our verdict is another one, which it is (`None`: accepted), and in which tests.
const DIFFERENCES: &[(&str, Option<TrustStatus>, &[&str])] = &[
    (
        "delta lists are left aside: a certificate is judged by the complete list alone",
        None,
        &["InvaliddeltaCRLTest4"],
    ),
    (
        "lists for a part of the certificates or reasons, and indirect lists, say nothing",
        Some(TrustStatus::RevocationUnknown),
        &[
            "ValidBasicSelfIssuedCRLSigningKeyTest6",
            "ValidBasicSelfIssuedNewWithOldTest4",
            "ValidIDPwithindirectCRLTest22",
            "ValidIDPwithindirectCRLTest24",
            "ValidIDPwithindirectCRLTest25",
            "ValidcRLIssuerTest28",
            "ValidcRLIssuerTest29",
            "ValidcRLIssuerTest30",
            "ValidcRLIssuerTest33",
            "ValiddistributionPointTest1",
            "ValiddistributionPointTest4",
            "ValiddistributionPointTest5",
            "ValiddistributionPointTest7",
            "ValidonlySomeReasonsTest18",
            "ValidonlySomeReasonsTest19",
        ],
    ),
    (
        "lists for a part of the certificates or reasons, and indirect lists, say nothing",
        Some(TrustStatus::IssuerRevocationUnknown),
        &["ValidBasicSelfIssuedNewWithOldTest3"],
    ),
    (
        "a list must be signed with the key that signed the certificate",
        Some(TrustStatus::RevocationUnknown),
        &[
            "ValidBasicSelfIssuedOldWithNewTest1",
            "ValidSelfIssuedpathLenConstraintTest15",
            "ValidSelfIssuedpathLenConstraintTest17",
            "ValidSeparateCertificateandCRLKeysTest19",
        ],
    ),
    (
        "name constraints are not understood, and are critical",
        Some(TrustStatus::CertificateInvalid),
        &[
            "ValidDNSnameConstraintsTest30",
            "ValidDNSnameConstraintsTest32",
            "ValidDNandRFC822nameConstraintsTest27",
            "ValidDNnameConstraintsTest11",
            "ValidDNnameConstraintsTest18",
            "ValidDNnameConstraintsTest19",
            "ValidDNnameConstraintsTest1",
            "ValidDNnameConstraintsTest4",
            "ValidDNnameConstraintsTest5",
            "ValidDNnameConstraintsTest6",
            "ValidRFC822nameConstraintsTest21",
            "ValidRFC822nameConstraintsTest23",
            "ValidRFC822nameConstraintsTest25",
            "ValidURInameConstraintsTest34",
            "ValidURInameConstraintsTest36",
        ],
    ),
    (
        "an application's certificate must have a subject",
        Some(TrustStatus::CertificateInvalid),
        &["ValidDNnameConstraintsTest14"],
    ),
    (
        "no security policy has DSA",
        Some(TrustStatus::CertificateInvalid),
        &["ValidDSAParameterInheritanceTest5", "ValidDSASignaturesTest4"],
    ),
    (
        "names are compared exactly but for their string types: case and blanks count",
        Some(TrustStatus::ChainIncomplete),
        &[
            "ValidNameChainingCapitalizationTest5",
            "ValidNameChainingWhitespaceTest3",
            "ValidNameChainingWhitespaceTest4",
            "ValidUTF8StringCaseInsensitiveMatchTest11",
        ],
    ),
    (
        "certificate policies are not processed, and their constraints are critical",
        Some(TrustStatus::CertificateInvalid),
        &[
            "ValidPolicyMappingTest11",
            "ValidPolicyMappingTest12",
            "ValidPolicyMappingTest13",
            "ValidPolicyMappingTest14",
            "ValidPolicyMappingTest1",
            "ValidPolicyMappingTest3",
            "ValidPolicyMappingTest5",
            "ValidPolicyMappingTest6",
            "ValidPolicyMappingTest9",
            "ValidSelfIssuedinhibitAnyPolicyTest7",
            "ValidSelfIssuedinhibitAnyPolicyTest9",
            "ValidSelfIssuedinhibitPolicyMappingTest7",
            "ValidSelfIssuedrequireExplicitPolicyTest6",
            "ValidinhibitAnyPolicyTest2",
            "ValidinhibitPolicyMappingTest2",
            "ValidinhibitPolicyMappingTest4",
            "ValidrequireExplicitPolicyTest1",
            "ValidrequireExplicitPolicyTest2",
            "ValidrequireExplicitPolicyTest4",
        ],
    ),
    (
        "delta lists are left aside: a certificate is judged by the complete list alone",
        Some(TrustStatus::Revoked),
        &["ValiddeltaCRLTest5"],
    ),
    (
        "the certificate of an authority is neither an application's nor a user's",
        Some(TrustStatus::UseNotAllowed),
        &["ValidonlyContainsCACertsTest13", "ValidpathLenConstraintTest14", "ValidpathLenConstraintTest8"],
    ),
];

/// What the tests are refused for whose question is ours. The other invalid ones are about what is not supported, or end
/// in the certificate of an authority: those we refuse whatever NIST made wrong.
const REFUSALS: &[(TrustStatus, &[&str])] = &[
    (
        TrustStatus::RevocationUnknown,
        &[
            "InvalidBadCRLIssuerNameTest5",
            "InvalidBadCRLSignatureTest4",
            "InvalidMissingCRLTest1",
            "InvalidOldCRLnextUpdateTest11",
            "InvalidUnknownCRLEntryExtensionTest8",
            "InvalidUnknownCRLExtensionTest10",
            "InvalidUnknownCRLExtensionTest9",
            "InvalidWrongCRLTest6",
            "InvalidkeyUsageCriticalcRLSignFalseTest4",
            "InvalidkeyUsageNotCriticalcRLSignFalseTest5",
            "InvalidonlyContainsAttributeCertsTest14",
            "InvalidonlyContainsCACertsTest12",
            "Invalidpre2000CRLnextUpdateTest12",
        ],
    ),
    (
        TrustStatus::CertificateInvalid,
        &[
            "InvalidCASignatureTest2",
            "InvalidEESignatureTest3",
            "InvalidUnknownCriticalCertificateExtensionTest2",
        ],
    ),
    (TrustStatus::IssuerTimeInvalid, &["InvalidCAnotAfterDateTest5", "InvalidCAnotBeforeDateTest1"]),
    (
        TrustStatus::TimeInvalid,
        &[
            "InvalidEEnotAfterDateTest6",
            "InvalidEEnotBeforeDateTest2",
            "Invalidpre2000UTCEEnotAfterDateTest7",
        ],
    ),
    (
        TrustStatus::Revoked,
        &["InvalidLongSerialNumberTest18", "InvalidNegativeSerialNumberTest15", "InvalidRevokedEETest3"],
    ),
    (
        TrustStatus::IssuerUseNotAllowed,
        &[
            "InvalidMissingbasicConstraintsTest1",
            "InvalidcAFalseTest2",
            "InvalidcAFalseTest3",
            "InvalidkeyUsageCriticalkeyCertSignFalseTest1",
            "InvalidkeyUsageNotCriticalkeyCertSignFalseTest2",
            "InvalidpathLenConstraintTest11",
            "InvalidpathLenConstraintTest5",
            "InvalidpathLenConstraintTest9",
        ],
    ),
    (TrustStatus::ChainIncomplete, &["InvalidNameChainingOrderTest2", "InvalidNameChainingTest1"]),
    (TrustStatus::IssuerRevoked, &["InvalidRevokedCATest2"]),
];

fn trust_list() -> TrustList {
    let mut trust = TrustList::default();
    for (name, der) in files("certs").into_iter().filter(|(name, _)| !name.ends_with("EE")) {
        let certificate = Certificate::from_der(&der).unwrap();
        if name == "TrustAnchorRootCertificate" { &mut trust.trusted } else { &mut trust.issuers }
            .push(certificate);
    }
    for (name, der) in files("crls") {
        match RevocationList::from_der(&der) {
            Ok(list) => trust.revocation_lists.push(list),
            // Its signature is broken so that it is not even a well-formed one.
            Err(error) => assert_eq!(name, "BadCRLSignatureCACRL", "{error}"),
        }
    }
    trust
}

/// The certificates at the ends of the chains, by the names of the tests.
fn tests() -> Vec<(String, Certificate)> {
    let ends =
        files("certs").into_iter().filter_map(|(name, der)| Some((name.strip_suffix("EE")?.to_owned(), der)));
    ends.map(|(name, der)| (name, Certificate::from_der(&der).unwrap())).collect()
}

/// In the order of their names, without extensions.
fn files(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pkits").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    files.iter().map(|path| (name(path), fs::read(path).unwrap())).collect()
}
