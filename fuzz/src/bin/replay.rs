//! Feeds every file of every corpus to its target, on stable Rust, and prints how many there were.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use std::process::ExitCode;

use koios_fuzz::TARGETS;

fn main() -> ExitCode {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut failed = false;
    for target in TARGETS {
        let inputs = match inputs(&corpora.join(target.name)) {
            Ok(inputs) if !inputs.is_empty() => inputs,
            Ok(_) => {
                println!("{:<20} has an empty corpus", target.name);
                failed = true;
                continue;
            }
            Err(error) => {
                println!("{:<20} has no corpus: {error}", target.name);
                failed = true;
                continue;
            }
        };
        let broken: Vec<_> =
            inputs.iter().filter(|(_, data)| catch_unwind(|| (target.run)(data)).is_err()).collect();
        for (name, _) in &broken {
            println!("{:<20} FAILED on {name}", target.name);
        }
        failed |= !broken.is_empty();
        println!("{:<20} {} inputs, {} failed", target.name, inputs.len(), broken.len());
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn inputs(directory: &Path) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        inputs.push((entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?));
    }
    inputs.sort();
    Ok(inputs)
}
