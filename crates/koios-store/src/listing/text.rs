//! Searching in folded texts.

use memchr::memmem::Finder;

use crate::name::fold;

/// No text holds this byte, which UTF-8 does not use, so no search finds anything across two of them.
const BETWEEN: u8 = 0xFF;

/// Texts that are searched together.
#[derive(Debug)]
pub(crate) struct Folded(Box<[u8]>);

impl Folded {
    pub(crate) fn new<'a>(texts: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        let mut folded = Vec::new();
        for text in texts.into_iter().flatten() {
            folded.extend_from_slice(fold(text).as_bytes());
            folded.push(BETWEEN);
        }
        Self(folded.into_boxed_slice())
    }
}

/// What is searched for.
#[derive(Debug)]
pub(crate) struct Search(Finder<'static>);

impl Search {
    /// `None` for a blank text, which is in everything.
    pub(crate) fn of(q: Option<&str>) -> Option<Self> {
        let folded = fold(q?.trim());
        (!folded.is_empty()).then(|| Self(Finder::new(folded.as_bytes()).into_owned()))
    }

    /// Whether it is part of one of the texts.
    pub(crate) fn finds(&self, texts: &Folded) -> bool {
        self.0.find(&texts.0).is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_search_finds_what_one_of_the_folded_texts_contains(
            texts in proptest::collection::vec(proptest::option::of("[aAbBßẞſSİıéÉ\u{301}\u{ff} %_/:0-2]{0,6}"), 0..4),
            q in "[aAbBßẞſSİıéÉ\u{301}\u{ff} %_/:0-2]{0,3}",
        ) {
            let folded = Folded::new(texts.iter().map(Option::as_deref));
            let q_folded = fold(q.trim());
            let naive = texts.iter().flatten().any(|text| fold(text).contains(&q_folded));
            match Search::of(Some(&q)) {
                Some(search) => prop_assert_eq!(search.finds(&folded), naive),
                None => prop_assert!(q_folded.is_empty()),
            }
        }
    }

    #[test]
    fn no_search_finds_anything_across_two_texts() {
        let folded = Folded::new([Some("press"), None, Some("oven")]);
        for (q, found) in [("ssov", false), ("ss", true), ("OVEN", true), ("sso", false)] {
            assert_eq!(Search::of(Some(q)).unwrap().finds(&folded), found, "{q}");
        }
        assert!(Search::of(Some(" \t")).is_none());
        assert!(Search::of(None).is_none());
    }
}
