//! koios-pki against OpenSSL, called as a library in the same process and the same run.
//!
//! `cargo run --release --manifest-path benches/openssl/Cargo.toml [-- BLOCKS [RSA_RUNS]]`: medians of 51 alternating blocks
//! of calls, and of 31 alternating generations of RSA keys, unless told. It needs OpenSSL's development files (Debian:
//! `libssl-dev`), or `--features vendored`, which builds OpenSSL from source. Both sides are given the same bytes.

mod generation;
mod material;
mod measure;
mod reading;
mod validation;

use material::Material;

fn main() {
    let mut numbers = std::env::args().skip(1).map(|argument| argument.parse().expect("a number"));
    let (blocks, rsa_runs) = (numbers.next().unwrap_or(51), numbers.next().unwrap_or(31));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("koios-pki against {}, {cores} cores,", openssl::version::version());
    println!("medians of {blocks} alternating blocks ({rsa_runs} alternating runs for RSA keys)");
    let material = Material::make(&[10, 100_000]);
    for (title, rows) in [
        ("Reading", reading::run(&material, blocks)),
        ("Trust validation", validation::run(&material, blocks)),
        ("Generation", generation::run(rsa_runs, blocks)),
    ] {
        println!("\n{title}\n\n{}", measure::HEADER);
        rows.iter().for_each(|row| println!("{row}"));
    }
}
