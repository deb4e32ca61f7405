//! R6: pairs made elsewhere; replacing.

use koios_testkit::{CertificateSpec, TestCertificate, TestKey, openssl};
use serde_json::{Value, json};

use crate::{
    daemon::{Daemon, Setup},
    http::Answer,
};

fn path(certificate: &Value, rest: &str) -> String {
    format!("certificates/{}{rest}", certificate["id"].as_str().expect("an id"))
}

fn pair(uri: &str) -> TestCertificate {
    CertificateSpec::application(uri).make()
}

#[track_caller]
fn upload(daemon: &Daemon, fields: &[(&str, &[u8])]) -> Answer {
    daemon.call("POST", "certificates/upload").form(fields).send()
}

fn codes(certificate: &Value) -> Vec<&str> {
    certificate["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["code"].as_str().unwrap())
        .collect()
}

#[test]
fn r6_containers_are_taken_by_their_content() {
    if !openssl::available_or_skip() {
        return;
    }
    let daemon = Setup::new().start();
    let folder = tempfile::TempDir::new().unwrap();
    let (p12, p7, made) = (pair("urn:plant:p12"), pair("urn:plant:p7"), folder.path().join("in.pem"));
    let in_file = made.to_str().unwrap();
    std::fs::write(&made, format!("{}{}", p12.key_pem(), p12.pem())).unwrap();
    let store = openssl::run(&["pkcs12", "-export", "-in", in_file, "-passout", "pass:of the plant"], b"");
    let fields: &[(&str, &[u8])] = &[("name", b"PKCS#12"), ("certificate", &store)];
    upload(&daemon, fields).expect_problem(422, "passphrase_required");
    let with = |passphrase: &'static [u8]| [fields, &[("passphrase", passphrase)]].concat();
    upload(&daemon, &with(b"another")).expect_problem(422, "passphrase_wrong");
    let shown = upload(&daemon, &with(b"of the plant")).expect(201);
    assert_eq!((&shown["application_uri"], &shown["origin"]), (&json!("urn:plant:p12"), &json!("uploaded")));
    assert_eq!(daemon.get(&path(&shown, "/certificate.der")).body, p12.der());

    std::fs::write(&made, p7.pem()).unwrap();
    for (name, form) in [("PKCS#7 DER", "DER"), ("PKCS#7 PEM", "PEM")] {
        let chain = openssl::run(&["crl2pkcs7", "-nocrl", "-certfile", in_file, "-outform", form], b"");
        let key = p7.key_pem().as_bytes();
        let shown =
            upload(&daemon, &[("name", name.as_bytes()), ("certificate", &chain), ("private_key", key)])
                .expect(201);
        assert_eq!(daemon.get(&path(&shown, "/certificate.der")).body, p7.der());
        daemon.delete(&path(&shown, "")).expect(200);
    }
}

#[test]
fn r6_pairs_in_der_and_pem_are_taken_and_shown_as_they_are() {
    let daemon = Setup::empty().start();
    let made = pair("urn:plant:client");
    let crlf = made.pem().replace('\n', "\r\n");
    let with_text = format!("Bag Attributes\r\n    friendlyName: x\r\n{}", made.pem());
    for (number, certificate) in
        [made.der(), made.pem().as_bytes(), crlf.as_bytes(), with_text.as_bytes()].into_iter().enumerate()
    {
        let name = format!("Upload {number}");
        let fields: &[(&str, &[u8])] = &[
            ("name", name.as_bytes()),
            ("description", b"from the plant"),
            ("certificate", certificate),
            ("private_key", made.key_pem().as_bytes()),
        ];
        let answer = upload(&daemon, fields);
        let shown = answer.json();
        assert_eq!(answer.status, 201, "{shown}");
        assert_eq!(answer.header("location"), Some(format!("/api/v1/{}", path(&shown, "")).as_str()));
        assert_eq!((&shown["origin"], &shown["name"]), (&json!("uploaded"), &json!(name)));
        assert_eq!(
            (&shown["application_uri"], &shown["description"]),
            (&json!("urn:plant:client"), &json!("from the plant"))
        );
        assert_eq!(shown["thumbprint_sha1"], made.sha1());
        assert_eq!(daemon.get(&path(&shown, "/certificate.der")).body, made.der());
        upload(&daemon, fields).expect_problem(409, "certificate_exists");
        let other_name: Vec<_> = fields
            .iter()
            .map(|(field, value)| if *field == "name" { (*field, &b"Other"[..]) } else { (*field, *value) })
            .collect();
        upload(&daemon, &other_name).expect_problem(409, "certificate_exists");
        // The next form of the same certificate needs it gone, and the default stays.
        daemon.generate(&format!("Spare {number}"));
        let spare =
            daemon.get(&format!("certificates?q=Spare+{number}")).expect(200)["items"][0]["id"].clone();
        daemon.put("certificates/default", &json!({ "id": spare })).expect(200);
        daemon.delete(&path(&shown, "")).expect(200);
    }
}

#[test]
fn r6_a_key_of_another_certificate_is_refused_and_nothing_is_stored() {
    let daemon = Setup::empty().start();
    let made = pair("urn:plant:client");
    let other = TestKey::shared(2048, 1);
    let fields: &[(&str, &[u8])] =
        &[("name", b"A"), ("certificate", made.der()), ("private_key", other.pem().as_bytes())];
    let problem = upload(&daemon, fields).expect_problem(422, "key_mismatch");
    assert_eq!(problem["errors"][0]["field"], "private_key");
    assert_eq!(daemon.get("certificates").expect(200)["total"], 0);
    let folder = daemon.data_dir().join("certificates");
    assert!(!folder.exists() || std::fs::read_dir(folder).unwrap().next().is_none());
}

#[test]
fn r6_what_cannot_be_read_is_refused_with_its_own_code() {
    let daemon = Setup::empty().start();
    let made = pair("urn:plant:client");
    let (der, pem, key) = (made.der(), made.pem(), made.key_pem().as_bytes());
    let trailing = [der, b"more"].concat();
    let two_keys = [key, TestKey::shared(2048, 1).pem().as_bytes()].concat();
    let cases: &[(&str, &[u8], &[u8])] = &[
        ("certificate_unreadable", b"", key),
        ("certificate_unreadable", b"garbage", key),
        ("certificate_unreadable", &der[..der.len() - 10], key),
        ("certificate_unreadable", &trailing, key),
        ("private_key_unreadable", der, b""),
        ("private_key_unreadable", der, b"garbage"),
        ("private_key_unreadable", der, &two_keys),
        ("private_key_unreadable", der, pem.as_bytes()),
    ];
    for (code, certificate, key) in cases {
        let answer = upload(&daemon, &[("name", b"A"), ("certificate", certificate), ("private_key", key)]);
        let seen = (answer.status, answer.json()["code"].as_str().map(str::to_owned));
        assert_eq!(seen, (422, Some((*code).to_owned())), "{certificate:?} {}", String::from_utf8_lossy(key));
        answer.expect_problem(422, code);
    }
    upload(&daemon, &[("name", b"A"), ("certificate", der)]).expect_problem(422, "private_key_unreadable");
    assert_eq!(daemon.get("certificates").expect(200)["total"], 0);
    assert!(!daemon.log().contains("PRIVATE KEY"), "{}", daemon.log());
}

#[test]
fn r6_the_key_may_stand_in_the_certificates_part_and_chains_stay_in_order() {
    let daemon = Setup::empty().start();
    let authority = CertificateSpec::authority("Plant CA").make();
    let made = CertificateSpec::issued_application("urn:plant:issued", &authority).make();
    let both = format!("{}{}", made.chain_pem(), made.key_pem());
    let shown = upload(&daemon, &[("name", b"Issued"), ("certificate", both.as_bytes())]).expect(201);
    assert_eq!((&shown["chain_length"], &shown["self_signed"]), (&json!(2), &json!(false)));
    let chain = daemon.get(&path(&shown, "/chain.pem")).text();
    assert_eq!(chain.matches("BEGIN CERTIFICATE").count(), 2);
    assert_eq!(daemon.get(&path(&shown, "/certificate.der")).body, made.der());

    // Replaced by another one of the authority, the servers that trust the authority go on.
    let next = CertificateSpec::issued_application("urn:plant:issued", &authority).make();
    let both = format!("{}{}", next.chain_pem(), next.key_pem());
    for query in ["?dry_run=true", ""] {
        let replace = daemon.call("POST", &path(&shown, &format!("/replace{query}")));
        let answer = replace.form(&[("certificate", both.as_bytes())]).send();
        let tag = answer.header("etag").map(str::to_owned);
        let answer = answer.expect(200);
        assert_eq!(tag, Some(format!("\"{}\"", answer["certificate"]["revision"])));
        assert_eq!(answer["was_ca_issued"], false);
        assert!(!answer["message"].as_str().unwrap().contains("authority"), "{answer}");
    }

    let dry = daemon.post(&path(&shown, "/regenerate?dry_run=true"), &json!({})).expect(200);
    assert_eq!(dry["was_ca_issued"], true);
    let answer = daemon.post(&path(&shown, "/regenerate"), &json!({})).expect(200);
    let after = &answer["certificate"];
    assert_eq!(
        (&answer["was_ca_issued"], &after["origin"], &after["self_signed"]),
        (&json!(true), &json!("generated"), &json!(true))
    );
    assert_eq!(
        (&after["application_uri"], &after["common_name"]),
        (&shown["application_uri"], &shown["common_name"])
    );
}

#[test]
fn r6_an_expired_pair_is_stored_and_flagged() {
    let daemon = Setup::empty().start();
    let made = CertificateSpec::application("urn:plant:old").expired().make();
    let shown = upload(
        &daemon,
        &[("name", b"Old"), ("certificate", made.der()), ("private_key", made.key_pem().as_bytes())],
    )
    .expect(201);
    assert_eq!(shown["statuses"], json!(["expired"]));
    assert!(shown["expires_in_days"].as_i64().unwrap() < 0, "{shown}");
    assert!(codes(&shown).contains(&"expired"), "{shown}");
    let future = CertificateSpec::application("urn:plant:new").not_yet_valid().make();
    let shown = upload(
        &daemon,
        &[("name", b"New"), ("certificate", future.der()), ("private_key", future.key_pem().as_bytes())],
    )
    .expect(201);
    assert_eq!(shown["statuses"], json!(["not_yet_valid"]));
}

#[test]
fn r6_encrypted_keys_need_their_passphrase_which_no_log_and_no_answer_repeats() {
    if !openssl::available_or_skip() {
        return;
    }
    let daemon = Setup::empty().start();
    let made = pair("urn:plant:client");
    let passphrase = "s3cret-passphrase";
    let encrypted = openssl::run(
        &["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", &format!("pass:{passphrase}")],
        made.key_pem().as_bytes(),
    );
    let fields = |passphrase: Option<&'static [u8]>| {
        let mut fields = vec![
            ("name", b"A".to_vec()),
            ("certificate", made.der().to_vec()),
            ("private_key", encrypted.clone()),
        ];
        fields.extend(passphrase.map(|passphrase| ("passphrase", passphrase.to_vec())));
        fields
    };
    let send = |fields: Vec<(&str, Vec<u8>)>| {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_slice())).collect();
        upload(&daemon, &fields)
    };
    send(fields(None)).expect_problem(422, "passphrase_required");
    send(fields(Some(b""))).expect_problem(422, "passphrase_required");
    let wrong = send(fields(Some(b"wrong-passphrase")));
    wrong.expect_problem(422, "passphrase_wrong");
    assert!(!wrong.text().contains("wrong-passphrase"));
    let shown = send(fields(Some(passphrase.as_bytes())));
    assert_eq!(shown.status, 201, "{}", shown.text());
    assert!(!shown.text().contains(passphrase) && !daemon.log().contains("passphrase"), "{}", daemon.log());
    let key = daemon.get(&path(&shown.json(), "/private-key.pem")).text();
    assert!(key.starts_with("-----BEGIN PRIVATE KEY-----"), "stored as PKCS#8 without encryption");
}

#[test]
fn r6_old_keys_in_pkcs_1_are_read() {
    if !openssl::available_or_skip() {
        return;
    }
    let daemon = Setup::empty().start();
    let made = pair("urn:plant:client");
    let traditional = openssl::run(&["rsa", "-traditional"], made.key_pem().as_bytes());
    assert!(traditional.starts_with(b"-----BEGIN RSA PRIVATE KEY-----"));
    upload(&daemon, &[("name", b"A"), ("certificate", made.der()), ("private_key", &traditional)])
        .expect(201);
}

#[test]
fn an_upload_with_an_idempotency_key_is_stored_once_whatever_its_boundary() {
    let daemon = Setup::empty().start();
    let made = pair("urn:plant:client");
    let send = |boundary: &str, name: &[u8]| {
        let fields: &[(&str, &[u8])] =
            &[("name", name), ("certificate", made.der()), ("private_key", made.key_pem().as_bytes())];
        let body = crate::http::multipart(boundary, fields);
        let media_type = format!("multipart/form-data; boundary={boundary}");
        daemon
            .call("POST", "certificates/upload")
            .bytes(&media_type, body)
            .header("Idempotency-Key", "k")
            .send()
    };
    let first = send("one", b"A");
    assert_eq!(first.status, 201, "{}", first.text());
    let again = send("two", b"A");
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, Some("true")));
    assert_eq!(again.body, first.body);
    send("three", b"B").expect_problem(422, "idempotency_key_reused");
}

#[test]
fn r3_an_expired_certificate_is_replaced_by_an_uploaded_pair_in_place() {
    let daemon = Setup::empty().start();
    let old = CertificateSpec::application("urn:plant:client").expired().make();
    let before = upload(
        &daemon,
        &[("name", b"A"), ("certificate", old.der()), ("private_key", old.key_pem().as_bytes())],
    )
    .expect(201);
    let new = CertificateSpec::application("urn:plant:client").with_shared_key(2048, 2).make();
    let fields: &[(&str, &[u8])] = &[("certificate", new.der()), ("private_key", new.key_pem().as_bytes())];
    let replace = |query: &str, fields: &[(&str, &[u8])]| {
        daemon.call("POST", &path(&before, &format!("/replace{query}"))).form(fields).send()
    };

    let dry = replace("?dry_run=true", fields).expect(200);
    assert_eq!(
        (&dry["dry_run"], &dry["certificate"]["thumbprint_sha256"]),
        (&json!(true), &before["thumbprint_sha256"])
    );
    let other = CertificateSpec::application("urn:plant:other").with_shared_key(2048, 3).make();
    let other_fields: &[(&str, &[u8])] =
        &[("certificate", other.der()), ("private_key", other.key_pem().as_bytes())];
    replace("", other_fields).expect_problem(422, "application_uri_changed");
    replace("?dry_run=true", other_fields).expect_problem(422, "application_uri_changed");
    replace("", &[("certificate", new.der()), ("private_key", old.key_pem().as_bytes())])
        .expect_problem(422, "key_mismatch");
    replace("", &[("name", b"B"), fields[0], fields[1]]).expect_problem(422, "invalid_field");
    assert_eq!(daemon.get(&path(&before, "")).expect(200)["revision"], before["revision"]);

    let answer = replace("", fields).expect(200);
    let after = &answer["certificate"];
    for field in ["id", "name", "is_default", "application_uri"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    assert_eq!(
        (&after["statuses"], &after["generation"], &after["thumbprint_sha1"]),
        (&json!(["valid"]), &json!(2), &json!(new.sha1()))
    );
    assert_eq!(answer["previous"]["thumbprint_sha1"], old.sha1());
    assert!(!daemon.files_of(&before).join("private-key.pem").exists());

    let allowed: &[(&str, &[u8])] = &[other_fields[0], other_fields[1], ("allow_uri_change", b"true")];
    assert_eq!(replace("", allowed).expect(200)["certificate"]["application_uri"], "urn:plant:other");
}

#[test]
fn a_pair_is_judged_before_it_is_told_that_its_certificate_exists() {
    let daemon = Setup::empty().start();
    let pair = pair("urn:plant:client");
    let other = CertificateSpec::application("urn:plant:other").with_shared_key(2048, 2).make();
    let again = |name: &str, key: &str| {
        let fields: &[(&str, &[u8])] =
            &[("name", name.as_bytes()), ("certificate", pair.der()), ("private_key", key.as_bytes())];
        upload(&daemon, fields)
    };
    assert_eq!(again("A", pair.key_pem()).status, 201);
    again("B", other.key_pem()).expect_problem(422, "key_mismatch");
    again("B", "no key").expect_problem(422, "private_key_unreadable");
    again("B", pair.key_pem()).expect_problem(409, "certificate_exists");
    again("A", pair.key_pem()).expect_problem(409, "certificate_exists");
    assert_eq!(daemon.get("certificates").expect(200)["total"], 1);
}

#[test]
fn a_certificate_without_application_uri_is_stored_with_a_finding() {
    let daemon = Setup::empty().start();
    let bare = CertificateSpec { san: Vec::new(), ..CertificateSpec::application("urn:plant:client") }.make();
    let fields: &[(&str, &[u8])] =
        &[("name", b"A"), ("certificate", bare.der()), ("private_key", bare.key_pem().as_bytes())];
    let stored = upload(&daemon, fields).expect(201);
    assert_eq!(stored["application_uri"], Value::Null);
    assert!(codes(&stored).contains(&"no_application_uri"), "{stored}");
}

#[test]
fn replacing_with_an_idempotency_key_happens_once() {
    let daemon = Setup::empty().start();
    let (old, new) = (
        pair("urn:plant:client"),
        CertificateSpec::application("urn:plant:client").with_shared_key(2048, 2).make(),
    );
    let before = upload(
        &daemon,
        &[("name", b"A"), ("certificate", old.der()), ("private_key", old.key_pem().as_bytes())],
    )
    .expect(201);
    let replace = |query: &str, pair: &TestCertificate| {
        let call = daemon.call("POST", &path(&before, &format!("/replace{query}")));
        call.form(&[("certificate", pair.der()), ("private_key", pair.key_pem().as_bytes())])
            .header("Idempotency-Key", "once")
            .header("If-Match", "\"1\"")
            .send()
    };
    // A dry run keeps no answer, and neither does a refusal.
    replace("?dry_run=true", &new).expect(200);
    replace("", &CertificateSpec::application("urn:plant:other").with_shared_key(2048, 3).make())
        .expect_problem(422, "application_uri_changed");
    let first = replace("", &new);
    assert_eq!((first.status, first.header("idempotency-replayed")), (200, None), "{}", first.text());
    let again = replace("", &new);
    assert_eq!((again.status, &again.body), (200, &first.body));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.header("etag"), first.header("etag"));
    replace("?allow_uri_change=true", &new).expect_problem(422, "idempotency_key_reused");
    assert_eq!(daemon.get(&path(&before, "")).expect(200)["generation"], 2);
}
