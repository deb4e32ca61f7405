//! Reading certificates: structure only, with the common accessors, with everything there is to inspect.
//!
//! `cargo bench -p koios-pki --bench parse [-- ROUNDS]`, 200 rounds of 100 unless told; on a quiet machine. The rounds of
//! all rows alternate, so that they meet the same disturbances.
#![expect(clippy::disallowed_methods, reason = "a benchmark needs a clock")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use koios_pki::{
    ApplicationUri, Certificate, HostName, KeySpec, PrivateKey, SelfSignedParams, SerialNumber, Validity,
    common_name_for, self_signed,
};
use time::macros::datetime;

fn main() {
    let rounds =
        std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(200_usize).max(1);
    let der = certificate();
    let rows: [(&str, Run); 4] = [
        ("parse", |der| drop(black_box(read(der)))),
        ("parse + accessors", |der| ask(&read(der))),
        ("parse + inspect", |der| inspect(&read(der))),
        ("parse + thumbprints", |der| {
            let certificate = read(der);
            black_box((certificate.thumbprint_sha1(), certificate.thumbprint_sha256()));
        }),
    ];
    let mut times = rows.map(|_| Vec::with_capacity(rounds));
    for _ in 0..rounds {
        for ((_, run), times) in rows.iter().zip(&mut times) {
            let start = Instant::now();
            for _ in 0..REPETITIONS {
                run(black_box(&der));
            }
            times.push(start.elapsed() / REPETITIONS);
        }
    }

    println!(
        "One self-signed certificate of {} bytes, RSA 2048, over {rounds} alternating rounds",
        der.len()
    );
    println!();
    println!("| what | median in µs (min, max) |");
    println!("| --- | --- |");
    for ((name, _), mut times) in rows.iter().zip(times) {
        times.sort_unstable();
        let [min, median, max] =
            [0, times.len() / 2, times.len() - 1].map(|index| microseconds(times[index]));
        println!("| {name} | {median:.2} ({min:.2}, {max:.2}) |");
    }
}

fn read(der: &[u8]) -> Certificate {
    Certificate::from_der(der).expect("a certificate")
}

/// What a list of certificates shows.
fn ask(certificate: &Certificate) {
    black_box((certificate.subject(), certificate.issuer(), certificate.serial_number()));
    black_box((certificate.validity(), certificate.key_algorithm(), certificate.signature_algorithm()));
    black_box((certificate.application_uri(), certificate.dns_names(), certificate.ip_addresses()));
    black_box((certificate.key_usage(), certificate.extended_key_usage(), certificate.basic_constraints()));
}

/// Everything but the thumbprints and the check of the own signature, which are no reading.
fn inspect(certificate: &Certificate) {
    let inspection = certificate.inspect();
    black_box((inspection.version(), inspection.serial_number(), inspection.signature_algorithm()));
    black_box((inspection.names_one_signature_algorithm(), inspection.is_self_issued()));
    black_box((
        inspection.subject(),
        inspection.issuer(),
        inspection.validity(),
        inspection.time_encodings(),
    ));
    black_box((inspection.key(), inspection.extensions(), inspection.der_len()));
}

fn certificate() -> Vec<u8> {
    let host = HostName::parse("gw01.plant.example").expect("a host name");
    let mut params = SelfSignedParams::new(
        common_name_for(&host).expect("a short host name"),
        "Koios",
        ApplicationUri::for_certificate(&host, "plant-a-certificate"),
        Validity::starting_at(datetime!(2026-11-23 10:00 UTC), 1095),
        SerialNumber::from_random_bytes([0x5A; 16]),
    );
    params.dns_names = vec![host.to_string()];
    let key = PrivateKey::generate(KeySpec::Rsa2048).expect("randomness");
    self_signed(&params, &key).expect("sound parameters").der().to_vec()
}

fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

type Run = fn(&[u8]);

const REPETITIONS: u32 = 100;
