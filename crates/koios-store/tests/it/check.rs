//! Examining a data directory: each kind of damage is made and must be named; the safe mends leave nothing to name.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use koios_pki::{KeySpec, PrivateKey, SecurityMode, Severity};
use koios_store::{
    AuditEntry, BackupOrder, CertificateId, CheckCode, CheckFinding, CheckPart, DeviceSettings,
    DirectoryCheck, OpenError, PasswordChange, RepairKind, RestoreOrder, Store, StoreError, StoreOptions,
    TrustListName, UserSettings, back_up, restore,
};
use tempfile::TempDir;
use time::OffsetDateTime;

use crate::beside::{self, sql};
use crate::fixture::{Fixture, chain, settings_with, snapshot};
use crate::requests::{new_key, request};

/// A closed directory with something of everything in it.
struct Plant {
    _folder: TempDir,
    data: PathBuf,
    default: CertificateId,
    other: CertificateId,
}

impl Plant {
    async fn new() -> Self {
        let fixture = Fixture::new().await;
        let default = fixture.certificate("Default").await;
        let other = fixture.certificate("Other").await.id;
        fixture.regenerate(other).await;
        fixture.store.create_device(with_password("Press 4", Some(other)), true).await.unwrap();
        fixture.device("Oven", SecurityMode::None, None).await;
        fixture.store.add_to_trust_list(TrustListName::Trusted, chain().leaf().clone()).await.unwrap();
        let key = new_key();
        let pending = request(&default, &key);
        fixture.store.stage_request(default.id, pending, Some(key.to_pem())).await.unwrap();
        for action in ["one", "two", "three"] {
            let entry = AuditEntry::new(OffsetDateTime::now_utc(), "test", action);
            fixture.store.append_audit(entry).await.unwrap();
        }
        let data = fixture.path().to_owned();
        fixture.store.close().await;
        Self { _folder: fixture.folder, data, default: default.id, other }
    }

    fn options(&self) -> StoreOptions {
        StoreOptions::new(&self.data)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.data.join(path)
    }

    fn generation(&self, id: CertificateId, generation: u32) -> PathBuf {
        self.path(&format!("certificates/{id}/{generation}"))
    }

    async fn examine(&self) -> Vec<CheckFinding> {
        let before = snapshot(&self.data);
        let found = DirectoryCheck::to_read(self.options()).unwrap().examine(|_, _| {}).await;
        let unchanged = |files: Vec<(PathBuf, Vec<u8>)>| {
            // SQLite needs its companions, to read too.
            files
                .into_iter()
                .filter(|(path, _)| !path.to_string_lossy().contains("koios.db-"))
                .collect::<Vec<_>>()
        };
        assert_eq!(unchanged(snapshot(&self.data)), unchanged(before), "it reads only");
        found
    }

    async fn codes(&self) -> BTreeSet<CheckCode> {
        self.examine().await.into_iter().map(|finding| finding.code).collect()
    }

    /// The one finding.
    #[track_caller]
    fn one(found: &[CheckFinding], code: CheckCode) -> &CheckFinding {
        let [finding] = found else { panic!("{found:#?}") };
        assert_eq!(finding.code, code, "{finding:?}");
        finding
    }

    async fn execute(&self, statements: &[&'static str]) {
        let mut connection = beside::connect_unchecked(&self.data).await;
        for statement in statements {
            sqlx::query(sql(statement)).execute(&mut connection).await.unwrap();
        }
        sqlx::Connection::close(connection).await.unwrap();
    }

    /// Carries out every mend; what is found afterwards.
    async fn repair(&self) -> Vec<CheckFinding> {
        let check = DirectoryCheck::to_repair(self.options()).unwrap();
        for finding in check.examine(|_, _| {}).await {
            if let Some(repair) = &finding.repair {
                check.repair(repair).await.unwrap_or_else(|error| panic!("{repair}: {error:?}"));
            }
        }
        check.examine(|_, _| {}).await
    }
}

fn with_password(name: &str, certificate: Option<CertificateId>) -> DeviceSettings {
    let mut settings = settings_with(name, SecurityMode::SignAndEncrypt, certificate);
    settings.user_identity = UserSettings::UserName {
        username: "op".to_owned(),
        password: PasswordChange::Set(zeroize::Zeroizing::new("secret".to_owned())),
    };
    settings
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn a_whole_directory_has_no_finding_and_each_part_is_told_once() {
    let plant = Plant::new().await;
    let mut parts = Vec::new();
    let check = DirectoryCheck::to_read(plant.options()).unwrap();
    let found = check.examine(|part, findings| parts.push((part, findings.len()))).await;
    assert_eq!(found, []);
    assert_eq!(parts, CheckPart::ALL.iter().map(|part| (*part, 0)).collect::<Vec<_>>());
    assert_eq!(plant.repair().await, []);
}

#[tokio::test]
async fn a_directory_that_a_store_has_open_can_be_examined_and_not_repaired() {
    let plant = Plant::new().await;
    let store = Store::open(plant.options()).await.unwrap();
    assert_eq!(DirectoryCheck::to_read(plant.options()).unwrap().examine(|_, _| {}).await, []);
    let refused = DirectoryCheck::to_repair(plant.options());
    assert!(matches!(&refused, Err(OpenError::InUse { pid: Some(pid), .. }) if *pid == std::process::id()));
    store.close().await;
    let check = DirectoryCheck::to_repair(plant.options()).unwrap();
    assert!(matches!(Store::open(plant.options()).await, Err(OpenError::InUse { .. })));
    drop(check);
    Store::open(plant.options()).await.unwrap();
    let nowhere = StoreOptions::new(plant.path("nowhere"));
    assert!(DirectoryCheck::to_read(nowhere.clone()).is_err() && DirectoryCheck::to_repair(nowhere).is_err());
    assert!(!plant.path("nowhere").exists());
}

#[tokio::test]
async fn a_directory_without_a_database_is_not_repaired() {
    // As when somebody names the wrong one: nothing of it may be touched.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("letter.txt"), b"Dear").unwrap();
    set_mode(folder.path(), 0o755);
    for _ in 0..2 {
        let refused = DirectoryCheck::to_repair(StoreOptions::new(folder.path()));
        assert!(matches!(&refused, Err(OpenError::Damaged { path, .. }) if path.ends_with("koios.db")));
        assert_eq!((mode(folder.path()), snapshot(folder.path()).len()), (0o755, 1));
        let found =
            DirectoryCheck::to_read(StoreOptions::new(folder.path())).unwrap().examine(|_, _| {}).await;
        assert!(found.iter().any(|finding| finding.code == CheckCode::DatabaseMissing), "{found:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_under_way_are_no_damage() {
    let plant = Plant::new().await;
    let store = Store::open(plant.options()).await.unwrap();
    let busy = store.clone();
    let (default, other) = (plant.default, plant.other);
    let changes = tokio::spawn(async move {
        for round in 0..20 {
            let fixture_pair = crate::fixture::replacement();
            busy.replace_key_pair(other, fixture_pair, koios_store::Apply::Commit).await.unwrap();
            let new = crate::fixture::new_certificate(&format!("Short-lived {round}"));
            let short = busy.create_certificate(new).await.unwrap().id;
            busy.delete_certificate(short, koios_store::Apply::Commit, None).await.unwrap();
            let certificate = chain().leaf().clone();
            let thumbprint = certificate.thumbprint_sha256();
            busy.add_to_trust_list(TrustListName::Trusted, certificate).await.unwrap();
            busy.reject_server_certificate(thumbprint).await.unwrap();
            busy.remove_from_trust_lists(thumbprint).await.unwrap();
            busy.check_writable().await.unwrap();
        }
        busy.drop_request(default).await.unwrap();
    });
    let check = DirectoryCheck::to_read(plant.options()).unwrap();
    while !changes.is_finished() {
        assert_eq!(check.examine(|_, _| {}).await, []);
    }
    changes.await.unwrap();
    assert_eq!(check.examine(|_, _| {}).await, []);
}

#[tokio::test]
async fn a_file_that_is_missing_changed_or_no_file_is_named_with_its_certificate() {
    let files = ["certificate.der", "chain.pem", "private-key.pem"];
    for file in files {
        let plant = Plant::new().await;
        let path = plant.generation(plant.other, 2).join(file);
        let whole = std::fs::read(&path).unwrap();
        for (damage, expected) in [
            ("changed", CheckCode::FileChanged),
            ("missing", CheckCode::FileMissing),
            ("a folder", CheckCode::FileChanged),
        ] {
            std::fs::remove_file(&path).unwrap();
            match damage {
                "changed" => {
                    std::fs::write(&path, [&whole[..], b"\n"].concat()).unwrap();
                    set_mode(&path, if file == "private-key.pem" { 0o600 } else { 0o644 });
                }
                "a folder" => std::fs::create_dir(&path).unwrap(),
                _ => {}
            }
            let found = plant.examine().await;
            let found: Vec<_> =
                found.into_iter().filter(|finding| finding.part == CheckPart::Certificates).collect();
            let finding = Plant::one(&found, expected);
            assert_eq!(finding.severity(), Severity::Error);
            assert!(finding.subject.contains("\"Other\"") && finding.subject.ends_with(file), "{finding:?}");
            assert!(!finding.remedy.is_empty() && finding.repair.is_none(), "{finding:?}");
            assert!(!format!("{finding:?}").contains("BEGIN"), "no secret is shown");
            if damage == "a folder" {
                std::fs::remove_dir(&path).unwrap();
            }
            std::fs::write(&path, &whole).unwrap();
            set_mode(&path, if file == "private-key.pem" { 0o600 } else { 0o644 });
            assert_eq!(plant.examine().await, []);
        }
    }
}

#[tokio::test]
async fn a_private_key_of_another_certificate_is_told_from_one_that_was_only_written_anew() {
    let plant = Plant::new().await;
    let path = plant.generation(plant.other, 2).join("private-key.pem");
    let stranger = PrivateKey::generate(KeySpec::EcP256).unwrap().to_pem();
    let own = std::fs::read_to_string(&path).unwrap();
    for (contents, code, said) in [
        (stranger.secret_bytes().to_vec(), CheckCode::KeyOfAnotherCertificate, "does not belong"),
        (own.replace('\n', "\r\n").into_bytes(), CheckCode::FileChanged, "does belong"),
        (own.as_bytes()[..300].to_vec(), CheckCode::FileChanged, "no key that can be used"),
    ] {
        std::fs::write(&path, contents).unwrap();
        let found = plant.examine().await;
        let finding = Plant::one(&found, code);
        assert!(finding.problem.contains(said), "{finding:?}");
    }
}

#[tokio::test]
async fn rows_that_fit_the_files_and_not_each_other_are_named() {
    // The digests of another key and another certificate: as if both had been stored so.
    let plant = Plant::new().await;
    let path = plant.generation(plant.other, 2);
    let stranger = PrivateKey::generate(KeySpec::EcP256).unwrap().to_pem();
    std::fs::write(path.join("private-key.pem"), stranger.secret_bytes()).unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, stranger.secret_bytes());
    let mut connection = beside::connect(&plant.data).await;
    sqlx::query("UPDATE certificates SET private_key_digest = $1 WHERE name = 'Other'")
        .bind(digest.as_ref())
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    let found = plant.examine().await;
    let finding = Plant::one(&found, CheckCode::KeyOfAnotherCertificate);
    assert!(finding.problem.contains("is the key that was stored"), "{finding:?}");

    for (statement, part) in [
        (
            "UPDATE certificates SET chain = (SELECT chain FROM certificates WHERE name = 'Default') WHERE name = 'Other'",
            "its certificate is not the one that was stored",
        ),
        ("UPDATE certificates SET chain = x'3003020101' WHERE name = 'Other'", "certificates.chain"),
        ("UPDATE certificates SET chain_digest = x'00' WHERE name = 'Other'", "certificates.chain_digest"),
        ("UPDATE certificates SET id = 'no id' WHERE name = 'Other'", "is no id"),
        ("UPDATE certificates SET not_after = not_after + 1 WHERE name = 'Other'", "does not fit it"),
        ("UPDATE certificates SET application_uri = NULL WHERE name = 'Other'", "does not fit it"),
    ] {
        let plant = Plant::new().await;
        plant.execute(&[statement]).await;
        let found = plant.examine().await;
        let row = found.iter().find(|finding| finding.code == CheckCode::CertificateRowUnreadable);
        assert!(row.is_some_and(|row| row.problem.contains(part)), "{statement}: {found:#?}");
    }
}

#[tokio::test]
async fn what_others_can_get_at_is_named_and_closed() {
    let plant = Plant::new().await;
    let id = plant.default;
    let open = [
        (".".to_owned(), 0o775),
        ("certificates".to_owned(), 0o750),
        (format!("certificates/{id}"), 0o711),
        (format!("certificates/{id}/1"), 0o755),
        (format!("certificates/{id}/1/private-key.pem"), 0o644),
        ("secrets.key".to_owned(), 0o640),
        ("koios.db".to_owned(), 0o604),
    ];
    for (path, mode) in &open {
        set_mode(&plant.path(path), *mode);
    }
    let found = plant.examine().await;
    // The database's companions inherit its mode.
    let found: Vec<_> = found.iter().filter(|finding| !finding.subject.contains("koios.db-")).collect();
    assert_eq!(found.len(), open.len(), "{found:#?}");
    for finding in &found {
        assert_eq!((finding.code, finding.severity()), (CheckCode::OpenToOthers, Severity::Warning));
        assert_eq!(finding.repair.as_ref().map(|repair| repair.kind), Some(RepairKind::TightenMode));
    }
    assert!(found.iter().any(|finding| finding.problem.contains("0644")), "{found:#?}");
    assert_eq!(plant.repair().await, []);
    assert_eq!(mode(&plant.data), 0o770, "a volume may be a group's");
    assert_eq!(mode(&plant.generation(id, 1).join("private-key.pem")), 0o600);
    assert_eq!(mode(&plant.generation(id, 1).join("certificate.der")), 0o644, "what is public stays so");
}

#[tokio::test]
async fn a_file_of_another_user_is_named() {
    let plant = Plant::new().await;
    let key = plant.generation(plant.other, 2).join("private-key.pem");
    // Only root can give files away; elsewhere this cannot be tried.
    if std::os::unix::fs::chown(&key, Some(12_345), None).is_err() {
        return;
    }
    let found = plant.examine().await;
    let finding = Plant::one(&found, CheckCode::OwnerDiffers);
    assert!(finding.problem.contains("12345"), "{finding:?}");
    assert_eq!(finding.repair, None);
}

#[tokio::test]
async fn files_of_others_are_told_and_left_alone() {
    let plant = Plant::new().await;
    let id = plant.default;
    let files = [
        "notes.txt".to_owned(),
        "certificates/lost+found".to_owned(),
        format!("certificates/{id}/old"),
        format!("certificates/{id}/1/key.bak"),
        "trust/own".to_owned(),
    ];
    for file in &files {
        std::fs::write(plant.path(file), b"x").unwrap();
    }
    let found = plant.repair().await;
    let subjects: BTreeSet<_> = found.iter().map(|finding| finding.subject.clone()).collect();
    assert_eq!(subjects, files.iter().cloned().collect());
    for finding in found {
        assert_eq!((finding.code, finding.severity()), (CheckCode::FileNotOurs, Severity::Info));
    }
    assert!(files.iter().all(|file| plant.path(file).exists()));
}

#[tokio::test]
#[cfg_attr(koios_postgresql, ignore = "it damages the SQLite file")]
async fn a_damaged_missing_or_foreign_database_is_named_and_left_as_it_is() {
    let plant = Plant::new().await;
    let database = plant.path("koios.db");
    let whole = std::fs::read(&database).unwrap();
    let pages = whole.len() / 4096;
    for page in 1..pages {
        let mut torn = whole.clone();
        torn[page * 4096..(page + 1) * 4096].fill(0xA5);
        std::fs::write(&database, &torn).unwrap();
        let codes = plant.codes().await;
        assert!(codes.contains(&CheckCode::DatabaseDamaged), "page {page} of {pages}: {codes:?}");
    }
    std::fs::write(&database, b"this is no database, but a longer text file").unwrap();
    let codes = plant.codes().await;
    assert_eq!(codes, BTreeSet::from([CheckCode::DatabaseDamaged, CheckCode::NotExamined]));
    std::fs::write(&database, b"").unwrap();
    assert_eq!(plant.codes().await, BTreeSet::from([CheckCode::DatabaseMissing, CheckCode::NotExamined]));
    std::fs::remove_file(&database).unwrap();
    assert_eq!(plant.codes().await, BTreeSet::from([CheckCode::DatabaseMissing, CheckCode::NotExamined]));
    assert!(!database.exists());
    std::fs::write(&database, whole).unwrap();
    set_mode(&database, 0o600);
    assert_eq!(plant.examine().await, []);

    plant
        .execute(&["INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (9999, 'from the future', TRUE, x'00', 0)"])
        .await;
    assert_eq!(plant.codes().await, BTreeSet::from([CheckCode::DatabaseFormat, CheckCode::NotExamined]));
}

#[tokio::test]
async fn the_database_of_another_directory_is_named_and_no_key_is_moved() {
    let plant = Plant::new().await;
    let empty = tempfile::tempdir().unwrap();
    Store::open(StoreOptions::new(empty.path())).await.unwrap().close().await;
    for file in ["koios.db", "secrets.key"] {
        std::fs::copy(empty.path().join(file), plant.path(file)).unwrap();
    }
    let found = plant.repair().await;
    let foreign: Vec<_> = found.iter().filter(|finding| finding.code == CheckCode::DatabaseForeign).collect();
    assert_eq!(foreign.len(), 1, "{found:#?}");
    assert!(found.iter().all(|finding| finding.repair.is_none()), "{found:#?}");
    assert!(plant.generation(plant.other, 2).exists() && !plant.path("orphaned").exists());
}

#[tokio::test]
async fn references_to_rows_that_do_not_exist_are_named() {
    let plant = Plant::new().await;
    plant
        .execute(&[
            "DELETE FROM certificates WHERE name = 'Other'",
            "INSERT INTO device_history (device_id, sequence, at, state) VALUES ('gone', 1, 0, 'running')",
        ])
        .await;
    let found = plant.examine().await;
    let with = |code| found.iter().filter(move |finding| finding.code == code).collect::<Vec<_>>();
    let [device] = with(CheckCode::DeviceCertificateMissing)[..] else { panic!("{found:#?}") };
    assert!(device.subject.contains("Press 4") && device.problem.contains(&plant.other.to_string()));
    let [reference] = with(CheckCode::ReferenceBroken)[..] else { panic!("{found:#?}") };
    assert!(reference.problem.contains("device_history"), "{reference:?}");
    assert_eq!(with(CheckCode::UnknownGeneration).len(), 1, "{found:#?}");
}

#[tokio::test]
async fn certificates_of_other_tables_that_cannot_be_read_are_counted() {
    let plant = Plant::new().await;
    plant
        .execute(&[
            "UPDATE certificate_history SET chain = x'00'",
            "INSERT INTO seen_certificates (endpoint_url, thumbprint_sha256, chain, first_seen, last_seen) VALUES \
             ('opc.tcp://a', 'A', x'00', 0, 0), ('opc.tcp://b', 'B', x'', 0, 0)",
        ])
        .await;
    let found = plant.examine().await;
    let problems: Vec<_> = found.iter().map(|finding| (finding.code, finding.problem.as_str())).collect();
    let rows = CheckCode::RowsUnreadable;
    assert_eq!(
        problems,
        [
            (rows, "1 rows of certificate_history hold no certificate that can be read"),
            (rows, "2 rows of seen_certificates hold no certificate that can be read"),
        ]
    );
}

#[tokio::test]
async fn no_default_and_several_are_named() {
    for (damage, expected) in [
        ("UPDATE certificates SET is_default = FALSE", CheckCode::DefaultMissing),
        ("UPDATE certificates SET is_default = TRUE", CheckCode::SeveralDefaults),
    ] {
        let plant = Plant::new().await;
        plant.execute(&["DROP INDEX certificates_one_default", damage]).await;
        Plant::one(&plant.examine().await, expected);
    }
}

#[tokio::test]
async fn the_remedies_for_defaults_work() {
    for several in [false, true] {
        let plant = Plant::new().await;
        plant.execute(&["DROP INDEX certificates_one_default"]).await;
        plant
            .execute(if several {
                &["UPDATE certificates SET is_default = TRUE"]
            } else {
                &["UPDATE certificates SET is_default = FALSE"]
            })
            .await;
        let store = Store::open(plant.options()).await.unwrap();
        if !several {
            store.create_certificate(crate::fixture::new_certificate("New")).await.unwrap();
        }
        for id in [plant.other, plant.default] {
            store.set_default(id, koios_store::Apply::Commit).await.unwrap();
        }
        assert_eq!(store.default_certificate().await.unwrap().unwrap().id, plant.default);
        store.close().await;
        assert_eq!(plant.examine().await, []);
    }
}

#[tokio::test]
async fn folders_that_no_row_names_are_moved_aside_and_told_from_then_on() {
    let plant = Plant::new().await;
    let copy = |from: PathBuf, to: PathBuf| {
        std::fs::create_dir_all(&to).unwrap();
        for folder in [to.parent().unwrap(), &to] {
            set_mode(folder, 0o700);
        }
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    };
    let stranger: CertificateId = "0193aaaa-0000-7000-8000-000000000000".parse().unwrap();
    let current = plant.generation(plant.other, 2);
    copy(current.clone(), plant.generation(plant.other, 3));
    copy(current.clone(), plant.generation(stranger, 1));
    copy(current.clone(), plant.generation(plant.other, 1));
    let unfinished = plant.generation(plant.other, 4);
    std::fs::create_dir(&unfinished).unwrap();
    set_mode(&unfinished, 0o700);
    let found = plant.examine().await;
    let of = |code| found.iter().filter(|finding| finding.code == code).count();
    assert_eq!((of(CheckCode::UnknownGeneration), of(CheckCode::LeftoverGeneration)), (3, 1), "{found:#?}");

    let pair = snapshot(&current).into_iter().map(|(_, contents)| contents).collect::<Vec<_>>();
    let found = plant.repair().await;
    for moved in [format!("orphaned/{}-3", plant.other), format!("orphaned/{stranger}-1")] {
        let kept =
            snapshot(&plant.path(&moved)).into_iter().map(|(_, contents)| contents).collect::<Vec<_>>();
        assert_eq!(kept, pair, "{moved}");
    }
    assert!(!plant.path(&format!("certificates/{stranger}")).exists());
    let codes: Vec<_> = found.iter().map(|finding| (finding.code, finding.severity())).collect();
    let orphaned = (CheckCode::OrphanedKeyPair, Severity::Info);
    // What the database proves obsolete goes at a start, and not by a mend that must lose nothing.
    assert_eq!(
        codes,
        [orphaned, orphaned, orphaned, (CheckCode::LeftoverGeneration, Severity::Warning)],
        "{found:#?}"
    );
    let store = Store::open(plant.options()).await.unwrap();
    assert_eq!(store.load_identity(plant.other).await.unwrap().generation, 2);
    store.close().await;
    assert_eq!(plant.codes().await, BTreeSet::from([CheckCode::OrphanedKeyPair]));
}

#[tokio::test]
async fn a_key_of_secrets_that_is_missing_damaged_or_another_one_is_named() {
    let plant = Plant::new().await;
    let path = plant.path("secrets.key");
    std::fs::remove_file(&path).unwrap();
    let found = plant.examine().await;
    assert_eq!(found[0].code, CheckCode::SecretsKeyMissing);
    assert_eq!(found.len(), 2, "the audit trail cannot be examined without it: {found:#?}");
    for damaged in [&b"short"[..], &[7; 33], &[7; 5000]] {
        std::fs::write(&path, damaged).unwrap();
        set_mode(&path, 0o600);
        let codes = plant.codes().await;
        assert_eq!(codes, BTreeSet::from([CheckCode::SecretsKeyDamaged, CheckCode::NotExamined]));
    }
    std::fs::write(&path, [7; 32]).unwrap();
    set_mode(&path, 0o600);
    let found = plant.examine().await;
    let [password, audit] = &found[..] else { panic!("{found:#?}") };
    assert_eq!((password.code, audit.code), (CheckCode::PasswordUnreadable, CheckCode::AuditFault));
    assert!(password.subject.contains("Press 4"), "{password:?}");
}

#[tokio::test]
async fn many_passwords_that_do_not_open_are_one_finding() {
    let plant = Plant::new().await;
    let store = Store::open(plant.options()).await.unwrap();
    for number in 0..30 {
        store.create_device(with_password(&format!("Line {number}"), None), false).await.unwrap();
    }
    store.close().await;
    plant
        .execute(&["UPDATE devices SET password = x'01' || substr(password, 2, 20) WHERE name LIKE 'Line%'"])
        .await;
    let found = plant.examine().await;
    assert_eq!(Plant::one(&found, CheckCode::PasswordUnreadable).subject, "30 devices");
}

#[tokio::test]
async fn a_device_whose_row_cannot_be_read_is_named() {
    let plant = Plant::new().await;
    plant.execute(&["UPDATE devices SET pinned_chain = x'00' WHERE name = 'Oven'"]).await;
    let found = plant.examine().await;
    let finding = Plant::one(&found, CheckCode::DeviceRowUnreadable);
    assert!(finding.subject.contains("Oven") && finding.problem.contains("pinned_chain"), "{finding:?}");
}

#[tokio::test]
async fn faults_of_the_audit_trail_are_named() {
    let plant = Plant::new().await;
    plant.execute(&["UPDATE audit SET action = 'nothing' WHERE sequence = 2"]).await;
    let found = plant.examine().await;
    assert!(Plant::one(&found, CheckCode::AuditFault).problem.contains("entry 2"), "{found:?}");
}

#[tokio::test]
async fn a_request_whose_answer_could_not_be_installed_is_named() {
    let plant = Plant::new().await;
    let staged = plant.generation(plant.default, 2).join("private-key.pem");
    let stranger = PrivateKey::generate(KeySpec::EcP256).unwrap().to_pem();
    std::fs::write(&staged, stranger.secret_bytes()).unwrap();
    let found = plant.examine().await;
    let finding = Plant::one(&found, CheckCode::RequestUnusable);
    assert!(finding.problem.contains("does not belong"), "{finding:?}");
    std::fs::remove_file(&staged).unwrap();
    assert!(Plant::one(&plant.examine().await, CheckCode::RequestUnusable).problem.contains("missing"));

    for damage in [
        "UPDATE certificate_requests SET request = x'3000'",
        // As if it were for the key in use.
        "UPDATE certificate_requests SET generation = NULL, private_key_digest = NULL",
    ] {
        let plant = Plant::new().await;
        plant.execute(&[damage]).await;
        let codes = plant.codes().await;
        assert!(codes.contains(&CheckCode::RequestUnusable), "{damage}: {codes:?}");
    }
}

#[tokio::test]
async fn files_of_the_trust_lists_that_are_left_out_are_named() {
    let plant = Plant::new().await;
    let files = ["trust/trusted/certs/README.txt", "trust/issuer/crl/list.crl", "trust/rejected/certs/x.der"];
    for file in files {
        std::fs::write(plant.path(file), b"no certificate").unwrap();
    }
    std::os::unix::fs::symlink("/nonexistent", plant.path("trust/issuer/certs/link.der")).unwrap();
    let found = DirectoryCheck::to_read(plant.options()).unwrap().examine(|_, _| {}).await;
    assert_eq!(found.len(), 4, "{found:#?}");
    for finding in &found {
        assert_eq!((finding.code, &finding.repair), (CheckCode::TrustFileUnreadable, &None));
    }
    assert!(files.iter().all(|file| found.iter().any(|finding| finding.subject == *file)), "{found:#?}");
}

#[tokio::test]
async fn a_change_of_the_trust_lists_that_did_not_end_is_taken_back() {
    let plant = Plant::new().await;
    let certs = plant.path("trust/trusted/certs");
    let name = std::fs::read_dir(&certs).unwrap().next().unwrap().unwrap().file_name();
    let contents = std::fs::read(certs.join(&name)).unwrap();
    let noted = format!(
        "INSERT INTO trust_file_moves (source, target) VALUES ('trust/trusted/certs/{}', 'trust/.outgoing/0')",
        name.to_str().unwrap()
    );
    plant.execute(&[Box::leak(noted.into_boxed_str())]).await;
    std::fs::create_dir_all(plant.path("trust/.outgoing")).unwrap();
    std::fs::rename(certs.join(&name), plant.path("trust/.outgoing/0")).unwrap();

    let found = plant.examine().await;
    let finding = Plant::one(&found, CheckCode::LeftoverFileMoves);
    let repair = finding.repair.clone().unwrap();
    assert_eq!(repair.kind, RepairKind::TakeBackFileMoves);
    let refused = DirectoryCheck::to_read(plant.options()).unwrap().repair(&repair).await;
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    assert_eq!(plant.repair().await, []);
    assert_eq!(std::fs::read(certs.join(&name)).unwrap(), contents);
}

#[tokio::test]
async fn files_that_were_needed_for_a_moment_are_cleared_away() {
    let plant = Plant::new().await;
    for file in [".write-probe", "secrets.new"] {
        std::fs::write(plant.path(file), b"x").unwrap();
    }
    for folder in ["trust/.incoming", "trust/.outgoing"] {
        std::fs::create_dir_all(plant.path(folder)).unwrap();
        std::fs::write(plant.path(folder).join("0"), b"x").unwrap();
    }
    std::fs::create_dir_all(plant.path(".restoring")).unwrap();
    let found = plant.examine().await;
    assert_eq!(found.len(), 5, "{found:#?}");
    for finding in &found {
        assert_eq!((finding.code, finding.severity()), (CheckCode::LeftoverFile, Severity::Info));
    }
    assert_eq!(plant.repair().await, []);
}

#[tokio::test]
async fn what_a_restore_kept_is_told_and_a_restore_that_was_cut_off_is_settled_first() {
    let plant = Plant::new().await;
    let file = plant.data.with_extension("backup");
    assert_eq!(back_up(BackupOrder::new(&plant.data, &file)).await.unwrap().left_out, []);
    let restored = restore(RestoreOrder::new(&plant.data, &file)).await.unwrap();

    let found = plant.examine().await;
    let [kept] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((kept.code, kept.severity()), (CheckCode::KeptByRestore, Severity::Info));
    assert_eq!(plant.path(&kept.subject), restored.kept.unwrap());

    std::fs::write(plant.path("restore-under-way"), "{}").unwrap();
    for refused in [DirectoryCheck::to_read(plant.options()), DirectoryCheck::to_repair(plant.options())] {
        assert!(matches!(refused, Err(OpenError::Damaged { .. })));
    }
}

#[tokio::test]
async fn a_directory_that_a_killed_process_left_is_examined_as_one_that_nobody_uses() {
    let plant = Plant::new().await;
    // No process has this id: it is beyond what the system gives.
    std::fs::write(plant.path("koios.lock"), "4294967295\n").unwrap();
    std::fs::write(plant.path(".write-probe"), b"x").unwrap();
    Plant::one(&plant.examine().await, CheckCode::LeftoverFile);
}

#[tokio::test]
async fn beside_a_running_process_what_stays_is_still_named() {
    let plant = Plant::new().await;
    let store = Store::open(plant.options()).await.unwrap();
    let stray = plant.generation(plant.other, 7);
    std::fs::create_dir(&stray).unwrap();
    set_mode(&stray, 0o700);
    std::fs::write(plant.path(".write-probe"), b"x").unwrap();
    let found = DirectoryCheck::to_read(plant.options()).unwrap().examine(|_, _| {}).await;
    Plant::one(&found, CheckCode::UnknownGeneration);
    store.close().await;
}

#[test]
fn names_are_read_back() {
    assert!(CheckCode::ALL.iter().all(|code| CheckCode::from_name(code.as_str()) == Some(*code)));
    assert!(RepairKind::ALL.iter().all(|kind| RepairKind::from_name(kind.as_str()) == Some(*kind)));
}
