//! What must hold for every input, however hostile.

use std::sync::LazyLock;

use koios_pki::{
    ApplicationUri, Certificate, CertificateChain, CertificateType, FindingCode, HostName, IssueError,
    LintParams, LintRole, PrivateKey, PrivateKeyPem, SelfSignedParams, SerialNumber, Sha1Thumbprint,
    Validity, ValidityStatus, common_name_for, findings, lint, read_certificates, read_pair, self_signed,
    server_findings, slug,
};
use proptest::prelude::*;
use time::{Duration, OffsetDateTime};

use crate::samples::{CERTIFICATE, KEY_2048, KEY_3072, NOW, issued_certificate, pem_of};

/// Sound inputs of every kind, to be damaged.
static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let (leaf, authority) = issued_certificate(&KEY_3072, |_| {}, |_| {});
    let key = pem_of(&KEY_2048);
    vec![
        CERTIFICATE.der().to_vec(),
        CERTIFICATE.to_pem().into_bytes(),
        [leaf.der(), authority.der()].concat(),
        [leaf.to_pem().as_bytes(), authority.to_pem().as_bytes()].concat(),
        [CERTIFICATE.to_pem().as_bytes(), &key].concat(),
        key,
    ]
});

/// A seed with some bytes replaced, removed, doubled or added.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<prop::sample::Index>(), any::<u8>(), 0..5_u8);
    (0..SEEDS.len(), prop::collection::vec(edit, 0..6)).prop_map(|(seed, edits)| {
        let mut bytes = SEEDS[seed].clone();
        for (index, byte, kind) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = index.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes[at] ^= 1 << (byte % 8),
                2 => drop(bytes.remove(at)),
                3 => bytes.insert(at, byte),
                _ => bytes.truncate(at),
            }
        }
        bytes
    })
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![3 => damaged(), 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

/// Looks at everything a certificate shows, since some of it is computed late.
fn look_at(chain: &CertificateChain) {
    for certificate in chain.iter() {
        let _ = (certificate.is_self_signed(), certificate.public_key(), format!("{certificate:?}"));
        assert_eq!(Certificate::from_der(certificate.der()).as_ref(), Ok(certificate));
        let inspection = certificate.inspect();
        assert_eq!(inspection.subject().to_string(), certificate.subject());
        assert_eq!(inspection.serial_number().to_string(), certificate.serial_number());
        assert!(inspection.subject().rdns().flatten().eq(inspection.subject().attributes()));
        let _ = format!("{:?} {:?} {:?}", inspection.key(), inspection.extensions(), inspection.issuer());
        let _ = (inspection.signature_algorithm(), inspection.time_encodings(), inspection.thumbprint_sha1());
    }
    let _ = findings(chain, NOW);
    let _ = server_findings(chain, "gw01", Some("urn:x"), NOW);
    for certificate_type in [None, Some(CertificateType::RsaMin), Some(CertificateType::EccNistP256)] {
        let mut params = LintParams::new(NOW, LintRole::Either);
        params.certificate_type = certificate_type;
        let found = lint(chain, &params);
        assert!(found.is_sorted_by_key(|finding| std::cmp::Reverse(finding.severity)));
    }
    assert_eq!(CertificateChain::from_der_blob(&chain.to_der_blob(), chain.len()).as_ref(), Ok(chain));
    assert_eq!(CertificateChain::from_pem(chain.to_pem().as_bytes()).as_ref(), Ok(chain));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_readers_of_certificates_panic(bytes in any_bytes()) {
        if let Ok(certificate) = Certificate::from_der(&bytes) {
            prop_assert_eq!(certificate.der(), bytes.as_slice());
            look_at(&certificate.into());
        }
        if let Ok(chain) = read_certificates(&bytes) {
            look_at(&chain);
        }
        if let Ok(chain) = CertificateChain::from_der_blob(&bytes, 3) {
            prop_assert_eq!(chain.to_der_blob(), bytes);
        }
    }

    #[test]
    fn no_bytes_make_the_reader_of_pairs_panic(bytes in any_bytes(), key in any_bytes()) {
        for result in [
            read_pair(&bytes, Some(&key), Some("secret")),
            read_pair(&bytes, None, None),
            read_pair(CERTIFICATE.der(), Some(&key), Some("secret")),
        ] {
            match result {
                Ok((chain, key)) => prop_assert!(key.matches(chain.leaf())),
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }
        let _ = PrivateKey::from_pem(&PrivateKeyPem::from_bytes(key));
    }

    #[test]
    fn a_host_name_read_is_clean_and_reads_as_itself(text in host_like()) {
        if let Ok(host) = HostName::parse(&text) {
            let shown = host.to_string();
            prop_assert_eq!(HostName::parse(&shown), Ok(host.clone()));
            prop_assert!(shown.is_ascii() && shown.len() <= 253 && !shown.is_empty());
            prop_assert!(!shown.bytes().any(|byte| byte.is_ascii_uppercase() || byte <= b' '));
            if let HostName::Dns { name, valid_in_san } = &host {
                prop_assert_eq!(*valid_in_san, !name.contains('_'));
                prop_assert!(name.split('.').all(|label| (1..=63).contains(&label.len())));
            }
            if let Ok(common_name) = common_name_for(&host) {
                prop_assert!(common_name.starts_with("Koios@") && common_name.len() <= 64);
            }
            let uri = ApplicationUri::for_certificate(&host, &slug(&text));
            prop_assert_eq!(ApplicationUri::parse(uri.as_str()), Ok(uri));
        }
    }

    #[test]
    fn a_slug_is_clean_and_its_own_slug(name in any::<String>()) {
        let slugged = slug(&name);
        let again = slug(&slugged);
        prop_assert_eq!(&again, &slugged);
        prop_assert!((1..=128).contains(&slugged.len()));
        prop_assert!(slugged.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
        prop_assert!(!slugged.starts_with('-') && !slugged.ends_with('-') && !slugged.contains("--"));
    }

    #[test]
    fn a_uri_read_is_ascii_and_unchanged(text in prop_oneof![any::<String>(), "[a-z:/%0-9 é#\\[]{0,40}", "urn:[a-z-]{0,5}:.{0,20}"]) {
        if let Ok(uri) = ApplicationUri::parse(&text) {
            prop_assert_eq!(uri.as_str(), text.as_str());
            prop_assert!(text.is_ascii() && text.contains(':') && text.len() <= 255);
            prop_assert!(!text.contains(char::is_whitespace));
        }
    }

    #[test]
    fn a_thumbprint_shown_is_read_back(bytes in any::<[u8; 20]>()) {
        let thumbprint = Sha1Thumbprint::from(bytes);
        prop_assert_eq!(thumbprint.to_string().parse::<Sha1Thumbprint>(), Ok(thumbprint));
        prop_assert_eq!(thumbprint.to_string().to_lowercase().parse::<Sha1Thumbprint>(), Ok(thumbprint));
    }

    #[test]
    fn text_that_is_no_thumbprint_never_panics(text in any::<String>()) {
        prop_assert!(text.parse::<Sha1Thumbprint>().is_err());
    }

    #[test]
    fn days_left_and_status_agree(seconds in 0..4_000_000_000_i64, days in 0..10_000_u32, offset in -2_000_000_000..2_000_000_000_i64) {
        let made = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        let validity = Validity::starting_at(made, days);
        let now = made + Duration::seconds(offset);
        match validity.status_at(now) {
            ValidityStatus::Expired => prop_assert!(validity.whole_days_left(now) < 0),
            _ => prop_assert!(validity.whole_days_left(now) >= 0),
        }
    }
}

proptest! {
    // Each case signs once.
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_certificate_made_says_what_it_was_made_from(
        common_name in "[^\\p{Cc}]{1,64}",
        organization in "[^\\p{Cc}]{1,64}",
        slug_text in "[a-z0-9-]{1,40}",
        random in any::<[u8; 16]>(),
        made in -1_000_000_000..9_000_000_000_i64,
        days in 0..40_000_u32,
        dns_names in prop::collection::vec("[a-z0-9.-]{1,60}", 0..4),
        addresses in prop::collection::vec(any::<std::net::IpAddr>(), 0..4),
    ) {
        prop_assume!(!common_name.trim().is_empty() && !organization.trim().is_empty());
        let host = HostName::parse("gw01").unwrap();
        let validity = Validity::starting_at(OffsetDateTime::from_unix_timestamp(made).unwrap(), days);
        let uri = ApplicationUri::for_certificate(&host, &slug_text);
        let serial = SerialNumber::from_random_bytes(random);
        let mut params = SelfSignedParams::new(&common_name, &organization, uri, validity, serial);
        params.dns_names = dns_names;
        params.ip_addresses = addresses;
        let certificate = match self_signed(&params, &KEY_2048) {
            Ok(certificate) => certificate,
            Err(error) => {
                prop_assert!(matches!(error, IssueError::Validity), "{:?}", error);
                prop_assert!(validity.not_before.unix_timestamp() < 0);
                return Ok(());
            }
        };
        prop_assert_eq!(certificate.common_name(), Some(common_name.as_str()));
        prop_assert_eq!(certificate.organization(), Some(organization.as_str()));
        prop_assert_eq!(certificate.application_uri(), Some(params.application_uri.as_str()));
        prop_assert_eq!(certificate.dns_names(), params.dns_names.as_slice());
        prop_assert_eq!(certificate.ip_addresses(), params.ip_addresses.as_slice());
        prop_assert_eq!(certificate.validity(), validity);
        prop_assert!(certificate.is_self_signed() && KEY_2048.matches(&certificate));
        prop_assert!(!certificate.serial_number().starts_with('-'));
        let now = validity.not_after;
        let found = findings(&certificate.into(), now);
        prop_assert!(found.iter().all(|finding| finding.code == FindingCode::ValidityVeryLong), "{:?}", found);
    }
}

/// Text near to host names, so that many cases get past the first check.
fn host_like() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-zA-Z0-9_.-]{1,80}",
        "([a-z0-9_-]{1,70}\\.){0,5}[a-z0-9]{1,10}\\.?",
        "[0-9a-f:.\\[\\]]{1,40}",
        "[a-zäöü日本.。xn-]{1,30}",
    ]
}
