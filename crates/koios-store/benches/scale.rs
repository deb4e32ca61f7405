//! How long lists and starts take in a plant of 10,000 certificates and 50,000 devices.
//!
//! `cargo bench -p koios-store --bench scale [-- CERTIFICATES DEVICES] [DIRECTORY]`. A directory that is named is filled when
//! it is not there yet, and kept. Each page goes on from the one before, and is beside
//! what SQLite alone takes for the first page of the same rows, asked in the same run: without a total, folding and badges.
#![expect(clippy::print_stdout, reason = "a benchmark reports")]

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use koios_pki::{
    ApplicationUri, KeySpec, PrivateKey, SecurityMode, SelfSignedParams, SerialNumber, Validity, self_signed,
};
use koios_store::{
    Apply, AuditQuery, CertificateId, CertificateQuery, CertificateSortKey, CertificateStatus, DeviceFilter,
    DeviceQuery, DeviceSettings, DeviceSortKey, Direction, DirectoryCheck, Name, NewCertificate, OpenError,
    Origin, PageRequest, Sort, Store, StoreOptions,
};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};
use time::OffsetDateTime;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const SAMPLES: usize = 300;
/// Of what takes long.
const FEW: usize = 40;
const EXPIRING_SOON: time::Duration = time::Duration::days(30);

/// The 99th percentile of a page, in milliseconds.
const PAGE: f64 = 10.0;
/// That of a filter which may look at every file.
const DISK: f64 = 150.0;

#[tokio::main]
async fn main() -> Result<()> {
    let numbers: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let (certificates, devices) = match numbers.as_slice() {
        [certificates, devices, ..] => (*certificates, *devices),
        _ => (10_000, 50_000),
    };
    let folder = tempfile::tempdir()?;
    let named = std::env::args().skip(1).find(|argument| argument.contains('/')).map(PathBuf::from);
    let directory = named.unwrap_or_else(|| folder.path().join("data"));
    let options = || StoreOptions::new(&directory);
    if !directory.exists() {
        let store = Store::open(options()).await?;
        let begun = Instant::now();
        fill(&store, certificates, devices).await?;
        println!("filled in {:.0} s", begun.elapsed().as_secs_f64());
        store.close().await;
        // Files that were written a moment ago are read again at each look.
        tokio::time::sleep(Duration::from_secs(5)).await;
    }

    let mut opened = Samples::default();
    for _ in 0..9 {
        let store = opened.take(Store::open(options())).await?;
        store.close().await;
    }
    let store = Store::open(options()).await?;
    let there = store.counts().await?;
    println!("{} certificates, {} devices", there.certificates, there.devices);
    memory("after opening")?;
    let mut first = Samples::default();
    first.take(store.prepare_lists()).await?;
    memory("with the lists in memory")?;
    let mut first_look = Samples::default();
    first_look.take(store.look_at_files()).await?;
    memory("with every file looked at")?;

    println!(
        "| what | p50, ms | p99, ms | CPU p50, ms | CPU p99, ms | goal | SQLite alone, p50 | of SQLite's |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    opened.row("open", Some(1000.0), None);
    first.row("the first list: reads everything into memory", None, None);
    let mut peer: SqliteConnection =
        SqliteConnectOptions::new().filename(directory.join("koios.db")).connect().await?;
    let mut oldest = CertificateQuery::default();
    oldest.sort.key = CertificateSortKey::CreatedAt;
    oldest.page.limit = certificates;
    let all = store.certificates(oldest, OffsetDateTime::now_utc(), EXPIRING_SOON).await?;
    let ids: Vec<_> = all.items.iter().map(|record| record.id).collect();
    device_lists(&store, &mut peer, &ids).await?;
    certificate_lists(&store, &mut peer).await?;
    others(&store, &mut peer, first_look, ids.first().copied()).await?;
    memory("at the end")?;
    store.close().await;

    let mut checked = Samples::default();
    for _ in 0..3 {
        let check = DirectoryCheck::to_read(options())?;
        let examined = async { Ok::<_, OpenError>(check.examine(|_, _| {}).await) };
        let findings = checked.take(examined).await?;
        println!("check: {} findings", findings.len());
    }
    checked.row("check of the whole directory", None, None);
    Ok(())
}

async fn device_lists(store: &Store, peer: &mut SqliteConnection, ids: &[CertificateId]) -> Result<()> {
    type Change = Box<dyn Fn(&mut DeviceQuery)>;
    let sorted = |key, direction| -> Change { Box::new(move |query| query.sort = Sort { key, direction }) };
    let q = |q: &'static str| -> Change { Box::new(move |query| query.q = Some(q.to_owned())) };
    let certificate =
        |id: Option<CertificateId>| -> Change { Box::new(move |query| query.certificate_id = id) };
    use Direction::{Ascending, Descending};
    let mention = |q: &str| {
        format!(
            "SELECT * FROM devices WHERE name_key LIKE '%{q}%' OR endpoint_url LIKE '%{q}%' OR description LIKE '%{q}%' \
             ORDER BY name_key LIMIT 50"
        )
    };
    let own = ids.last().copied();
    let own_text = own.map(|id| id.to_string()).unwrap_or_default();
    let lists: Vec<(&str, Change, String)> = vec![
        (
            "by name",
            sorted(DeviceSortKey::Name, Ascending),
            "SELECT * FROM devices ORDER BY name_key LIMIT 50".to_owned(),
        ),
        (
            "by endpoint URL",
            sorted(DeviceSortKey::EndpointUrl, Ascending),
            "SELECT * FROM devices ORDER BY endpoint_url, id LIMIT 50".to_owned(),
        ),
        (
            "by time of creation, newest first",
            sorted(DeviceSortKey::CreatedAt, Descending),
            "SELECT * FROM devices ORDER BY created_at DESC, id LIMIT 50".to_owned(),
        ),
        ("that mention \"7\"", q("7"), mention("7")),
        ("that mention \"device 4999\"", q("Device 4999"), mention("device 4999")),
        (
            "that mention \"plant\", by endpoint URL",
            Box::new(|query| {
                query.q = Some("plant".to_owned());
                query.sort = Sort { key: DeviceSortKey::EndpointUrl, direction: Descending };
            }),
            "SELECT * FROM devices WHERE name_key LIKE '%plant%' OR endpoint_url LIKE '%plant%' OR description LIKE \
             '%plant%' ORDER BY endpoint_url DESC, id LIMIT 50"
                .to_owned(),
        ),
        (
            "enabled",
            Box::new(|query| query.enabled = Some(true)),
            "SELECT * FROM devices WHERE enabled ORDER BY name_key LIMIT 50".to_owned(),
        ),
        (
            "of mode none",
            Box::new(|query| query.security_mode = Some(SecurityMode::None)),
            "SELECT * FROM devices WHERE security_mode = 'none' ORDER BY name_key LIMIT 50".to_owned(),
        ),
        (
            "of a certificate",
            certificate(own),
            format!(
                "SELECT * FROM devices WHERE certificate_id = '{own_text}' AND security_mode <> 'none' ORDER BY name_key \
                 LIMIT 50"
            ),
        ),
        (
            "of the default",
            certificate(ids.first().copied()),
            "SELECT * FROM devices WHERE certificate_id IS NULL AND security_mode <> 'none' ORDER BY name_key LIMIT 50"
                .to_owned(),
        ),
        (
            "of a state, which the store does not know",
            Box::new(|query| query.filter = Some(DeviceFilter::new(|id, _| id.as_uuid().as_u128() % 3 == 0))),
            "SELECT * FROM devices WHERE id LIKE '%a' ORDER BY name_key LIMIT 50".to_owned(),
        ),
    ];
    for (name, change, statement) in lists {
        let mut samples = Samples::default();
        let mut cursor = None;
        for _ in 0..SAMPLES {
            let mut query = DeviceQuery::default();
            change(&mut query);
            query.page = PageRequest::new(50, cursor.take());
            cursor = samples.take(store.devices(query)).await?.next_cursor;
        }
        let beside = beside(peer, &statement).await?;
        samples.row(&format!("devices {name}"), Some(PAGE), Some(beside));
    }
    let mut samples = Samples::default();
    for number in 0..SAMPLES {
        let mut query = DeviceQuery::default();
        query.q = Some("7".to_owned());
        let changed = store.devices(DeviceQuery::default()).await?.items;
        if let Some(device) = changed.get(number % changed.len().max(1)) {
            store.set_enabled(device.id, !device.enabled).await?;
        }
        samples.take(store.devices(query)).await?;
    }
    samples.row("devices that mention \"7\", right after a change of one", Some(PAGE), None);
    Ok(())
}

async fn certificate_lists(store: &Store, peer: &mut SqliteConnection) -> Result<()> {
    type Change = Box<dyn Fn(&mut CertificateQuery)>;
    let sorted = |key, direction| -> Change { Box::new(move |query| query.sort = Sort { key, direction }) };
    let status = |status| -> Change { Box::new(move |query| query.statuses = vec![status]) };
    use CertificateStatus::{Expired, ExpiringSoon, MissingFiles, NotYetValid, Valid};
    use Direction::{Ascending, Descending};
    let rows = |rest: &str| format!("SELECT * FROM certificates {rest} LIMIT 50");
    let until =
        |compare: &str| rows(&format!("WHERE not_after {compare} unixepoch() * 1000000 ORDER BY name_key"));
    let counted = "SELECT c.*, COUNT(d.id) AS used FROM certificates c LEFT JOIN devices d ON d.certificate_id = c.id AND \
                   d.security_mode <> 'none' GROUP BY c.id ORDER BY used DESC, c.id LIMIT 50";
    let mention = |q: &str| {
        rows(&format!(
            "WHERE name_key LIKE '%{q}%' OR description LIKE '%{q}%' OR common_name LIKE '%{q}%' OR application_uri LIKE \
             '%{q}%' OR thumbprint_sha1 LIKE '%{q}%' OR thumbprint_sha256 LIKE '%{q}%' ORDER BY name_key"
        ))
    };
    let lists: Vec<(&str, Change, f64, usize, String)> = vec![
        ("by name", sorted(CertificateSortKey::Name, Ascending), PAGE, SAMPLES, rows("ORDER BY name_key")),
        (
            "by expiry",
            sorted(CertificateSortKey::NotAfter, Ascending),
            PAGE,
            SAMPLES,
            rows("ORDER BY not_after, id"),
        ),
        (
            "by time of creation",
            sorted(CertificateSortKey::CreatedAt, Descending),
            PAGE,
            SAMPLES,
            rows("ORDER BY created_at DESC, id"),
        ),
        (
            "by common name",
            sorted(CertificateSortKey::CommonName, Ascending),
            PAGE,
            SAMPLES,
            rows("ORDER BY lower(common_name), id"),
        ),
        (
            "by number of devices",
            sorted(CertificateSortKey::DeviceCount, Descending),
            PAGE,
            SAMPLES,
            counted.to_owned(),
        ),
        (
            "that mention \"gw77\"",
            Box::new(|query| query.q = Some("GW77".to_owned())),
            PAGE,
            SAMPLES,
            mention("gw77"),
        ),
        (
            "that mention \"a\", by number of devices",
            Box::new(|query| {
                query.q = Some("a".to_owned());
                query.sort = Sort { key: CertificateSortKey::DeviceCount, direction: Ascending };
            }),
            PAGE,
            SAMPLES,
            mention("a"),
        ),
        ("expired", status(Expired), PAGE, SAMPLES, until("<")),
        (
            "not yet valid",
            status(NotYetValid),
            PAGE,
            SAMPLES,
            rows("WHERE not_before > unixepoch() * 1000000"),
        ),
        ("expiring soon (may look at files)", status(ExpiringSoon), DISK, FEW, until(">")),
        ("valid (looks at files)", status(Valid), DISK, FEW, until(">")),
        ("with missing files (looks at every file)", status(MissingFiles), DISK, FEW, until(">")),
    ];
    for (name, change, goal, times, statement) in lists {
        let mut samples = Samples::default();
        let mut cursor = None;
        for _ in 0..times {
            let mut query = CertificateQuery::default();
            change(&mut query);
            query.page = PageRequest::new(50, cursor.take());
            let page = store.certificates(query, OffsetDateTime::now_utc(), EXPIRING_SOON);
            cursor = samples.take(page).await?.next_cursor;
        }
        let beside = beside(peer, &statement).await?;
        samples.row(&format!("certificates {name}"), Some(goal), Some(beside));
    }
    Ok(())
}

async fn others(
    store: &Store,
    peer: &mut SqliteConnection,
    first_look: Samples,
    default: Option<CertificateId>,
) -> Result<()> {
    if let Some(default) = default {
        let mut samples = Samples::default();
        let mut cursor = None;
        for _ in 0..SAMPLES {
            let page = store.devices_of(default, PageRequest::new(50, cursor.take()));
            cursor = samples.take(page).await?.next_cursor;
        }
        samples.row("devices of the default, in short", Some(PAGE), None);
    }
    let mut samples = Samples::default();
    for _ in 0..SAMPLES {
        samples.take(store.counts()).await?;
    }
    let counts = "SELECT (SELECT COUNT(*) FROM certificates), (SELECT COUNT(*) FROM devices), (SELECT COUNT(*) FROM devices \
                  WHERE enabled)";
    let alone = beside(peer, counts).await?;
    samples.row("all counts", Some(PAGE), Some(alone));
    let mut samples = Samples::default();
    for _ in 0..SAMPLES {
        samples.take(store.audit(AuditQuery::default())).await?;
    }
    let alone = beside(peer, "SELECT * FROM audit ORDER BY sequence DESC LIMIT 50").await?;
    samples.row("audit trail, newest 50", Some(PAGE), Some(alone));
    let mut samples = Samples::default();
    for _ in 0..FEW {
        samples.take(store.certificate_overview()).await?;
    }
    let alone = beside(peer, "SELECT id, name, not_after FROM certificates").await?;
    samples.row("all certificates for metrics", None, Some(alone));
    let mut samples = Samples::default();
    for _ in 0..FEW / 4 {
        samples.take(all_pages(store)).await?;
    }
    samples.row("all certificates in pages of 500, with chains and badges", None, None);
    first_look.row("a first look at all files: reads them", None, None);
    let mut samples = Samples::default();
    for _ in 0..FEW {
        samples.take(store.look_at_files()).await?;
    }
    samples.row("a look at all files", None, None);
    Ok(())
}

async fn all_pages(store: &Store) -> std::result::Result<usize, koios_store::StoreError> {
    let (mut all, mut cursor) = (0, None);
    loop {
        let mut query = CertificateQuery::default();
        query.page = PageRequest::new(500, cursor);
        let page = store.certificates(query, OffsetDateTime::now_utc(), EXPIRING_SOON).await?;
        all += page.items.len();
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(all);
        }
    }
}

/// SQLite alone, asked the same.
async fn beside(peer: &mut SqliteConnection, statement: &str) -> Result<Duration> {
    let mut samples = Samples::default();
    for _ in 0..FEW {
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement.to_owned())).fetch_all(&mut *peer);
        samples.take(rows).await?;
    }
    Ok(at(&samples.elapsed, 50))
}

fn memory(when: &str) -> Result<()> {
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let line = |name: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            value.trim_start_matches(':').trim().to_owned()
        };
        println!("memory {when}: {} (at most {})", line("VmRSS"), line("VmHWM"));
    }
    Ok(())
}

async fn fill(store: &Store, certificates: usize, devices: usize) -> Result<()> {
    let key = PrivateKey::generate(KeySpec::EcP256)?;
    let now = OffsetDateTime::now_utc();
    let mut ids = Vec::with_capacity(certificates);
    for number in 0..certificates {
        let mut serial = [0x5A; 16];
        for (to, from) in serial.iter_mut().skip(8).zip(u64::try_from(number)?.to_be_bytes()) {
            *to = from;
        }
        let params = SelfSignedParams::new(
            format!("Koios@gw{number}"),
            "Koios",
            ApplicationUri::parse(&format!("urn:koios:gw{number}:certificate"))?,
            // Some have expired, some will soon.
            Validity::starting_at(now - time::Duration::days(50), 45 + u32::try_from(number % 500)?),
            SerialNumber::from_random_bytes(serial),
        );
        let chain = self_signed(&params, &key)?.into();
        let name = Name::parse(&format!("Certificate {number}"))?;
        let new = NewCertificate::new(name, Origin::Generated, chain, key.to_pem(), 100);
        ids.push(store.create_certificate(new).await?.id);
    }
    for from in (0..devices).step_by(5_000) {
        let mut some = Vec::new();
        for number in from..devices.min(from + 5_000) {
            let name = Name::parse(&format!("Device {number}"))?;
            let mut settings = DeviceSettings::new(
                name,
                format!("opc.tcp://plant{}.example:{}/", number % 200, 4840 + number % 1000),
            );
            if number % 10 != 3 {
                settings.security_mode = SecurityMode::SignAndEncrypt;
            }
            // One in twenty uses the default, which is the first certificate.
            settings.certificate_id =
                ids.get(number % certificates.max(1)).copied().filter(|_| number % 20 != 0);
            some.push((settings, number % 3 == 0));
        }
        store.import_devices(some, Apply::Commit).await?;
    }
    Ok(())
}

/// How long each took by the clock, and how much of the processors' time it took.
#[derive(Default)]
struct Samples {
    elapsed: Vec<Duration>,
    computed: Vec<Duration>,
}

impl Samples {
    async fn take<T, E: Error + 'static>(
        &mut self,
        work: impl Future<Output = std::result::Result<T, E>>,
    ) -> Result<T> {
        let (begun, computed) = (Instant::now(), computed());
        let done = work.await?;
        self.elapsed.push(begun.elapsed());
        self.computed.push(self::computed().saturating_sub(computed));
        Ok(done)
    }

    fn row(self, what: &str, goal: Option<f64>, alone: Option<Duration>) {
        let (half, most) = (at(&self.elapsed, 50), at(&self.elapsed, 99));
        let goal = match goal {
            None => String::new(),
            Some(goal) if millis(most) < goal => format!("{goal}: met"),
            Some(goal) => format!("{goal}: missed"),
        };
        let beside = alone.map_or_else(String::new, |alone| format!("{:.2}", millis(alone)));
        let ratio = alone.map_or_else(String::new, |alone| format!("{:.2}", millis(half) / millis(alone)));
        println!(
            "| {what} | {:.2} | {:.2} | {:.2} | {:.2} | {goal} | {beside} | {ratio} |",
            millis(half),
            millis(most),
            millis(at(&self.computed, 50)),
            millis(at(&self.computed, 99)),
        );
    }
}

fn at(samples: &[Duration], share: usize) -> Duration {
    let mut samples = samples.to_vec();
    samples.sort_unstable();
    let index = (samples.len() * share / 100).min(samples.len().saturating_sub(1));
    samples.get(index).copied().unwrap_or_default()
}

/// The processors' time of this process until now, on all threads: beside other work, it says more than the clock.
#[cfg(target_os = "linux")]
fn computed() -> Duration {
    rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime).try_into().unwrap_or_default()
}

#[cfg(not(target_os = "linux"))]
fn computed() -> Duration {
    Duration::ZERO
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
