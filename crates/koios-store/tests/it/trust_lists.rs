//! Trust lists: over the calls and in the folders, together and across interruptions.

use std::path::{Path, PathBuf};

use koios_pki::{
    Authority, AuthorityParams, Certificate, CertificateChain, KeySpec, PrivateKey, RevocationList,
    RevocationListParams, SecurityMode, SerialNumber, Sha256Thumbprint, Validity,
};
use koios_store::{
    AuditEntry, AuditQuery, AuditResource, Change, PageRequest, Rejection, StoreError, TrustEntry,
    TrustListName,
};
use time::{Duration, OffsetDateTime};

use crate::fixture::{Fixture, chain, is_not_found, settings};

fn folder(fixture: &Fixture, list: &str) -> PathBuf {
    fixture.path().join("trust").join(list)
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn leaf() -> Certificate {
    chain().leaf().clone()
}

async fn all(fixture: &Fixture) -> Vec<TrustEntry> {
    fixture.store.trust_entries(None, PageRequest::default()).await.unwrap().items
}

async fn lists(fixture: &Fixture) -> Vec<(TrustListName, Sha256Thumbprint)> {
    all(fixture).await.iter().map(|entry| (entry.list, entry.chain.leaf().thumbprint_sha256())).collect()
}

#[tokio::test]
async fn r16_certificates_move_between_the_lists_as_files_that_other_tools_can_read() {
    let fixture = Fixture::new().await;
    let certificate = leaf();
    let thumbprint = certificate.thumbprint_sha256();
    let name = format!("Koios@gw01_plant_example [{}].der", certificate.thumbprint_sha1());

    let entry = fixture.store.add_to_trust_list(TrustListName::Trusted, certificate.clone()).await.unwrap();
    assert_eq!((entry.list, entry.reason, entry.devices.len()), (TrustListName::Trusted, None, 0));
    assert_eq!(files(&folder(&fixture, "trusted/certs")), std::slice::from_ref(&name));
    let written = std::fs::read(folder(&fixture, "trusted/certs").join(&name)).unwrap();
    assert_eq!(written, certificate.der());
    let again = fixture.store.add_to_trust_list(TrustListName::Trusted, certificate.clone()).await;
    assert!(matches!(again, Err(StoreError::InTrustList { list: TrustListName::Trusted, .. })), "{again:?}");
    let rejected = fixture.store.add_to_trust_list(TrustListName::Rejected, leaf()).await;
    assert!(matches!(rejected, Err(StoreError::InvalidSetting { field: "list", .. })));

    let entry = fixture.store.reject_server_certificate(thumbprint).await.unwrap();
    assert_eq!(entry.list, TrustListName::Rejected);
    assert_eq!(entry.reason.as_deref(), Some("An administrator has rejected it"));
    assert!(files(&folder(&fixture, "trusted/certs")).is_empty());
    assert_eq!(files(&folder(&fixture, "rejected/certs")), std::slice::from_ref(&name));

    let entry = fixture.store.trust_server_certificate(thumbprint).await.unwrap();
    assert_eq!((entry.list, entry.reason), (TrustListName::Trusted, None));
    assert_eq!(lists(&fixture).await, [(TrustListName::Trusted, thumbprint)]);

    fixture.store.remove_from_trust_lists(thumbprint).await.unwrap();
    assert!(all(&fixture).await.is_empty());
    for gone in [
        fixture.store.trust_server_certificate(thumbprint).await.map(drop),
        fixture.store.reject_server_certificate(thumbprint).await.map(drop),
        fixture.store.remove_from_trust_lists(thumbprint).await,
    ] {
        assert!(is_not_found(gone));
    }
    let hidden = files(&fixture.path().join("trust"));
    assert!(
        !hidden.contains(&".outgoing".to_owned()),
        "nothing that was removed stays on the disk: {hidden:?}"
    );
}

#[tokio::test]
async fn r16_files_that_somebody_drops_or_removes_count_at_the_next_look_and_are_told() {
    let fixture = Fixture::new().await;
    let mut changes = fixture.store.changes();
    let (der, pem) = (leaf(), leaf());
    let certs = folder(&fixture, "trusted/certs");
    std::fs::write(certs.join("any name.crt"), der.der()).unwrap();
    std::fs::write(
        folder(&fixture, "issuer/certs").join("two.pem"),
        CertificateChain::from(pem.clone()).to_pem(),
    )
    .unwrap();
    std::fs::write(certs.join(".half-copied"), b"rubbish").unwrap();
    std::fs::write(certs.join("README.txt"), b"no certificate").unwrap();
    std::fs::create_dir(certs.join("a folder")).unwrap();

    let lists = fixture.store.trust_lists().await.unwrap();
    let recorded = fixture.store.audit(AuditQuery::default()).await.unwrap().items.remove(0).entry;
    assert_eq!((recorded.actor.as_str(), recorded.action.as_str()), ("folder", "trust_lists.changed"));
    let added = recorded.after.unwrap().to_string();
    assert!(added.contains(&format!("trusted/{}", der.thumbprint_sha256())), "{added}");
    assert_eq!(lists.validation().trusted, std::slice::from_ref(&der));
    assert_eq!(lists.validation().issuers, [pem]);
    assert_eq!(changes.try_recv(), Ok(Change::TrustListsChanged));
    fixture.store.trust_lists().await.unwrap();
    assert!(changes.try_recv().is_err(), "what has not changed is not told again");

    // The same name with other contents.
    let other = leaf();
    std::fs::write(certs.join("any name.crt"), other.der()).unwrap();
    assert_eq!(fixture.store.trust_lists().await.unwrap().validation().trusted, [other]);
    std::fs::remove_file(certs.join("any name.crt")).unwrap();
    assert!(fixture.store.trust_lists().await.unwrap().validation().trusted.is_empty());
    assert_eq!(changes.try_recv(), Ok(Change::TrustListsChanged));
    assert_eq!(changes.try_recv(), Ok(Change::TrustListsChanged));

    // A rejected one decides nothing.
    std::fs::write(folder(&fixture, "rejected/certs").join("x.der"), leaf().der()).unwrap();
    assert_eq!(fixture.store.trust_lists().await.unwrap().certificates(TrustListName::Rejected).count(), 1);
    assert!(changes.try_recv().is_err());

    std::fs::remove_dir_all(fixture.path().join("trust")).unwrap();
    assert!(fixture.store.trust_lists().await.unwrap().validation().issuers.is_empty());
    fixture.store.add_to_trust_list(TrustListName::Issuer, leaf()).await.unwrap();
}

#[tokio::test]
async fn ten_thousand_servers_that_signed_their_own_certificates_can_be_trusted() {
    let fixture = Fixture::new().await;
    let certificate = leaf();
    let certs = folder(&fixture, "trusted/certs");
    for device in 0..10_000 {
        std::fs::write(certs.join(format!("{device}.der")), certificate.der()).unwrap();
    }
    let entry = fixture.store.add_to_trust_list(TrustListName::Trusted, leaf()).await.unwrap();
    assert_eq!(entry.list, TrustListName::Trusted);
    assert_eq!(fixture.store.trust_lists().await.unwrap().validation().trusted.len(), 10_001);
}

#[tokio::test]
async fn taking_one_certificate_out_of_a_file_of_several_leaves_the_others() {
    let fixture = Fixture::new().await;
    let (gone, stays) = (leaf(), leaf());
    let bundle = CertificateChain::new(gone.clone(), vec![stays.clone()]).to_pem();
    std::fs::write(folder(&fixture, "issuer/certs").join("bundle.pem"), bundle).unwrap();
    fixture.store.remove_from_trust_lists(gone.thumbprint_sha256()).await.unwrap();
    assert_eq!(lists(&fixture).await, [(TrustListName::Issuer, stays.thumbprint_sha256())]);
}

#[tokio::test]
async fn taking_a_certificate_out_of_two_files_with_the_same_neighbour_keeps_the_neighbour_once() {
    let fixture = Fixture::new().await;
    let (gone, stays) = (leaf(), leaf());
    let bundle = CertificateChain::new(gone.clone(), vec![stays.clone()]).to_pem();
    let certs = folder(&fixture, "issuer/certs");
    for name in ["line 1.pem", "line 2.pem"] {
        std::fs::write(certs.join(name), &bundle).unwrap();
    }
    fixture.store.remove_from_trust_lists(gone.thumbprint_sha256()).await.unwrap();
    assert_eq!(lists(&fixture).await, [(TrustListName::Issuer, stays.thumbprint_sha256())]);
    assert_eq!(files(&certs).len(), 1);
}

#[tokio::test]
async fn every_change_of_trust_is_recorded_by_its_own_commit() {
    let fixture = Fixture::new().await;
    let entry = |action: &str| {
        let mut entry = AuditEntry::new(OffsetDateTime::now_utc(), "admin", action);
        entry.resource = Some(AuditResource::new("server_certificate", "x", None));
        entry
    };
    let before = fixture.store.newest_audit_at().await.unwrap();
    assert_eq!(before, None);
    let added = entry("trust.added");
    let at = added.at;
    fixture.store.recording(added).add_to_trust_list(TrustListName::Trusted, leaf()).await.unwrap();
    let recorded = fixture.store.newest_audit_at().await.unwrap().unwrap();
    assert!((recorded - at).abs() < Duration::MILLISECOND);
    let refused = fixture
        .store
        .recording(entry("trust.removed"))
        .remove_from_trust_lists(Sha256Thumbprint::of(b"nothing"))
        .await;
    assert!(is_not_found(refused));
    assert_eq!(
        fixture.store.append_audit(entry("next")).await.unwrap(),
        2,
        "a refused change leaves no entry"
    );
}

fn authority() -> (Authority, Certificate) {
    let params = AuthorityParams::new(
        "Plant CA",
        "Plant",
        Validity::starting_at(OffsetDateTime::now_utc(), 30),
        SerialNumber::from_random_bytes([0x33; 16]),
    );
    let authority = Authority::root(&params, PrivateKey::generate(KeySpec::Rsa2048).unwrap()).unwrap();
    let certificate = authority.certificate().clone();
    (authority, certificate)
}

#[tokio::test]
async fn revocation_lists_lie_beside_their_authority_and_say_whether_it_is_known() {
    let fixture = Fixture::new().await;
    let (authority, certificate) = authority();
    let now = OffsetDateTime::now_utc();
    let number = SerialNumber::from_random_bytes([1; 16]);
    let params = RevocationListParams::new(number, now, now + Duration::days(7));
    let list: RevocationList = authority.revocation_list(&params).unwrap();

    let entry = fixture.store.add_revocation_list(list.clone()).await.unwrap();
    assert_eq!((entry.list, entry.issuer_known), (TrustListName::Trusted, false));
    let again = fixture.store.add_revocation_list(list.clone()).await;
    assert!(matches!(again, Err(StoreError::InTrustList { .. })));
    fixture.store.remove_revocation_list(list.sha256()).await.unwrap();
    assert!(is_not_found(fixture.store.remove_revocation_list(list.sha256()).await));

    fixture.store.add_to_trust_list(TrustListName::Issuer, certificate).await.unwrap();
    let entry = fixture.store.add_revocation_list(list.clone()).await.unwrap();
    assert_eq!((entry.list, entry.issuer_known), (TrustListName::Issuer, true));
    assert_eq!(files(&folder(&fixture, "issuer/crl")).len(), 1);
    let page = fixture.store.revocation_lists(PageRequest::default()).await.unwrap();
    assert_eq!((page.total, page.items[0].revocation_list.clone()), (1, list.clone()));

    std::fs::write(folder(&fixture, "trusted/crl").join("copy.pem"), list.to_pem()).unwrap();
    assert_eq!(fixture.store.trust_lists().await.unwrap().validation().revocation_lists, [list]);
}

#[tokio::test]
async fn rejected_certificates_say_why_and_by_whom_and_an_approval_takes_them_out() {
    let fixture = Fixture::new().await;
    let press = fixture.device("Press", SecurityMode::Sign, None).await.id;
    let oven = fixture.device("Oven", SecurityMode::Sign, None).await.id;
    let presented = chain();
    let thumbprint = presented.leaf().thumbprint_sha256();
    let at = OffsetDateTime::now_utc();
    let rejection = |device, code: &str| {
        let mut rejection = Rejection::new(presented.clone(), code, "It is not the one known", at);
        rejection.device = device;
        rejection
    };
    for device in [press, oven] {
        fixture.store.record_presented(device, presented.clone(), at).await.unwrap();
        fixture.store.record_rejected(rejection(Some(device), "server_certificate_changed")).await.unwrap();
    }
    fixture.store.record_rejected(rejection(None, "server_certificate_untrusted")).await.unwrap();
    let shown = all(&fixture).await;
    let [entry] = shown.as_slice() else { panic!("{shown:?}") };
    assert_eq!(entry.list, TrustListName::Rejected);
    assert_eq!(entry.reason_code.as_deref(), Some("server_certificate_untrusted"));
    assert_eq!(entry.reason.as_deref(), Some("It is not the one known"));
    let names: Vec<_> = entry.devices.iter().map(|device| device.name.as_str()).collect();
    assert_eq!(names, ["Oven", "Press"]);
    assert!(entry.first_seen.is_some() && entry.last_seen.is_some());

    fixture.store.approve(press, thumbprint, false).await.unwrap();
    assert_eq!(all(&fixture).await[0].devices.len(), 1, "the other one still rejects it");
    fixture.store.approve(oven, thumbprint, false).await.unwrap();
    assert!(all(&fixture).await.is_empty());

    // What is trusted is not put among the rejected, whatever is wrong with it now.
    fixture.store.add_to_trust_list(TrustListName::Trusted, presented.leaf().clone()).await.unwrap();
    fixture.store.record_rejected(rejection(Some(press), "server_certificate_expired")).await.unwrap();
    assert_eq!(lists(&fixture).await, [(TrustListName::Trusted, thumbprint)]);
}

#[tokio::test]
async fn the_newest_rejected_certificates_are_kept_and_no_more() {
    let fixture = Fixture::new().await;
    let began = OffsetDateTime::now_utc() - Duration::hours(10);
    let mut newest = Vec::new();
    for minute in 0..203 {
        let presented = chain();
        newest.push(presented.leaf().thumbprint_sha256());
        let at = began + Duration::minutes(minute);
        fixture.store.record_rejected(Rejection::new(presented, "x", "why", at)).await.unwrap();
    }
    let lists = fixture.store.trust_lists().await.unwrap();
    assert_eq!(lists.certificates(TrustListName::Rejected).count(), 200);
    assert!(newest[..3].iter().all(|old| !lists.holds(TrustListName::Rejected, *old)));
    assert!(newest[3..].iter().all(|new| lists.holds(TrustListName::Rejected, *new)));
}

#[tokio::test]
async fn more_rejections_than_are_kept_do_not_push_each_other_out_without_end() {
    let fixture = Fixture::new().await;
    let began = OffsetDateTime::now_utc();
    let device = fixture.device("Press", SecurityMode::Sign, None).await.id;
    let chains: Vec<_> = (0..205).map(|_| chain()).collect();
    let reject = async |number: usize, by, seconds: i64| {
        let at = began + Duration::seconds(seconds);
        let mut rejection = Rejection::new(chains[number].clone(), "x", "why", at);
        rejection.device = by;
        fixture.store.record_rejected(rejection).await.unwrap();
    };
    for number in 0..205 {
        reject(number, Some(device), 0).await;
    }
    let holds = async |number: usize| {
        let lists = fixture.store.trust_lists().await.unwrap();
        lists.holds(TrustListName::Rejected, chains[number].leaf().thumbprint_sha256())
    };
    assert!(holds(0).await && holds(199).await && !holds(200).await);
    reject(200, None, 30).await;
    assert!(holds(200).await, "what a person has tested is looked for at once");
    for number in 0..200 {
        reject(number, Some(device), 59).await;
    }
    reject(203, Some(device), 61).await;
    assert!(holds(203).await, "a minute later there is a place for another one");
}

#[tokio::test]
async fn the_inventory_shows_every_certificate_by_endpoint_with_its_devices() {
    let fixture = Fixture::new().await;
    let device = fixture.store.create_device(settings("Press", SecurityMode::Sign), false).await.unwrap().id;
    let (first, second) = (chain(), chain());
    let at = OffsetDateTime::now_utc();
    fixture.store.record_presented(device, first.clone(), at - Duration::DAY).await.unwrap();
    fixture.store.record_presented(device, second.clone(), at).await.unwrap();
    fixture.store.record_seen("opc.tcp://another:4840", first.clone(), at).await.unwrap();
    let page = fixture.store.seen_endpoints(PageRequest::new(1, None)).await.unwrap();
    assert_eq!((page.total, page.items[0].endpoint_url.as_str()), (2, "opc.tcp://another:4840"));
    assert!(page.items[0].devices.is_empty());
    let page = fixture.store.seen_endpoints(PageRequest::new(1, page.next_cursor)).await.unwrap();
    let press = &page.items[0];
    let chains: Vec<_> = press.certificates.iter().map(|seen| seen.chain.clone()).collect();
    assert_eq!(chains, [second, first]);
    assert_eq!((press.devices.len(), press.devices[0].name.as_str()), (1, "Press"));
    assert_eq!(page.next_cursor, None);
}
