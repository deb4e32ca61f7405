//! Writes the trust guides as pages for people: `trust_guide_pages FOLDER`. The repository's are in `docs/trust`, written by
//! `cargo xtask trust-guides`.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

use koios_opcua::{Known, TrustGuide, trust_guides};

fn main() -> io::Result<()> {
    let folder = env::args().nth(1).ok_or_else(|| io::Error::other("usage: trust_guide_pages FOLDER"))?;
    let folder = Path::new(&folder);
    fs::create_dir_all(folder)?;
    fs::write(folder.join("README.md"), index())?;
    for guide in trust_guides() {
        fs::write(folder.join(format!("{}.md", guide.id)), page(guide))?;
    }
    Ok(())
}

fn index() -> String {
    let mut text = String::from(
        "# Trust guides\n\n\
         How servers are made to trust a client's certificate, per product. Generated from the catalogue in\n\
         `crates/koios-opcua/src/trust_guide/catalogue.toml` by `cargo xtask trust-guides`; change it there. The daemon\n\
         answers the same for a device's server: `GET /api/v1/devices/{id}/trust-guide`.\n\n\
         | product | vendor | confirmed |\n| --- | --- | --- |\n",
    );
    for guide in trust_guides() {
        let TrustGuide { id, name, vendor, confidence, .. } = guide;
        writeln!(text, "| [{name}]({id}.md) | {vendor} | {} |", confidence.as_str()).ok();
    }
    text
}

fn page(guide: &TrustGuide) -> String {
    let mut text = format!("# {}\n\n", guide.name);
    let confidence = guide.confidence.as_str();
    writeln!(text, "Vendor: {}. Confidence: {confidence}.\n\n## Steps\n", guide.vendor).ok();
    for (number, step) in (1..).zip(&guide.steps) {
        writeln!(text, "{number}. {}", escaped(step)).ok();
    }
    text.push_str("\n## Facts\n\n");
    let restart = known(guide.needs_restart, guide.needs_restart_note.as_deref());
    let push = known(guide.push_management, guide.push_management_note.as_deref());
    let signals = guide.untrusted_signals.join(", ");
    for (what, fact) in [
        ("Refused certificates", guide.rejected_location.as_deref()),
        ("Trusted certificates", guide.trusted_location.as_deref()),
        ("Import format", guide.import_format.as_deref()),
        ("Restart needed", Some(restart.as_str())),
        ("Push management", Some(push.as_str())),
        ("Answers to an untrusted certificate", (!signals.is_empty()).then_some(signals.as_str())),
    ] {
        writeln!(text, "- {what}: {}", escaped(fact.unwrap_or("unknown"))).ok();
    }
    if let Some(notes) = &guide.notes {
        writeln!(text, "\n{}", escaped(notes)).ok();
    }
    if !guide.sources.is_empty() {
        text.push_str("\n## Sources\n\n");
        for source in &guide.sources {
            writeln!(text, "- <{source}>").ok();
        }
    }
    text
}

/// A placeholder such as `<PKI>` is no tag.
fn escaped(text: &str) -> String {
    text.replace('<', "\\<")
}

fn known(fact: Known, note: Option<&str>) -> String {
    match note {
        Some(note) => format!("{}. {note}", fact.as_str()),
        None => fact.as_str().to_owned(),
    }
}
