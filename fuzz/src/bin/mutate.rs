//! Feeds changed corpus files to the targets on stable Rust: `mutate [ROUNDS [TARGET]]`. No coverage, no memory of what
//! was found; for machines without a nightly compiler. The rounds are the same each time.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use koios_fuzz::TARGETS;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let rounds: u64 = arguments.next().and_then(|rounds| rounds.parse().ok()).unwrap_or(10_000);
    let only = arguments.next();
    for target in TARGETS.iter().filter(|target| only.as_ref().is_none_or(|only| only == target.name)) {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
        let Ok(files) = fs::read_dir(&directory) else {
            eprintln!("{}: no corpus", target.name);
            return ExitCode::FAILURE;
        };
        let seeds: Vec<Vec<u8>> = files.filter_map(|file| fs::read(file.ok()?.path()).ok()).collect();
        let mut lots = Lots(1);
        for round in 0..rounds {
            let Some(seed) = seeds.get(lots.below(seeds.len())) else { return ExitCode::FAILURE };
            let input = changed(seed.clone(), &mut lots);
            if std::panic::catch_unwind(|| (target.run)(&input)).is_err() {
                eprintln!("{}: round {round} panics on {input:02x?}", target.name);
                return ExitCode::FAILURE;
            }
        }
        println!("{:<20} {rounds} rounds", target.name);
    }
    ExitCode::SUCCESS
}

/// A few changes of the kinds that break readers: bits, lengths, cuts, repetitions.
fn changed(mut bytes: Vec<u8>, lots: &mut Lots) -> Vec<u8> {
    for _ in 0..=lots.below(4) {
        if bytes.is_empty() {
            return bytes;
        }
        let at = lots.below(bytes.len());
        match lots.below(6) {
            0 => bytes[at] ^= 1 << lots.below(8),
            1 => bytes[at] = lots.next().to_le_bytes()[0],
            2 => {
                let odd = [0u32, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0xFFFF][lots.below(6)];
                for (byte, new) in bytes.iter_mut().skip(at).zip(odd.to_le_bytes()) {
                    *byte = new;
                }
            }
            3 => bytes.truncate(at),
            4 => {
                let len = lots.below(bytes.len() - at) + 1;
                bytes.extend_from_within(at..at + len);
            }
            _ => {
                bytes.remove(at);
            }
        }
    }
    bytes
}

/// A small generator (xorshift), so that rounds repeat.
struct Lots(u64);

impl Lots {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound.max(1)).unwrap_or(1)).unwrap_or(0)
    }
}
