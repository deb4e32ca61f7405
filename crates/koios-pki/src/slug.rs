/// The part a certificate's name plays in its application URI and file names: lower-case ASCII letters and digits,
/// every run of anything else one hyphen, at most 128 characters.
///
/// A name without any ASCII letter or digit gives `certificate`.
///
/// ```
/// assert_eq!(koios_pki::slug("Plant A Certificate"), "plant-a-certificate");
/// assert_eq!(koios_pki::slug("証明書"), "certificate");
/// ```
pub fn slug(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut slug = words.collect::<Vec<_>>().join("-").to_ascii_lowercase();
    slug.truncate(MAX_LENGTH);
    let kept = slug.trim_end_matches('-').len();
    slug.truncate(kept);
    if slug.is_empty() { "certificate".to_owned() } else { slug }
}

/// As long as a certificate's name may be (`rest-api.md` §3).
const MAX_LENGTH: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_keeps_letters_and_digits_and_joins_them_by_single_hyphens() {
        assert_eq!(slug("  Plant A -- Line_2 (new)! "), "plant-a-line-2-new");
        assert_eq!(slug("Übergröße"), "bergr-e");
        assert_eq!(slug("../../etc/passwd"), "etc-passwd");
    }

    #[test]
    fn a_name_without_letters_or_digits_gives_certificate() {
        for name in ["", "   ", "---", "日本", "\u{0}"] {
            assert_eq!(slug(name), "certificate", "{name:?}");
        }
    }

    #[test]
    fn a_long_name_is_cut_without_leaving_a_hyphen_at_the_end() {
        assert_eq!(slug(&format!("{} b", "a".repeat(127))), "a".repeat(127));
        assert_eq!(slug(&"a".repeat(500)).len(), 128);
    }
}
