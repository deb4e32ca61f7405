//! Whether commands printed what their page shows: a page shows less than there is, and `…` for what varies.

use serde_json::Value;

use super::page::Shown;

/// What differs, for whoever has to mend the page.
pub(crate) fn difference(shown: &Shown, printed: &str) -> Option<String> {
    match shown {
        Shown::Text(shown) => {
            let lines: Vec<&str> = printed.lines().collect();
            let wanted: Vec<&str> = shown.lines().collect();
            (!lines_match(&wanted, &lines)).then(|| format!("it shows\n{shown}and it was\n{printed}"))
        }
        Shown::Json(shown) => {
            let wanted: Value = match serde_json::from_str(shown) {
                Ok(wanted) => wanted,
                Err(error) => return Some(format!("what it shows is no JSON: {error}\n{shown}")),
            };
            match serde_json::from_str(printed) {
                Ok(printed) => value_difference("", &wanted, &printed),
                Err(error) => Some(format!("the answer is no JSON: {error}\n{printed}")),
            }
        }
    }
}

/// Fields that are not shown may be there; so may further elements behind a last `"…"`.
fn value_difference(at: &str, wanted: &Value, printed: &Value) -> Option<String> {
    match (wanted, printed) {
        (Value::Object(wanted), Value::Object(printed)) => wanted.iter().find_map(|(key, wanted)| {
            let at = format!("{at}.{key}");
            match printed.get(key) {
                Some(printed) => value_difference(&at, wanted, printed),
                None => Some(format!("{at} is not there")),
            }
        }),
        (Value::Array(wanted), Value::Array(printed)) => {
            let (wanted, open) = match wanted.split_last() {
                Some((Value::String(last), rest)) if last == "…" => (rest, true),
                _ => (wanted.as_slice(), false),
            };
            if wanted.len() > printed.len() || (!open && wanted.len() < printed.len()) {
                return Some(format!("{at} has {} elements: {printed:?}", printed.len()));
            }
            let pairs = wanted.iter().zip(printed).enumerate();
            pairs.into_iter().find_map(|(index, (wanted, printed))| {
                value_difference(&format!("{at}[{index}]"), wanted, printed)
            })
        }
        (Value::String(wanted), _) if wanted == "…" => None,
        (Value::String(wanted), Value::String(printed)) if text_matches(wanted, printed) => None,
        _ if wanted == printed => None,
        _ => Some(format!("{at} is {printed}, not {wanted}")),
    }
}

/// A line `…` stands for any number of lines.
fn lines_match(wanted: &[&str], lines: &[&str]) -> bool {
    match (wanted.split_first(), lines.split_first()) {
        (None, None) => true,
        (Some((&"…", rest)), _) => (0..=lines.len()).any(|skipped| lines_match(rest, &lines[skipped..])),
        (Some((wanted, wanted_rest)), Some((line, rest))) => {
            text_matches(wanted, line) && lines_match(wanted_rest, rest)
        }
        _ => false,
    }
}

/// A `…` inside stands for any text.
fn text_matches(wanted: &str, text: &str) -> bool {
    let Some((start, rest)) = wanted.split_once('…') else { return wanted == text };
    let Some(text) = text.strip_prefix(start) else { return false };
    text.char_indices()
        .map(|(index, _)| index)
        .chain([text.len()])
        .any(|index| text_matches(rest, &text[index..]))
}

#[test]
fn a_page_may_show_less_than_there_is_and_nothing_else() {
    let json = |shown: &str, printed| difference(&Shown::Json(shown.to_owned()), printed);
    assert_eq!(json(r#"{"a": "…", "b": [1, "…"]}"#, r#"{"a": 1, "b": [1, 2], "c": 3}"#), None);
    assert_eq!(json(r#"{"a": "from … to …"}"#, r#"{"a": "from here to there"}"#), None);
    assert!(json(r#"{"a": [1]}"#, r#"{"a": [1, 2]}"#).is_some());
    assert!(json(r#"{"d": 1}"#, r#"{"a": 1}"#).is_some());
    assert!(json(r#"{"a": "here"}"#, r#"{"a": "there"}"#).is_some());
    let text = |shown: &str, printed| difference(&Shown::Text(shown.to_owned()), printed);
    assert_eq!(text("one\n…\nlast … 3\n", "one\ntwo\nlast of 3\n"), None);
    assert!(text("one\n", "one\ntwo\n").is_some());
}
