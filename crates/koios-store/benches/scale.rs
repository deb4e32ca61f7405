//! How long lists and starts take in a plant of 10,000 certificates and 50,000 devices.
//!
//! `cargo bench -p koios-store --bench scale [-- CERTIFICATES DEVICES]`. Each page is beside what SQLite takes for its
//! rows alone, asked in the same run.
#![expect(clippy::print_stdout, reason = "a benchmark reports")]

use std::error::Error;
use std::time::{Duration, Instant};

use koios_pki::{
    ApplicationUri, KeySpec, PrivateKey, SecurityMode, SelfSignedParams, SerialNumber, Validity, self_signed,
};
use koios_store::{
    Apply, AuditQuery, CertificateQuery, CertificateSortKey, DeviceQuery, DeviceSettings, DeviceSortKey,
    Direction, Name, NewCertificate, Origin, PageRequest, Sort, Store, StoreOptions,
};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};
use time::OffsetDateTime;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const SAMPLES: usize = 300;
const EXPIRING_SOON: time::Duration = time::Duration::days(30);

#[tokio::main]
async fn main() -> Result<()> {
    let numbers: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let (certificates, devices) = match numbers.as_slice() {
        [certificates, devices, ..] => (*certificates, *devices),
        _ => (10_000, 50_000),
    };
    let folder = tempfile::tempdir()?;
    let options = || StoreOptions::new(folder.path().join("data"));
    let store = Store::open(options()).await?;
    let begun = Instant::now();
    fill(&store, certificates, devices).await?;
    println!(
        "{certificates} certificates, {devices} devices; filled in {:.0} s",
        begun.elapsed().as_secs_f64()
    );
    store.close().await;

    let begun = Instant::now();
    let store = Store::open(options()).await?;
    println!("open: {:.0} ms", millis(begun.elapsed()));
    println!("| what | p50, ms | p99, ms |\n| --- | --- | --- |");
    let mut sqlite: SqliteConnection =
        SqliteConnectOptions::new().filename(folder.path().join("data/koios.db")).connect().await?;

    for (name, key) in [
        ("name", DeviceSortKey::Name),
        ("endpoint_url", DeviceSortKey::EndpointUrl),
        ("created_at", DeviceSortKey::CreatedAt),
    ] {
        device_pages(&store, name, Some(key), None).await?;
    }
    device_pages(&store, "name, those that mention 7", None, Some("7")).await?;
    let mut floor = Samples::default();
    for _ in 0..SAMPLES {
        floor
            .take(sqlx::query("SELECT * FROM devices ORDER BY name_key LIMIT 50").fetch_all(&mut sqlite))
            .await?;
    }
    floor.row("floor: SQLite, 50 rows of devices by name");

    for (name, key) in [
        ("name", CertificateSortKey::Name),
        ("not_after", CertificateSortKey::NotAfter),
        ("device_count", CertificateSortKey::DeviceCount),
    ] {
        let mut samples = Samples::default();
        let mut cursor = None;
        for _ in 0..SAMPLES {
            let mut query = CertificateQuery::default();
            query.sort = Sort { key, direction: Direction::Ascending };
            query.page = PageRequest::new(50, cursor.take());
            cursor = samples
                .take(store.certificates(query, OffsetDateTime::now_utc(), EXPIRING_SOON))
                .await?
                .next_cursor;
        }
        samples.row(&format!("certificates by {name}, a page of 50 with badges"));
    }
    let mut samples = Samples::default();
    for _ in 0..20 {
        let mut query = CertificateQuery::default();
        query.statuses = vec![koios_store::CertificateStatus::MissingFiles];
        samples.take(store.certificates(query, OffsetDateTime::now_utc(), EXPIRING_SOON)).await?;
    }
    samples.row("certificates with missing files (looks at every file)");
    let mut samples = Samples::default();
    for _ in 0..SAMPLES {
        samples.take(store.counts()).await?;
    }
    samples.row("counts");
    let mut samples = Samples::default();
    for _ in 0..SAMPLES {
        samples.take(store.audit(AuditQuery::default())).await?;
    }
    samples.row("audit, newest 50");
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        for line in status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM")) {
            println!("{line}");
        }
    }
    store.close().await;
    Ok(())
}

async fn device_pages(store: &Store, name: &str, key: Option<DeviceSortKey>, q: Option<&str>) -> Result<()> {
    let mut samples = Samples::default();
    let mut cursor = None;
    for _ in 0..SAMPLES {
        let mut query = DeviceQuery::default();
        query.sort = Sort { key: key.unwrap_or_default(), direction: Direction::Ascending };
        query.q = q.map(str::to_owned);
        query.page = PageRequest::new(50, cursor.take());
        cursor = samples.take(store.devices(query)).await?.next_cursor;
    }
    samples.row(&format!("devices by {name}, a page of 50"));
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
            Validity::starting_at(now, 100),
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
            settings.security_mode = SecurityMode::SignAndEncrypt;
            settings.certificate_id = ids.get(number % certificates.max(1)).copied();
            some.push((settings, number % 3 == 0));
        }
        store.import_devices(some, Apply::Commit).await?;
    }
    Ok(())
}

#[derive(Default)]
struct Samples(Vec<Duration>);

impl Samples {
    async fn take<T, E: Error + 'static>(
        &mut self,
        work: impl Future<Output = std::result::Result<T, E>>,
    ) -> Result<T> {
        let begun = Instant::now();
        let done = work.await?;
        self.0.push(begun.elapsed());
        Ok(done)
    }

    fn row(mut self, what: &str) {
        self.0.sort_unstable();
        let at = |share: usize| self.0.get((self.0.len() * share / 100).min(self.0.len().saturating_sub(1)));
        let show = |sample: Option<&Duration>| {
            sample.map_or_else(String::new, |sample| format!("{:.2}", millis(*sample)))
        };
        println!("| {what} | {} | {} |", show(at(50)), show(at(99)));
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
