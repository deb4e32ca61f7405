//! What we make, read by ourselves and judged by OpenSSL.

use koios_pki::{
    Certificate, CertificateChain, IssueError, KeyAlgorithm, Profile, SelfSignedParams, SerialNumber,
    Validity, findings, self_signed,
};
use time::Duration;
use time::macros::datetime;

use crate::openssl::OpenSsl;
use crate::samples::{CERTIFICATE, KEY_2048, KEY_P256, NOW, OTHER_KEY_2048, all_keys, params, pem_of};

#[test]
fn r5_a_generated_certificate_says_what_was_asked_for() {
    let params = params();
    let certificate = &*CERTIFICATE;
    assert_eq!(certificate.version(), 3);
    assert_eq!(certificate.subject(), "CN=Koios@gw01.plant.example, O=Koios");
    assert_eq!(certificate.issuer(), certificate.subject());
    assert_eq!(certificate.common_name(), Some("Koios@gw01.plant.example"));
    assert_eq!(certificate.organization(), Some("Koios"));
    assert_eq!(certificate.application_uris(), ["urn:koios:gw01.plant.example:plant-a"]);
    assert!(certificate.is_application_uri_first());
    assert_eq!(certificate.dns_names(), params.dns_names);
    assert_eq!(certificate.ip_addresses(), params.ip_addresses);
    assert_eq!(certificate.validity(), params.validity);
    assert_eq!(certificate.serial_number(), "1F2031352072616E646F6D2062797465");
    assert_eq!(certificate.signature_algorithm(), "sha256WithRSAEncryption");
    assert_eq!(certificate.key_algorithm(), &KeyAlgorithm::Rsa { bits: 2048 });
    assert!(certificate.is_self_signed());
    assert!(KEY_2048.matches(certificate));
    assert!(!OTHER_KEY_2048.matches(certificate));
}

#[test]
fn a_generated_certificate_has_the_extensions_of_opc_10000_6() {
    let certificate = &*CERTIFICATE;
    let key_usage = certificate.key_usage().unwrap();
    assert!(key_usage.digital_signature() && key_usage.non_repudiation());
    assert!(key_usage.key_encipherment() && key_usage.data_encipherment());
    assert!(key_usage.key_cert_sign() && !key_usage.crl_sign() && key_usage.is_critical());
    let extended = certificate.extended_key_usage().unwrap();
    assert!(extended.client_auth() && extended.server_auth() && !extended.is_critical());
    let constraints = certificate.basic_constraints().unwrap();
    assert!(!constraints.ca && constraints.path_len.is_none() && constraints.critical);
    let subject_key = certificate.subject_key_identifier().unwrap();
    assert_eq!(subject_key.len(), 20);
    let authority = certificate.authority_key_identifier().unwrap();
    assert_eq!(authority.key_identifier.as_deref(), Some(subject_key));
    assert!(authority.has_issuer_and_serial);
}

#[test]
fn our_own_judgement_finds_nothing_in_what_we_make() {
    for key in all_keys() {
        let chain = self_signed(&params(), key).unwrap().into();
        assert_eq!(findings(&chain, NOW), []);
    }
}

#[test]
fn openssl_reads_every_field_as_it_was_meant() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("certificate.der", CERTIFICATE.der());
    let text =
        openssl.stdout("x509 -inform DER -in certificate.der -noout -text -nameopt RFC2253,utf8,show_type");
    let after = |heading: &str| {
        let mut lines = text.lines().map(str::trim).skip_while(|line| !line.starts_with(heading));
        lines.nth(1).unwrap_or_else(|| panic!("{heading} in\n{text}")).to_owned()
    };
    assert!(text.contains("Version: 3 (0x2)"), "{text}");
    assert!(text.contains("Signature Algorithm: sha256WithRSAEncryption"));
    assert!(text.contains("O=UTF8STRING:Koios,CN=UTF8STRING:Koios@gw01.plant.example"), "{text}");
    assert!(text.contains("Not Before: Nov 22 10:00:00 2026 GMT"), "{text}");
    assert!(text.contains("Not After : Nov 22 10:00:00 2029 GMT"), "{text}");
    assert!(!text.contains("Negative"));
    assert_eq!(
        after("X509v3 Subject Alternative Name:"),
        "URI:urn:koios:gw01.plant.example:plant-a, DNS:gw01.plant.example, DNS:gw01, IP Address:192.0.2.7, \
         IP Address:2001:DB8:0:0:0:0:0:7"
    );
    assert_eq!(
        after("X509v3 Key Usage: critical"),
        "Digital Signature, Non Repudiation, Key Encipherment, Data Encipherment, Certificate Sign"
    );
    assert_eq!(
        after("X509v3 Extended Key Usage:"),
        "TLS Web Client Authentication, TLS Web Server Authentication"
    );
    assert_eq!(after("X509v3 Basic Constraints: critical"), "CA:FALSE");
    let subject_key = after("X509v3 Subject Key Identifier:");
    assert_eq!(after("X509v3 Authority Key Identifier:"), format!("keyid:{subject_key}"));
    let serial = after("Serial Number:").to_uppercase();
    assert_eq!(serial.replace(':', ""), CERTIFICATE.serial_number());
    assert!(text.contains(&format!("serial:{serial}")), "the authority's serial is our own:\n{text}");
    assert!(text.contains("DirName:"), "{text}");
}

#[test]
fn openssl_agrees_on_thumbprints_key_identifier_and_the_der_of_basic_constraints() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("certificate.der", CERTIFICATE.der());
    let fingerprint = |hash: &str| {
        let text =
            openssl.stdout(&format!("x509 -inform DER -in certificate.der -noout -fingerprint -{hash}"));
        text.trim().rsplit('=').next().unwrap().replace(':', "")
    };
    assert_eq!(fingerprint("sha1"), CERTIFICATE.thumbprint_sha1().to_string());
    assert_eq!(fingerprint("sha256"), CERTIFICATE.thumbprint_sha256().to_string());

    // `hash` in OpenSSL is the SHA-1 form of RFC 5280 §4.2.1.2 (1).
    openssl.write("key.pem", pem_of(&KEY_2048));
    openssl.run(
        "req -x509 -key key.pem -out again.pem -days 1 -subj /CN=again -addext subjectKeyIdentifier=hash",
    );
    let again = CertificateChain::from_pem(&openssl.read("again.pem")).unwrap();
    assert_eq!(again.leaf().subject_key_identifier(), CERTIFICATE.subject_key_identifier());

    let structure = openssl.stdout("asn1parse -inform DER -in certificate.der");
    assert!(structure.contains("[HEX DUMP]:3000"), "cA FALSE is an empty SEQUENCE:\n{structure}");
    assert!(
        structure.contains("[HEX DUMP]:030202F4"),
        "keyUsage has its trailing zero bits cut:\n{structure}"
    );
}

#[test]
fn openssl_verifies_generated_certificates_also_strictly_and_for_both_roles() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    for key in all_keys() {
        let certificate = self_signed(&params(), key).unwrap();
        openssl.write("certificate.pem", certificate.to_pem());
        // The certificate is its own anchor, as in a server's trusted folder. OpenSSL checks the signature of an
        // anchor only when told to, and takes one that is no authority as an anchor only for itself.
        let at = NOW.unix_timestamp();
        for options in ["", "-x509_strict", "-partial_chain", "-purpose sslclient", "-purpose sslserver"] {
            let verdict = openssl.stdout(&format!(
                "verify -CAfile certificate.pem -check_ss_sig -attime {at} {options} certificate.pem"
            ));
            assert_eq!(verdict.trim(), "certificate.pem: OK", "{options}");
        }
        let late = (NOW + Duration::days(1096)).unix_timestamp();
        let verdict =
            openssl.try_run(&format!("verify -CAfile certificate.pem -attime {late} certificate.pem"));
        assert!(!verdict.status.success(), "OpenSSL refuses it after its time");
    }
}

#[test]
fn openssl_takes_generated_keys_for_sound_and_belonging_to_their_certificates() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    for key in all_keys() {
        openssl.write("key.pem", pem_of(key));
        openssl.write("certificate.pem", self_signed(&params(), key).unwrap().to_pem());
        assert!(openssl.stdout("pkey -in key.pem -noout -check").contains("Key is valid"));
        let public = openssl.stdout("pkey -in key.pem -pubout");
        assert_eq!(public, openssl.stdout("x509 -in certificate.pem -noout -pubkey"));
        let text = openssl.stdout("pkey -in key.pem -noout -text");
        let shown = match key.algorithm() {
            KeyAlgorithm::Rsa { bits } => format!("{bits} bit, 2 primes"),
            KeyAlgorithm::Ec { curve } => format!("NIST CURVE: {curve}"),
            other => panic!("{other}"),
        };
        assert!(text.contains(&shown), "{}", text.lines().next().unwrap());
    }
}

#[test]
fn times_through_2049_are_utc_time_and_later_ones_generalized_time() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    let mut params = params();
    params.validity = Validity {
        not_before: datetime!(2049-12-31 23:59:59 UTC),
        not_after: datetime!(2050-01-01 00:00:00 UTC),
    };
    let certificate = self_signed(&params, &KEY_2048).unwrap();
    assert_eq!(certificate.validity(), params.validity);
    openssl.write("certificate.der", certificate.der());
    let structure = openssl.stdout("asn1parse -inform DER -in certificate.der");
    assert!(structure.contains("UTCTIME           :491231235959Z"), "{structure}");
    assert!(structure.contains("GENERALIZEDTIME   :20500101000000Z"), "{structure}");
}

#[test]
fn the_shortest_and_longest_serial_numbers_stay_positive() {
    let mut params = params();
    for (random, shown) in [([0; 16], "01"), ([0xFF; 16], "7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF")] {
        params.serial_number = SerialNumber::from_random_bytes(random);
        assert_eq!(self_signed(&params, &KEY_2048).unwrap().serial_number(), shown);
    }
    // A number whose first significant byte has its top bit set needs a zero before it.
    let mut random = [0; 16];
    random[15] = 0x80;
    params.serial_number = SerialNumber::from_random_bytes(random);
    assert_eq!(self_signed(&params, &KEY_2048).unwrap().serial_number(), "80");
}

#[test]
fn names_beyond_ascii_stay_as_they_are() {
    let mut params = params();
    params.subject.common_name = "Köios@Wärmepumpe 日本".to_owned();
    params.subject.organization = "Müller, Söhne + Co".to_owned();
    let certificate = self_signed(&params, &KEY_2048).unwrap();
    assert_eq!(certificate.common_name(), Some("Köios@Wärmepumpe 日本"));
    assert_eq!(certificate.organization(), Some("Müller, Söhne + Co"));
    assert_eq!(certificate.subject(), "CN=Köios@Wärmepumpe 日本, O=Müller\\, Söhne \\+ Co");
    assert!(certificate.is_self_signed());
}

#[test]
fn parameters_that_no_certificate_can_hold_are_refused() {
    let refused = |change: &dyn Fn(&mut SelfSignedParams)| {
        let mut params = params();
        change(&mut params);
        self_signed(&params, &KEY_2048).unwrap_err()
    };
    let length = |error: IssueError| match error {
        IssueError::NameLength { field, len, .. } => (field, len),
        other => panic!("{other}"),
    };
    assert_eq!(length(refused(&|params| params.subject.common_name = String::new())), ("common name", 0));
    assert_eq!(length(refused(&|params| params.subject.common_name = "ä".repeat(65))), ("common name", 65));
    assert_eq!(length(refused(&|params| params.subject.organization = "  ".to_owned())), ("organization", 2));
    let control = refused(&|params| params.subject.organization = "a\nb".to_owned());
    assert!(matches!(control, IssueError::NameCharacter { field: "organization" }));
    let dns_name = refused(&|params| params.dns_names = vec!["wärme".to_owned()]);
    assert!(matches!(dns_name, IssueError::DnsName { .. }));
    for name in ["", "plant example", "gw01\n", "gw01.plant.example\0.attacker.example"] {
        let dns_name = refused(&|params| params.dns_names = vec![name.to_owned()]);
        assert!(matches!(dns_name, IssueError::DnsName { .. }), "{name:?}");
    }
    let validity =
        refused(&|params| params.validity.not_after = params.validity.not_before - Duration::SECOND);
    assert!(matches!(validity, IssueError::Validity));
    let validity = refused(&|params| params.validity.not_before = datetime!(1969-12-31 23:59:59 UTC));
    assert!(matches!(validity, IssueError::Validity));

    let mut longest = params();
    longest.subject.common_name = "ä".repeat(64);
    assert!(self_signed(&longest, &KEY_2048).is_ok());
}

#[test]
fn a_certificate_without_host_names_holds_the_uri_alone() {
    let mut params = params();
    params.dns_names.clear();
    params.ip_addresses.clear();
    let certificate = self_signed(&params, &KEY_2048).unwrap();
    assert_eq!(certificate.dns_names(), [""; 0]);
    assert_eq!(certificate.application_uri(), Some(params.application_uri.as_str()));
    let chain = CertificateChain::new(certificate, Vec::new());
    assert_eq!(findings(&chain, NOW), []);
}

#[test]
fn der_and_pem_of_a_certificate_are_read_back_unchanged() {
    let certificate = &*CERTIFICATE;
    assert_eq!(Certificate::from_der(certificate.der()).as_ref(), Ok(certificate));
    let chain = CertificateChain::from_pem(certificate.to_pem().as_bytes()).unwrap();
    assert_eq!((chain.leaf(), chain.len()), (certificate, 1));
}

#[test]
fn every_attribute_of_a_subject_is_written_in_its_order_and_bounded() {
    let mut params = params();
    params.subject.organizational_unit = Some("Line 1".to_owned());
    params.subject.locality = Some("Ulm".to_owned());
    params.subject.state = Some("Baden-Württemberg".to_owned());
    params.subject.country = Some("DE".to_owned());
    let certificate = self_signed(&params, &KEY_P256).unwrap();
    assert_eq!(
        certificate.subject(),
        "CN=Koios@gw01.plant.example, O=Koios, OU=Line 1, L=Ulm, ST=Baden-Württemberg, C=DE"
    );
    if let Some(openssl) = OpenSsl::or_skip() {
        openssl.write("certificate.pem", certificate.to_pem());
        let subject =
            openssl.stdout("x509 -in certificate.pem -noout -subject -nameopt RFC2253,show_type,-esc_msb");
        assert!(subject.contains("C=PRINTABLESTRING:DE,ST=UTF8STRING:"), "{subject}");
    }
    type Change = fn(&mut SelfSignedParams);
    let long: [(Change, &str, usize); 3] = [
        (|params| params.subject.organizational_unit = Some("a".repeat(65)), "organizational unit", 64),
        (|params| params.subject.locality = Some("a".repeat(129)), "locality", 128),
        (|params| params.subject.state = Some("a".repeat(129)), "state", 128),
    ];
    for (change, name, bound) in long {
        let mut params = params.clone();
        change(&mut params);
        let error = self_signed(&params, &KEY_P256).unwrap_err();
        let fits =
            matches!(error, IssueError::NameLength { field, max, .. } if (field, max) == (name, bound));
        assert!(fits, "{error}");
    }
    for country in ["de", "D", "DEU", "D1", ""] {
        params.subject.country = Some(country.to_owned());
        let error = self_signed(&params, &KEY_P256).unwrap_err();
        assert!(matches!(error, IssueError::Country { .. }), "{country}: {error}");
    }
}

#[test]
fn each_profile_makes_what_its_peers_expect() {
    for key in [&*KEY_2048, &KEY_P256] {
        let mut params = params();
        params.profile = Profile::Legacy104;
        let legacy = self_signed(&params, key).unwrap();
        let constraints = legacy.basic_constraints().unwrap();
        assert!(constraints.ca && constraints.critical);
        assert_eq!(constraints.path_len, Some(0));
        let usage = legacy.key_usage().unwrap();
        assert!(usage.key_cert_sign() && !usage.crl_sign() && usage.digital_signature());
        assert_eq!(usage.key_encipherment(), key.as_rsa().is_some(), "keys on curves encrypt nothing");
        assert_eq!(Profile::of(&legacy), Profile::Legacy104);
        assert_eq!(Profile::of(&self_signed(&self::params(), key).unwrap()), Profile::OpcUa105);
        params.profile = Profile::CaIssued;
        assert!(matches!(self_signed(&params, key), Err(IssueError::ProfileOfRequests)));
        if let Some(openssl) = OpenSsl::or_skip() {
            openssl.write("certificate.pem", legacy.to_pem());
            let at = NOW.unix_timestamp();
            let verdict = openssl.stdout(&format!(
                "verify -CAfile certificate.pem -check_ss_sig -x509_strict -attime {at} certificate.pem"
            ));
            assert_eq!(verdict.trim(), "certificate.pem: OK");
        }
    }
}
