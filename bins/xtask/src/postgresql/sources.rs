//! The SQL in sources: whole statements, and the pieces that macros and builders put together.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// A piece of SQL, and where it stands.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) text: String,
    pub(super) pattern: Pattern,
}

/// What a statement that was executed holds, one part after the other; where `format!` puts something, a part ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    parts: Vec<String>,
    /// It begins a statement.
    leads: bool,
}

impl Pattern {
    fn of(text: &str) -> Self {
        let mut parts = vec![String::new()];
        let mut in_hole = false;
        for character in text.chars() {
            match character {
                '{' => {
                    in_hole = true;
                    parts.push(String::new());
                }
                '}' => in_hole = false,
                _ if in_hole => {}
                _ => parts.last_mut().into_iter().for_each(|part| part.push(character)),
            }
        }
        Self { parts, leads: VERBS.iter().any(|verb| text.starts_with(verb)) }
    }

    pub(super) fn is_in(&self, statement: &str) -> bool {
        let mut rest = statement;
        for (number, part) in self.parts.iter().enumerate() {
            let place = if number == 0 && self.leads {
                rest.starts_with(part.as_str()).then_some(0)
            } else {
                rest.find(part.as_str())
            };
            let Some(place) = place else { return false };
            rest = rest.get(place + part.len()..).unwrap_or_default();
        }
        true
    }
}

/// All pieces below a folder, without what is one database's own and without the tests at the end of the files.
pub(super) fn pieces(folder: &Path) -> Result<Vec<Piece>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    let mut pieces = Vec::new();
    for path in files {
        let file = path.strip_prefix(folder)?.display().to_string();
        if OWN.contains(&file.as_str()) {
            continue;
        }
        let source = fs::read_to_string(&path)?;
        for (line, literal) in literals(before_tests(&source)) {
            let text = one_line(&literal);
            if is_sql(&text) {
                pieces.push(Piece { file: file.clone(), line, pattern: Pattern::of(&text), text });
            }
        }
    }
    Ok(pieces)
}

fn before_tests(source: &str) -> &str {
    source.split("#[cfg(test)]\nmod ").next().unwrap_or(source)
}

/// Keywords in capitals, or a place for a value.
fn is_sql(text: &str) -> bool {
    let value = text.split('$').skip(1).any(|rest| rest.starts_with(|next: char| next.is_ascii_digit()));
    value || text.split(|other: char| !other.is_ascii_alphanumeric()).any(|word| KEYWORDS.contains(&word))
}

pub(super) fn one_line(text: &str) -> String {
    // A piece may begin or end with the blank that parts it from the next.
    let middle = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let blank = |is: bool| if is && !middle.is_empty() { " " } else { "" };
    let (before, after) = (text.starts_with(char::is_whitespace), text.ends_with(char::is_whitespace));
    format!("{}{middle}{}", blank(before), blank(after))
}

/// The texts of a Rust source, with the lines on which they begin; bytes and raw texts are passed over.
fn literals(source: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut characters = source.chars().peekable();
    let mut line = 1;
    let mut previous = ' ';
    while let Some(character) = characters.next() {
        match character {
            '\n' => line += 1,
            '/' if characters.peek() == Some(&'/') => {
                while characters.next_if(|next| *next != '\n').is_some() {}
            }
            // A character, or the name of a lifetime, which has no second quote.
            '\'' => {
                let mut ahead = characters.clone();
                let first = ahead.next();
                if first == Some('\\') || ahead.next() == Some('\'') {
                    while let Some(next) = characters.next() {
                        match next {
                            '\\' => drop(characters.next()),
                            '\'' => break,
                            _ => {}
                        }
                    }
                }
            }
            '"' => {
                let begin = line;
                let mut text = String::new();
                while let Some(next) = characters.next() {
                    match next {
                        '"' => break,
                        '\\' => match characters.next() {
                            Some('\n') => {
                                line += 1;
                                while let Some(blank) = characters.next_if(|next| next.is_whitespace()) {
                                    line += usize::from(blank == '\n');
                                }
                            }
                            Some(escaped) => text.push(escaped),
                            None => {}
                        },
                        other => {
                            line += usize::from(other == '\n');
                            text.push(other);
                        }
                    }
                }
                if previous != 'b' && previous != 'r' {
                    found.push((begin, text));
                }
            }
            _ => {}
        }
        previous = character;
    }
    found
}

/// What is one database's own.
const OWN: [&str; 2] = ["database/sqlite.rs", "database/postgresql.rs"];

const VERBS: [&str; 5] = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "];

const KEYWORDS: [&str; 18] = [
    "SELECT", "INSERT", "UPDATE", "DELETE", "FROM", "WHERE", "AND", "OR", "NOT", "IN", "IS", "AS", "CAST",
    "CASE", "ORDER", "LIMIT", "EXISTS", "CONFLICT",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_among_comments_characters_and_lifetimes() {
        let source = "fn f<'a>(x: &'a str) -> char { // \"no\"\n '\"'; '\\''; \"SELECT \\\n    1\"; b\"bytes\"; \"\\\"q\\\"\" }";
        let found = literals(source);
        assert_eq!(found, [(2, "SELECT 1".to_owned()), (3, "\"q\"".to_owned())]);
    }

    #[test]
    fn sql_is_told_from_other_texts() {
        for sql in ["SELECT a FROM b", " AND enabled = ", "d.id = $1", "CAST(0 AS BIGINT)", " OR id > "] {
            assert!(is_sql(sql), "{sql}");
        }
        for other in ["the folder cannot be read", "KOIOS_DATA_DIR", "costs $ and more", "FORMAT"] {
            assert!(!is_sql(other), "{other}");
        }
    }

    #[test]
    fn a_statement_holds_its_pieces_in_order() {
        let statement = "SELECT a FROM b WHERE TRUE AND name >= $1 ORDER BY name ASC, id ASC LIMIT $2";
        for (piece, held) in [
            ("SELECT a FROM b WHERE TRUE", true),
            (" AND {column} {beyond}= ", true),
            (" ORDER BY {column} {order}, id ASC LIMIT ", true),
            ("SELECT b", false),
            ("UPDATE b", false),
            (" LIMIT {column} ORDER BY ", false),
        ] {
            assert_eq!(Pattern::of(piece).is_in(statement), held, "{piece}");
        }
        assert!(
            !Pattern::of("SELECT a").is_in("WITH x AS (SELECT a) SELECT b"),
            "a statement is no part of another"
        );
    }
}
