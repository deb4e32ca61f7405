//! Making a key and a self-signed certificate: this crate against `openssl req -x509 -newkey`, side by side.
//!
//! `cargo bench -p koios-pki --bench generate [-- RUNS]`, 30 runs unless told; on a quiet machine. The runs alternate,
//! so that both meet the same disturbances. The time of the process of OpenSSL includes its start, which is measured
//! on its own; that of `openssl genrsa` shows how much of it is the key.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark needs a clock and starts the program it compares with"
)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use koios_pki::{
    ApplicationUri, HostName, KeySpec, PrivateKey, SelfSignedParams, SerialNumber, Validity, common_name_for,
    self_signed,
};
use time::macros::datetime;

fn main() {
    let runs = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(30_usize).max(1);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let directory = tempfile::TempDir::new().expect("a directory for OpenSSL's output");
    let Some(version) = openssl_version() else {
        println!("openssl is not installed; nothing to compare with");
        return;
    };

    println!("Key and self-signed certificate, wall time in ms over {runs} alternating runs, {cores} cores");
    println!("against {version}");
    println!();
    println!(
        "| key | koios-pki median (min, max) | openssl req median (min, max) | openssl genrsa median | ratio of medians |"
    );
    println!("| --- | --- | --- | --- | --- |");
    for spec in KeySpec::ALL {
        let mut ours = Vec::with_capacity(runs);
        let mut request = Vec::with_capacity(runs);
        let mut genrsa = Vec::with_capacity(runs);
        for _ in 0..runs {
            ours.push(timed(|| generate(spec)));
            request.push(timed(|| openssl_request(directory.path(), spec)));
            genrsa.push(timed(|| openssl_genrsa(directory.path(), spec)));
        }
        let (ours, request, genrsa) = (Summary::of(ours), Summary::of(request), Summary::of(genrsa));
        let ratio = ours.median.as_secs_f64() / request.median.as_secs_f64();
        println!(
            "| RSA {} | {ours} | {request} | {:.1} | {ratio:.2} |",
            spec.bits(),
            milliseconds(genrsa.median)
        );
    }
    let start = Summary::of((0..runs).map(|_| timed(|| openssl(directory.path(), &["version"]))).collect());
    println!();
    println!(
        "Starting openssl alone takes {:.1} ms (median), which its figures include.",
        milliseconds(start.median)
    );
}

/// What the daemon does for one request, up to the bytes that are stored.
fn generate(spec: KeySpec) {
    let host = HostName::parse("gw01.plant.example").expect("a host name");
    let mut params = SelfSignedParams::new(
        common_name_for(&host).expect("a short host name"),
        "Koios",
        ApplicationUri::for_certificate(&host, "plant-a-certificate"),
        Validity::starting_at(datetime!(2026-11-23 10:00 UTC), 1095),
        SerialNumber::from_random_bytes([0x5A; 16]),
    );
    params.dns_names = vec![host.to_string()];
    let key = PrivateKey::generate(spec).expect("randomness");
    let certificate = self_signed(&params, &key).expect("sound parameters");
    std::hint::black_box((certificate.to_pem(), key.to_pem().secret_bytes().len()));
}

fn openssl_request(directory: &Path, spec: KeySpec) {
    let key = format!("rsa:{}", spec.bits());
    openssl(
        directory,
        &[
            "req",
            "-x509",
            "-newkey",
            &key,
            "-nodes",
            "-sha256",
            "-days",
            "1095",
            "-keyout",
            "key.pem",
            "-out",
            "certificate.pem",
            "-subj",
            "/CN=Koios@gw01.plant.example/O=Koios",
            "-addext",
            "subjectAltName=URI:urn:koios:gw01.plant.example:plant-a-certificate,DNS:gw01.plant.example",
        ],
    );
}

fn openssl_genrsa(directory: &Path, spec: KeySpec) {
    openssl(directory, &["genrsa", "-out", "key.pem", &spec.bits().to_string()]);
}

fn openssl(directory: &Path, arguments: &[&str]) {
    let status = Command::new("openssl")
        .args(arguments)
        .current_dir(directory)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("openssl starts");
    assert!(status.success(), "openssl {arguments:?}");
}

fn openssl_version() -> Option<String> {
    let output = Command::new("openssl").arg("version").output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn timed(run: impl FnOnce()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

struct Summary {
    min: Duration,
    median: Duration,
    max: Duration,
}

impl Summary {
    fn of(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        let middle = durations.len() / 2;
        let median = if durations.len().is_multiple_of(2) {
            (durations[middle - 1] + durations[middle]) / 2
        } else {
            durations[middle]
        };
        Self { min: durations[0], median, max: durations[durations.len() - 1] }
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:.1} ({:.1}, {:.1})",
            milliseconds(self.median),
            milliseconds(self.min),
            milliseconds(self.max)
        )
    }
}
