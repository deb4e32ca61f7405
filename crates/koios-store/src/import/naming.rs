//! What an imported certificate is called.

use std::collections::HashSet;

use koios_pki::Certificate;

use crate::name::Name;

/// The common name, else what tells the application, with a number behind it when that is taken.
pub(super) fn name_for(certificate: &Certificate, taken: &HashSet<String>) -> Option<Name> {
    let texts = [certificate.common_name(), certificate.application_uri(), Some("Imported")];
    let wished = texts.into_iter().flatten().find_map(readable)?;
    let numbered = (2_u32..).map(|number| format!("{wished} {number}"));
    std::iter::once(wished.clone())
        .chain(numbered)
        .filter_map(|text| Name::parse(&text).ok())
        .find(|name| !taken.contains(&name.folded()))
}

/// What of a stranger's text can stand in a name, with room for a number behind it.
fn readable(text: &str) -> Option<String> {
    let kept: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST).collect();
    let name = Name::parse(&kept).ok()?;
    // The normal form of some characters is longer than they are.
    (name.as_str().chars().count() <= MOST).then(|| name.as_str().to_owned())
}

/// A blank and a number of ten digits still fit.
const MOST: usize = Name::MAX_CHARS - 11;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_a_stranger_becomes_a_name_or_nothing() {
        assert_eq!(readable(" a\nb\u{0} ").unwrap(), "a b");
        assert_eq!(readable(&"x".repeat(1_000)).unwrap().len(), MOST);
        assert_eq!(readable("\u{0}\n"), None);
        assert_eq!(readable(""), None);
    }
}
