//! Certificate requests: made here and judged by OpenSSL, made by OpenSSL and read here.

use koios_pki::{
    ApplicationUri, Certificate, CertificateRequest, IssueError, PrivateKey, RequestError, RequestParams,
    Subject, certificate_request, self_signed,
};
use proptest::prelude::*;

use crate::openssl::OpenSsl;
use crate::samples::{
    CERTIFICATE, KEY_2048, KEY_P256, KEY_P384, OTHER_KEY_2048, TOO_SHORT, all_keys, params, pem_of,
};

fn request(key: &PrivateKey) -> CertificateRequest {
    certificate_request(&RequestParams::from_certificate(&CERTIFICATE).unwrap(), key).unwrap()
}

#[test]
fn a_request_asks_for_what_opc_10000_6_wants_of_an_issued_certificate() {
    for key in all_keys() {
        let request = request(key);
        assert_eq!(request.subject(), CERTIFICATE.subject());
        assert_eq!(request.common_name(), CERTIFICATE.common_name());
        assert_eq!(request.application_uris(), CERTIFICATE.application_uris());
        assert!(request.is_application_uri_first());
        assert_eq!(request.dns_names(), CERTIFICATE.dns_names());
        assert_eq!(request.ip_addresses(), CERTIFICATE.ip_addresses());
        assert_eq!(request.public_key(), key.public_key());
        assert_eq!(request.key_algorithm(), &key.algorithm());
        let usage = request.key_usage().unwrap();
        assert!(usage.digital_signature() && !usage.key_cert_sign() && usage.is_critical());
        assert_eq!(usage.data_encipherment(), key.as_rsa().is_some());
        let extended = request.extended_key_usage().unwrap();
        assert!(extended.client_auth() && extended.server_auth());
        assert!(!request.basic_constraints().unwrap().ca);
    }
}

#[test]
fn openssl_verifies_our_requests_and_reads_what_they_ask_for() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    for key in all_keys() {
        openssl.write("request.pem", request(key).to_pem());
        let output = openssl.run("req -in request.pem -noout -verify -text -nameopt RFC2253,show_type");
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        for part in [
            "verify OK",
            "Version: 1 (0x0)",
            "O=UTF8STRING:Koios,CN=UTF8STRING:Koios@gw01.plant.example",
            "URI:urn:koios:gw01.plant.example:plant-a, DNS:gw01.plant.example, DNS:gw01, IP Address:192.0.2.7",
            "TLS Web Client Authentication, TLS Web Server Authentication",
            "CA:FALSE",
            "X509v3 Subject Key Identifier",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }
}

#[test]
fn a_request_may_name_more_than_common_name_and_organization() {
    let mut subject = Subject::new("Press 4", "Plant");
    subject.organizational_unit = Some("Hall 2".to_owned());
    subject.locality = Some("Köln".to_owned());
    subject.state = Some("NRW".to_owned());
    subject.country = Some("DE".to_owned());
    let uri: ApplicationUri = "urn:plant:press-4".parse().unwrap();
    let params = RequestParams::for_subject(&subject, uri.clone()).unwrap();
    let request = certificate_request(&params, &KEY_2048).unwrap();
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("request.der", request.der());
    let shown =
        openssl.stdout("req -in request.der -inform DER -noout -verify -subject -nameopt RFC2253,-esc_msb");
    assert!(shown.contains("C=DE,ST=NRW,L=Köln,OU=Hall 2,O=Plant,CN=Press 4"), "{shown}");
    subject.country = Some("Germany".to_owned());
    assert!(matches!(RequestParams::for_subject(&subject, uri), Err(IssueError::Country { .. })));
}

#[test]
fn a_subject_is_taken_over_byte_for_byte() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("key.pem", pem_of(&KEY_2048));
    // Strings of other types, a multi-valued RDN and attributes that are not ours.
    openssl.run(
        "req -x509 -key key.pem -out certificate.pem -days 10 -multivalue-rdn \
         -subj /DC=example/C=DE/O=Plant/CN=gw01+serialNumber=7/street=Weg \
         -addext subjectAltName=URI:urn:plant:gw01",
    );
    let pem = openssl.read("certificate.pem");
    let certificate = koios_pki::CertificateChain::from_pem(&pem).unwrap().leaf().clone();
    let params = RequestParams::from_certificate(&certificate).unwrap();
    let request = certificate_request(&params, &KEY_2048).unwrap();
    assert_eq!(request.subject(), certificate.subject());
    openssl.write("request.pem", request.to_pem());
    let subject = |arguments: &str| {
        openssl.stdout(&format!("{arguments} -nameopt RFC2253,show_type,dump_der,dump_all"))
    };
    assert_eq!(
        subject("req -in request.pem -noout -subject"),
        subject("x509 -in certificate.pem -noout -subject")
    );
}

#[test]
fn an_authority_of_openssl_signs_our_request_and_the_answer_carries_what_we_asked_for() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl
        .run("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 100 -subj /CN=CA/O=Plant");
    for key in [&*KEY_2048, &KEY_P256, &KEY_P384] {
        openssl.write("request.pem", request(key).to_pem());
        openssl.run(
            "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -days 10 -copy_extensions copyall -out leaf.pem",
        );
        let chain = koios_pki::CertificateChain::from_pem(&openssl.read("leaf.pem")).unwrap();
        let leaf = chain.leaf();
        assert!(key.matches(leaf));
        assert_eq!(leaf.application_uri(), CERTIFICATE.application_uri());
        assert_eq!(leaf.dns_names(), CERTIFICATE.dns_names());
        assert_eq!(leaf.subject(), CERTIFICATE.subject());
    }
}

#[test]
fn requests_of_openssl_are_read_in_pem_and_der() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    for key in [&*KEY_2048, &KEY_P384] {
        openssl.write("key.pem", pem_of(key));
        openssl.run(
            "req -new -key key.pem -out request.pem -subj /CN=theirs/O=Plant \
             -addext subjectAltName=DNS:a,URI:urn:a:b",
        );
        openssl.run("req -in request.pem -outform DER -out request.der");
        let request = CertificateRequest::from_pem(&openssl.read("request.pem")).unwrap();
        assert_eq!(CertificateRequest::from_der(&openssl.read("request.der")).as_ref(), Ok(&request));
        assert_eq!(request.subject(), "CN=theirs, O=Plant");
        assert_eq!(request.application_uris(), ["urn:a:b"]);
        assert!(!request.is_application_uri_first());
        assert_eq!(request.public_key(), key.public_key());
        openssl.run("req -new -key key.pem -outform DER -out bare.der -subj /CN=bare");
        let bare = CertificateRequest::from_der(&openssl.read("bare.der")).unwrap();
        assert_eq!((bare.application_uris(), bare.key_usage()), (&[][..], None));
    }
}

#[test]
fn what_is_no_request_is_refused_with_its_reason() {
    let good = request(&KEY_P256);
    let der = good.der();
    assert!(matches!(CertificateRequest::from_der(b""), Err(RequestError::Malformed { .. })));
    assert!(matches!(CertificateRequest::from_der(CERTIFICATE.der()), Err(RequestError::Malformed { .. })));
    let trailing = [der, b"\0"].concat();
    assert!(matches!(CertificateRequest::from_der(&trailing), Err(RequestError::Malformed { .. })));
    let large = vec![0x30; Certificate::MAX_LEN + 1];
    assert!(matches!(CertificateRequest::from_der(&large), Err(RequestError::TooLarge { .. })));
    let mut forged = der.to_vec();
    let place = forged.windows(7).position(|window| window == b"plant-a").unwrap();
    forged[place] = b'q';
    assert_eq!(CertificateRequest::from_der(&forged), Err(RequestError::SignatureInvalid));

    let pem = good.to_pem();
    assert_eq!(CertificateRequest::from_pem(pem.as_bytes()).as_ref(), Ok(&good));
    let older = pem.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST");
    assert_eq!(CertificateRequest::from_pem(older.as_bytes()).as_ref(), Ok(&good));
    assert_eq!(CertificateRequest::from_pem(pem.repeat(2).as_bytes()), Err(RequestError::Several));
    assert_eq!(CertificateRequest::from_pem(CERTIFICATE.to_pem().as_bytes()), Err(RequestError::Missing));
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.run(&format!(
        "req -new -newkey rsa:{TOO_SHORT} -nodes -keyout key.pem -outform DER -out short.der -subj /CN=short"
    ));
    assert!(matches!(CertificateRequest::from_der(&openssl.read("short.der")), Err(RequestError::Key(_))));
    // Its signature is of a kind that is not verified, which is not what is wrong with it.
    openssl.run(
        "req -new -newkey ed25519 -nodes -keyout key.pem -outform DER -out ed25519.der -subj /CN=edwards",
    );
    openssl.run("ecparam -name secp521r1 -genkey -noout -out p521.pem");
    openssl.run("req -new -key p521.pem -outform DER -out p521.der -subj /CN=p521");
    for name in ["ed25519.der", "p521.der"] {
        let refused = CertificateRequest::from_der(&openssl.read(name));
        assert!(matches!(refused, Err(RequestError::Key(_))), "{name}: {refused:?}");
    }
}

#[test]
fn a_certificate_without_application_uri_cannot_be_asked_for_again() {
    let odd = crate::samples::odd_certificate(|params| params.subject_alt_names.clear());
    let error = RequestParams::from_certificate(odd.leaf()).unwrap_err();
    assert!(matches!(error, IssueError::RequestRefused { .. }), "{error}");
}

#[test]
fn a_chain_is_put_in_order_for_the_key_it_belongs_to() {
    let other = self_signed(&params(), &OTHER_KEY_2048).unwrap();
    let chain = koios_pki::CertificateChain::new(other.clone(), vec![CERTIFICATE.clone()]);
    let ordered = chain.clone().for_key(KEY_2048.public_key()).unwrap();
    assert_eq!((ordered.leaf(), ordered.issuers()), (&*CERTIFICATE, &[other][..]));
    assert!(chain.for_key(KEY_P256.public_key()).is_none());
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(uri in "urn:[a-z]{2,8}:[a-z0-9:.-]{1,40}", names in prop::collection::vec("[a-z]{1,20}", 0..4)) {
        let mut params = RequestParams::new("gw", "Plant", uri.parse().unwrap()).unwrap();
        params.dns_names = names.clone();
        let request = certificate_request(&params, &KEY_P256).unwrap();
        prop_assert_eq!(request.application_uris(), &[uri][..]);
        prop_assert_eq!(request.dns_names(), &names[..]);
        let again = CertificateRequest::from_der(request.der());
        prop_assert_eq!(again.as_ref(), Ok(&request));
        let again = CertificateRequest::from_pem(request.to_pem().as_bytes());
        prop_assert_eq!(again.as_ref(), Ok(&request));
    }

    #[test]
    fn arbitrary_bytes_are_no_request_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(CertificateRequest::from_der(&bytes).is_err());
        prop_assert!(CertificateRequest::from_pem(&bytes).is_err());
    }

    #[test]
    fn no_flipped_bit_makes_another_request(bit in 0_usize..8 * 300) {
        let request = request(&KEY_P256);
        let mut der = request.der().to_vec();
        let byte = bit / 8 % der.len();
        der[byte] ^= 1 << (bit % 8);
        prop_assert!(CertificateRequest::from_der(&der).is_err());
    }
}
