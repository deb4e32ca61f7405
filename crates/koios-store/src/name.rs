//! Names of certificates and devices.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

/// A name: Unicode NFC, trimmed, 1 to 128 characters, none of them a control character.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name(String);

impl Name {
    /// Most characters (Unicode scalar values, after NFC) a name may have.
    pub const MAX_CHARS: usize = 128;

    /// Normalises and checks a text.
    ///
    /// # Errors
    /// [`NameError`] says which rule it breaks.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let normal: String = text.nfc().collect();
        let trimmed = normal.trim();
        if trimmed.chars().any(char::is_control) {
            return Err(NameError::ControlCharacter);
        }
        match trimmed.chars().count() {
            0 => Err(NameError::Empty),
            chars if chars > Self::MAX_CHARS => Err(NameError::TooLong { chars }),
            _ => Ok(Self(trimmed.to_owned())),
        }
    }

    /// The name as people see it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which two names are compared; two names with the same form cannot both exist.
    #[must_use]
    pub fn folded(&self) -> String {
        fold(&self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Removes case: small letters first (`ẞ` to `ß`), then capitals, which unite `ß` with `SS` and the two small
/// sigmas, then small letters one by one.
///
/// This is a little coarser than the full case folding of Unicode (the Turkish dotless `ı` equals `i`), which
/// a uniqueness rule can afford.
pub(crate) fn fold(text: &str) -> String {
    // What the rest makes of it, many times as fast: most names and every URL.
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    fold_unicode(text)
}

fn fold_unicode(text: &str) -> String {
    let capitals = text.nfc().collect::<String>().to_lowercase().to_uppercase();
    capitals.chars().flat_map(char::to_lowercase).nfc().collect()
}

/// Why a text is no [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// It holds a control character such as a line break.
    #[error("a name may not hold control characters")]
    ControlCharacter,
    /// Nothing is left after trimming.
    #[error("a name needs at least one character")]
    Empty,
    /// It is longer than [`Name::MAX_CHARS`].
    #[error("a name has at most 128 characters, this one has {chars}")]
    TooLong {
        /// Its characters after NFC and trimming.
        chars: usize,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_trimmed_and_composed() {
        assert_eq!(Name::parse("  Pu\u{308}mpe 1\u{a0}").unwrap().as_str(), "P\u{fc}mpe 1");
    }

    #[test]
    fn blank_texts_and_control_characters_are_refused() {
        assert_eq!(Name::parse(" \u{3000} "), Err(NameError::Empty));
        assert_eq!(Name::parse("a\nb"), Err(NameError::ControlCharacter));
        assert_eq!(Name::parse("a\u{0}b"), Err(NameError::ControlCharacter));
        assert_eq!(Name::parse("a\u{85}b"), Err(NameError::ControlCharacter));
    }

    #[test]
    fn characters_are_counted_not_bytes() {
        assert!(Name::parse(&"ü".repeat(128)).is_ok());
        assert_eq!(Name::parse(&"ü".repeat(129)), Err(NameError::TooLong { chars: 129 }));
    }

    #[test]
    fn names_that_differ_in_case_alone_fold_to_one() {
        for (a, b) in [
            ("Plant A", "PLANT a"),
            ("Straße", "STRASSE"),
            ("Straße", "STRAẞE"),
            ("ΟΔΟΣ", "οδος"),
            ("ÉCLUSE", "e\u{301}cluse"),
        ] {
            assert_eq!(Name::parse(a).unwrap().folded(), Name::parse(b).unwrap().folded(), "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn a_parsed_name_parses_to_itself(text in "\\PC{0,140}") {
            if let Ok(name) = Name::parse(&text) {
                prop_assert_eq!(Name::parse(name.as_str()).unwrap(), name);
            }
        }

        #[test]
        fn ascii_folds_as_any_text_does(text in "[\\x00-\\x7f]{0,60}") {
            prop_assert_eq!(fold(&text), fold_unicode(&text));
        }

        #[test]
        fn folding_twice_is_folding_once(text in "\\PC{0,60}") {
            prop_assert_eq!(fold(&fold(&text)), fold(&text));
        }
    }
}
