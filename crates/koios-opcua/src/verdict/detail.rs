//! Text from the peer, made fit to be shown.

/// At most this many characters of a peer's text are repeated.
const MAX_QUOTED: usize = 200;

/// A peer's text in quotation marks: bounded, and without control characters, which could forge log lines or
/// move a terminal's cursor.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(MAX_QUOTED)
        .map(|c| if c.is_control() || is_bidi_control(c) { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(MAX_QUOTED).is_some() {
        shown.push('…');
    }
    format!("\"{shown}\"")
}

// Unicode bidirectional controls can make a text read as another one.
fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peers_text_cannot_break_a_line_or_a_terminal() {
        assert_eq!(quoted("a\r\nb\u{1b}[2J"), "\"a\u{fffd}\u{fffd}b\u{fffd}[2J\"");
        assert_eq!(quoted("\u{202e}x"), "\"\u{fffd}x\"");
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let shown = quoted(&"ä".repeat(5_000));
        assert_eq!(shown.chars().count(), MAX_QUOTED + 3);
        assert!(shown.ends_with("…\""));
    }
}
