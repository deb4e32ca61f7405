//! What an import found and did, for people and for programs.

use std::path::Path;

use koios_pki::{Finding, Severity, findings};
use koios_store::{
    FileNote, IdentityOutcome, ImportReport, ImportedIdentity, ImportedTrust, TrustItem, TrustOutcome,
};
use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::error_chain::error_chain;

/// For a person: what was imported, then every file.
pub(super) fn text(report: &ImportReport, data_dir: &Path, dry_run: bool) -> String {
    let mut lines = Lines::default();
    for (source, layout) in &report.layouts {
        lines.add(format!("{}: {}", source.display(), layout.name()));
    }
    for identity in &report.identities {
        add_identity(&mut lines, identity);
    }
    // What is in the way last, where it is seen below thousands of trusted certificates.
    for (heading, missed) in [("files:", false), ("not taken over:", true)] {
        let files =
            report.files.iter().filter(|file| file.notes.iter().any(FileNote::may_be_a_key) == missed);
        let mut files = files.peekable();
        if files.peek().is_some() {
            lines.add(heading.to_owned());
        }
        for file in files {
            let notes: Vec<_> = file.notes.iter().map(|note| note_text(report, note)).collect();
            lines.add(format!("  {}: {}", file.path.display(), notes.join("; ")));
        }
    }
    for warning in &report.warnings {
        lines.add(format!("WARNING: {warning}"));
    }
    add_trust_summary(&mut lines, report, dry_run);
    add_summary(&mut lines, report, data_dir, dry_run);
    lines.0
}

/// Lines of text in which nothing of a stranger's steers a terminal.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, line: String) {
        self.0.push_str(&line.replace(char::is_control, "\u{FFFD}"));
        self.0.push('\n');
    }
}

fn add_identity(lines: &mut Lines, identity: &ImportedIdentity) {
    let leaf = identity.chain.leaf();
    let head = match &identity.outcome {
        IdentityOutcome::AlreadyThere { name, .. } => format!("ALREADY THERE as {name:?}, unchanged"),
        IdentityOutcome::Failed(error) => format!("FAILED {}: {}", leaf.subject(), error_chain(error)),
        IdentityOutcome::Imported { name, is_default: true, .. } => {
            format!("IMPORTED {name:?}, the first certificate and so the default")
        }
        IdentityOutcome::Imported { name, .. } => format!("IMPORTED {name:?}"),
        IdentityOutcome::Refused(refusal) => format!("LEFT {}: {refusal}", leaf.subject()),
        IdentityOutcome::WouldBeImported(name) => format!("WOULD BE IMPORTED {:?}", name.as_str()),
        other => format!("{other:?}"),
    };
    lines.add(head);
    lines.add(format!("  application URI  {}", leaf.application_uri().unwrap_or("none")));
    lines.add(format!("  SHA-1            {}", leaf.thumbprint_sha1()));
    lines.add(format!("  valid until      {}", instant(leaf.validity().not_after)));
    let issuers: Vec<_> = identity.chain.issuers().iter().map(|issuer| issuer.subject()).collect();
    if !issuers.is_empty() {
        lines.add(format!("  issuers          {}", issuers.join("; ")));
    }
    for (what, files) in [("certificate", &identity.certificate_files), ("private key", &identity.key_files)]
    {
        for file in files {
            lines.add(format!("  {what:<15}  {}", file.display()));
        }
    }
    for finding in worth_telling(identity) {
        let severity = finding.severity.as_str().to_uppercase();
        lines.add(format!("  {severity}: {}", finding.message));
    }
}

/// What an upload would warn of.
fn worth_telling(identity: &ImportedIdentity) -> Vec<Finding> {
    if matches!(identity.outcome, IdentityOutcome::Refused(_)) {
        return Vec::new();
    }
    let mut found = findings(&identity.chain, OffsetDateTime::now_utc());
    found.retain(|finding| finding.severity >= Severity::Warning);
    found
}

fn note_text(report: &ImportReport, note: &FileNote) -> String {
    match note {
        FileNote::Certificate { identity }
        | FileNote::Issuer { identity }
        | FileNote::PrivateKey { identity } => {
            let of = report.identities.get(*identity);
            let outcome = of.map_or("", |identity| identity_word(&identity.outcome).1);
            let name = of.map_or("", |identity| name_of(identity));
            format!("{note} of {name:?}, {outcome}")
        }
        FileNote::Trust { item } => report.trust.get(*item).map_or_else(String::new, trust_text),
        note => note.to_string(),
    }
}

fn trust_text(trust: &ImportedTrust) -> String {
    let what = match &trust.item {
        TrustItem::Certificate(_) => "certificate",
        TrustItem::RevocationList(_) => "revocation list",
    };
    let outcome = trust_word(&trust.outcome).1;
    let failure = match &trust.outcome {
        TrustOutcome::Failed(error) => format!(": {}", error_chain(error)),
        _ => String::new(),
    };
    format!("{what} of {:?} in the list {}, {outcome}{failure}", trust.item.name(), trust.list)
}

fn name_of(identity: &ImportedIdentity) -> &str {
    match &identity.outcome {
        IdentityOutcome::AlreadyThere { name, .. } | IdentityOutcome::Imported { name, .. } => name,
        IdentityOutcome::WouldBeImported(name) => name.as_str(),
        _ => {
            let leaf = identity.chain.leaf();
            leaf.common_name().unwrap_or_else(|| leaf.subject())
        }
    }
}

fn add_trust_summary(lines: &mut Lines, report: &ImportReport, dry_run: bool) {
    let count =
        |wanted: &str| report.trust.iter().filter(|trust| trust_word(&trust.outcome).0 == wanted).count();
    if report.trust.is_empty() {
        return;
    }
    let mut line = format!(
        "trust lists of the other product: {} {}, already there {}, left {}",
        counted(dry_run),
        count("imported") + count("would_be_imported"),
        count("already_there"),
        count("left") + count("rejected") + count("failed")
    );
    if count("left") > 0 {
        line.push_str("; --trust adds them to those of Koios");
    }
    lines.add(line);
}

fn add_summary(lines: &mut Lines, report: &ImportReport, data_dir: &Path, dry_run: bool) {
    let count = |wanted: &[&str]| {
        let words = report.identities.iter().map(|identity| identity_word(&identity.outcome).0);
        words.filter(|word| wanted.contains(word)).count()
    };
    lines.add(format!(
        "{}: certificates {} {}, already there {}, left {}",
        data_dir.display(),
        counted(dry_run),
        count(&["imported", "would_be_imported"]),
        count(&["already_there"]),
        count(&["refused", "failed"])
    ));
    if count(&["imported"]) > 0 {
        lines.add("The other product has the keys still: stop it before Koios connects in its place, and delete them there when you are content.".to_owned());
    }
    if dry_run {
        lines.add("dry run: nothing was changed".to_owned());
    }
    if !report.is_complete() {
        let missed = report.files.iter().flat_map(|file| &file.notes).any(FileNote::may_be_a_key);
        lines.add(match report.identities.is_empty() && !missed {
            true => "no private key was found, and so nothing to import".to_owned(),
            false => "not everything could be taken over; what is in the way stands above".to_owned(),
        });
    }
}

fn counted(dry_run: bool) -> &'static str {
    if dry_run { "to import" } else { "imported" }
}

/// The word for programs, and that for people.
fn identity_word(outcome: &IdentityOutcome) -> (&'static str, &'static str) {
    match outcome {
        IdentityOutcome::AlreadyThere { .. } => ("already_there", "already there"),
        IdentityOutcome::Failed(_) => ("failed", "not imported"),
        IdentityOutcome::Imported { .. } => ("imported", "imported"),
        IdentityOutcome::Refused(_) => ("refused", "left"),
        IdentityOutcome::WouldBeImported(_) => ("would_be_imported", "to be imported"),
        _ => ("unknown", ""),
    }
}

fn trust_word(outcome: &TrustOutcome) -> (&'static str, &'static str) {
    match outcome {
        TrustOutcome::AlreadyThere => ("already_there", "already there"),
        TrustOutcome::Failed(_) => ("failed", "not imported"),
        TrustOutcome::Imported => ("imported", "imported"),
        TrustOutcome::Left => ("left", "left"),
        TrustOutcome::Rejected => ("rejected", "left, because it is among the rejected ones of Koios"),
        TrustOutcome::WouldBeImported => ("would_be_imported", "to be imported"),
        _ => ("unknown", ""),
    }
}

fn instant(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

/// For a program.
pub(super) fn json(report: &ImportReport, dry_run: bool) -> serde_json::Result<String> {
    let body = ReportBody {
        complete: report.is_complete(),
        dry_run,
        sources: report
            .layouts
            .iter()
            .map(|(path, layout)| SourceBody { path: shown(path), layout: layout.as_str() })
            .collect(),
        certificates: report.identities.iter().map(CertificateBody::from).collect(),
        trust: report.trust.iter().map(TrustBody::from).collect(),
        files: report
            .files
            .iter()
            .map(|file| FileBody {
                path: shown(&file.path),
                notes: file
                    .notes
                    .iter()
                    .map(|note| NoteBody { code: note.code(), detail: note_text(report, note) })
                    .collect(),
            })
            .collect(),
        warnings: report.warnings.clone(),
    };
    Ok(serde_json::to_string_pretty(&body)? + "\n")
}

#[derive(Serialize)]
struct ReportBody {
    complete: bool,
    dry_run: bool,
    sources: Vec<SourceBody>,
    certificates: Vec<CertificateBody>,
    trust: Vec<TrustBody>,
    files: Vec<FileBody>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct SourceBody {
    path: String,
    layout: &'static str,
}

#[derive(Serialize)]
struct CertificateBody {
    outcome: &'static str,
    /// Why not, when it was left or failed.
    reason: Option<String>,
    /// `null` when it is not in the store.
    id: Option<String>,
    name: Option<String>,
    subject: String,
    application_uri: Option<String>,
    thumbprint_sha1: String,
    thumbprint_sha256: String,
    not_after: String,
    issuers: Vec<String>,
    certificate_files: Vec<String>,
    private_key_files: Vec<String>,
    findings: Vec<FindingBody>,
}

#[derive(Serialize)]
struct FindingBody {
    code: &'static str,
    severity: &'static str,
    message: String,
}

impl From<&ImportedIdentity> for CertificateBody {
    fn from(identity: &ImportedIdentity) -> Self {
        let leaf = identity.chain.leaf();
        let (id, name, reason) = match &identity.outcome {
            IdentityOutcome::AlreadyThere { id, name } | IdentityOutcome::Imported { id, name, .. } => {
                (Some(id.to_string()), Some(name.clone()), None)
            }
            IdentityOutcome::Failed(error) => (None, None, Some(error_chain(error))),
            IdentityOutcome::Refused(refusal) => (None, None, Some(refusal.to_string())),
            IdentityOutcome::WouldBeImported(name) => (None, Some(name.as_str().to_owned()), None),
            _ => (None, None, None),
        };
        let finding = |finding: Finding| FindingBody {
            code: finding.code.as_str(),
            severity: finding.severity.as_str(),
            message: finding.message,
        };
        Self {
            outcome: identity_word(&identity.outcome).0,
            reason,
            id,
            name,
            subject: leaf.subject().to_owned(),
            application_uri: leaf.application_uri().map(str::to_owned),
            thumbprint_sha1: leaf.thumbprint_sha1().to_string(),
            thumbprint_sha256: leaf.thumbprint_sha256().to_string(),
            not_after: instant(leaf.validity().not_after),
            issuers: identity.chain.issuers().iter().map(|issuer| issuer.subject().to_owned()).collect(),
            certificate_files: identity.certificate_files.iter().map(shown).collect(),
            private_key_files: identity.key_files.iter().map(shown).collect(),
            findings: worth_telling(identity).into_iter().map(finding).collect(),
        }
    }
}

#[derive(Serialize)]
struct TrustBody {
    outcome: &'static str,
    list: &'static str,
    kind: &'static str,
    name: String,
    /// Of the certificate, or of the revocation list.
    sha256: String,
    files: Vec<String>,
}

impl From<&ImportedTrust> for TrustBody {
    fn from(trust: &ImportedTrust) -> Self {
        let (kind, sha256) = match &trust.item {
            TrustItem::Certificate(certificate) => ("certificate", certificate.thumbprint_sha256()),
            TrustItem::RevocationList(list) => ("revocation_list", list.sha256()),
        };
        Self {
            outcome: trust_word(&trust.outcome).0,
            list: trust.list.as_str(),
            kind,
            name: trust.item.name().to_owned(),
            sha256: sha256.to_string(),
            files: trust.files.iter().map(shown).collect(),
        }
    }
}

#[derive(Serialize)]
struct FileBody {
    path: String,
    notes: Vec<NoteBody>,
}

#[derive(Serialize)]
struct NoteBody {
    code: &'static str,
    detail: String,
}

fn shown(path: impl AsRef<Path>) -> String {
    path.as_ref().display().to_string()
}
