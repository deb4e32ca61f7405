//! What somebody may have meant.

use super::{sources::variables, table::SETTINGS};

/// Less alike than this, and the hint would be a guess.
const LIKENESS: f64 = 0.8;

/// The setting whose key is most like that one.
pub(super) fn nearest(key: &str) -> Option<String> {
    most_like(key, SETTINGS.iter().map(|setting| setting.key.to_owned()))
}

/// The variable whose name is most like that one.
pub(super) fn nearest_variable(name: &str) -> Option<String> {
    // The beginning is common to all, and would make them all alike.
    let end = |name: &str| name.trim_start_matches("KOIOS_").to_owned();
    most_like(&end(name), variables().map(|name| end(&name))).map(|end| format!("KOIOS_{end}"))
}

fn most_like(wanted: &str, names: impl Iterator<Item = String>) -> Option<String> {
    names
        .map(|name| (strsim::jaro_winkler(wanted, &name), name))
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_something_else_is_not() {
        for (wrong, right) in [
            ("listen_adress", "listen"),
            ("data-dir", "data_dir"),
            ("Log_Level", "log_level"),
            ("expiring_soon", "expiring_soon_days"),
            ("retry_max", "retry_max_seconds"),
        ] {
            assert_eq!(nearest(wrong).as_deref(), Some(right), "{wrong}");
        }
        assert_eq!(nearest("colour"), None);
        assert_eq!(nearest_variable("KOIOS_LISTEM").as_deref(), Some("KOIOS_LISTEN"));
        assert_eq!(nearest_variable("KOIOS_MASTERKEY").as_deref(), Some("KOIOS_MASTER_KEY"));
        assert_eq!(nearest_variable("KOIOS_URL"), None);
    }
}
