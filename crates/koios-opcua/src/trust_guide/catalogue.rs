//! The catalogue as it is embedded, and the form it must have.

use std::sync::LazyLock;

use serde::Deserialize;

use super::recognition::Marks;
use super::{GuideConfidence, Known, TrustGuide};

/// Every guide, in the catalogue's order; the generic one last.
#[must_use]
pub fn trust_guides() -> &'static [TrustGuide] {
    &GUIDES
}

/// The guide with that id.
#[must_use]
pub fn trust_guide(id: &str) -> Option<&'static TrustGuide> {
    trust_guides().iter().find(|guide| guide.id == id)
}

/// The guide for servers that nobody has described.
pub(super) fn generic() -> &'static TrustGuide {
    static NONE: LazyLock<TrustGuide> = LazyLock::new(|| TrustGuide::from(Entry::default()));
    trust_guide(GENERIC).unwrap_or(&NONE)
}

// A catalogue that does not parse is an empty one; a test of this module keeps that from being built.
static GUIDES: LazyLock<Vec<TrustGuide>> = LazyLock::new(|| {
    toml::from_str::<Catalogue>(CATALOGUE)
        .map(|catalogue| catalogue.server.into_iter().map(Into::into).collect())
        .unwrap_or_default()
});

const CATALOGUE: &str = include_str!("catalogue.toml");
const GENERIC: &str = "generic";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    server: Vec<Entry>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    name: String,
    vendor: String,
    confidence: Confidence,
    trust_steps: Vec<String>,
    rejected_location: Option<String>,
    rejected_file_name: Option<String>,
    trusted_location: Option<String>,
    needs_restart: Answer,
    needs_restart_note: Option<String>,
    import_format: Option<String>,
    push_management: Answer,
    push_management_note: Option<String>,
    #[serde(default)]
    untrusted_signal: Vec<String>,
    notes: Option<String>,
    sources: Vec<String>,
    r#match: Marks,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Confidence {
    High,
    Medium,
    #[default]
    Low,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Yes,
    No,
    #[default]
    Unknown,
}

impl From<Entry> for TrustGuide {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.id,
            name: entry.name,
            vendor: entry.vendor,
            confidence: match entry.confidence {
                Confidence::High => GuideConfidence::High,
                Confidence::Medium => GuideConfidence::Medium,
                Confidence::Low => GuideConfidence::Low,
            },
            steps: entry.trust_steps,
            rejected_location: entry.rejected_location,
            trusted_location: entry.trusted_location,
            import_format: entry.import_format,
            needs_restart: entry.needs_restart.into(),
            needs_restart_note: entry.needs_restart_note,
            push_management: entry.push_management.into(),
            push_management_note: entry.push_management_note,
            untrusted_signals: entry.untrusted_signal,
            notes: entry.notes,
            sources: entry.sources,
            rejected_file_name: entry.rejected_file_name,
            marks: entry.r#match,
        }
    }
}

impl From<Answer> for Known {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Yes => Self::Yes,
            Answer::No => Self::No,
            Answer::Unknown => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_catalogue_has_the_form_it_must_have() {
        let catalogue = toml::from_str::<Catalogue>(CATALOGUE).unwrap();
        let ids: BTreeSet<_> = catalogue.server.iter().map(|entry| entry.id.as_str()).collect();
        assert_eq!(ids.len(), catalogue.server.len(), "every id once");
        assert_eq!(catalogue.server.last().unwrap().id, GENERIC);
        for Entry { id, name, vendor, trust_steps, sources, r#match, .. } in &catalogue.server {
            assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{id}");
            assert!(!name.is_empty() && !vendor.is_empty() && !trust_steps.is_empty(), "{id}");
            assert!(trust_steps.iter().all(|step| !step.trim().is_empty()), "{id}");
            assert!(sources.iter().all(|source| source.starts_with("http")), "{id}");
            let Marks {
                application_uri,
                product_uri,
                application_name,
                manufacturer_name,
                product_name,
                endpoint_url,
            } = r#match;
            for mark in [
                application_uri,
                product_uri,
                application_name,
                manufacturer_name,
                product_name,
                endpoint_url,
            ]
            .into_iter()
            .flatten()
            {
                assert!(!mark.is_empty() && *mark == mark.to_lowercase(), "{id}: {mark}");
            }
        }
        assert_eq!(trust_guides().len(), catalogue.server.len());
        assert_eq!(generic().id, GENERIC);
    }
}
