//! The table that leads from each sentence of the REST contract to its tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::repository;

const PAGE: &str = "docs/REST-CONTRACT.md";

/// Tells which tests of the table do not exist and which sentences have none; with a contract, where the table's quotes
/// differ from it.
pub(crate) fn check(arguments: &[&str]) -> Result<ExitCode> {
    let contract = match arguments {
        [] => None,
        ["--contract", path] => {
            Some(fs::read_to_string(path).with_context(|| format!("{path} cannot be read"))?)
        }
        _ => bail!("usage: cargo xtask contract [--contract FILE]"),
    };
    let page = read_page()?;
    let rows = rows(&page);
    let mut faults = missing_tests(&rows, &Sources::read()?);
    if let Some(contract) = contract {
        faults.extend(first_difference(&words_of_contract(&contract), &words_of_page(&page)));
    }
    for fault in &faults {
        println!("{fault}");
    }
    let open = rows.iter().filter(|row| row.shown_by.contains("*open:")).count();
    println!("{} sentences, {open} of them open", rows.len());
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read_page() -> Result<String> {
    let path = repository::root().join(PAGE);
    fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))
}

/// A sentence and what shows it.
#[derive(Debug)]
struct Row<'a> {
    sentence: String,
    shown_by: &'a str,
}

impl Row<'_> {
    /// What stands in code marks: `package::module::name`.
    fn tests(&self) -> impl Iterator<Item = &str> {
        self.shown_by.split('`').skip(1).step_by(2)
    }
}

fn rows(page: &str) -> Vec<Row<'_>> {
    page.lines().filter_map(row).collect()
}

/// A row of a table; not its head.
fn row(line: &str) -> Option<Row<'_>> {
    let (sentence, shown_by) = line.strip_prefix("| ")?.strip_suffix(" |")?.rsplit_once(" | ")?;
    (sentence != "the contract says").then(|| Row { sentence: sentence.replace("\\|", "|"), shown_by })
}

fn missing_tests(rows: &[Row<'_>], sources: &Sources) -> Vec<String> {
    let mut faults = Vec::new();
    for row in rows {
        if row.tests().next().is_none() && !row.shown_by.contains("*open:") && row.shown_by != "no behaviour"
        {
            faults.push(format!("nothing shows {:?}", row.sentence));
        }
        for test in row.tests().filter(|test| !sources.have(test)) {
            faults.push(format!("{PAGE} names `{test}`, which is no test"));
        }
    }
    faults
}

/// The Rust sources of each package, by module.
struct Sources(BTreeMap<(String, String), String>);

impl Sources {
    fn read() -> Result<Self> {
        let mut sources = Self(BTreeMap::new());
        for group in ["bins", "crates"] {
            for package in fs::read_dir(repository::root().join(group))? {
                let package = package?.path();
                let name = stem(&package);
                for part in ["src", "tests"] {
                    sources.collect(&name, &package.join(part))?;
                }
            }
        }
        Ok(sources)
    }

    fn collect(&mut self, package: &str, folder: &Path) -> Result<()> {
        let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
        for entry in entries {
            let path: PathBuf = entry?.path();
            if path.is_dir() {
                self.collect(package, &path)?;
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read_to_string(&path)?;
                self.0.entry((package.to_owned(), stem(&path))).or_default().push_str(&source);
            }
        }
        Ok(())
    }

    fn have(&self, test: &str) -> bool {
        let mut parts = test.split("::");
        let (Some(package), Some(module), Some(name), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return false;
        };
        let source = self.0.get(&(package.to_owned(), module.to_owned()));
        let Some((before, _)) = source.and_then(|source| source.split_once(&format!("fn {name}("))) else {
            return false;
        };
        // The attributes stand between the item before and the function.
        before.rsplit_once('}').map_or(before, |(_, attributes)| attributes).contains("test")
    }
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// What counts of a text: neither its line ends nor its marks.
fn words(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && !"|\\`*#-".contains(*c)).collect()
}

fn words_of_contract(contract: &str) -> String {
    words(&lines_that_count(contract).collect::<Vec<_>>().concat())
}

/// Headings and quotes, in their order.
fn words_of_page(page: &str) -> String {
    let quoted = lines_that_count(page).filter_map(|line| {
        if line.starts_with("## ") { Some(line.to_owned()) } else { row(line).map(|row| row.sentence) }
    });
    words(&quoted.collect::<Vec<_>>().concat())
}

/// Neither titles nor the borders of code.
fn lines_that_count(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with("# ") && !line.starts_with("```"))
}

fn first_difference(contract: &str, page: &str) -> Option<String> {
    if contract == page {
        return None;
    }
    let same = contract.chars().zip(page.chars()).take_while(|(one, other)| one == other).count();
    let around = |text: &str| text.chars().skip(same.saturating_sub(40)).take(120).collect::<String>();
    Some(format!(
        "{PAGE} quotes another contract:\n  the contract: …{}…\n  the table:    …{}…",
        around(contract),
        around(page)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_test_that_the_contract_table_names_exists_and_every_sentence_has_one_or_is_open() {
        let page = read_page().unwrap();
        let rows = rows(&page);
        assert!(rows.len() > 200, "{}", rows.len());
        let faults = missing_tests(&rows, &Sources::read().unwrap());
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    #[test]
    fn a_row_without_a_test_and_a_test_that_does_not_exist_are_found() {
        let page = "| the contract says | shown by |\n|---|---|\n| One. | `xtask::contract::no_such_test` |\n\
                    | Two \\| three. | nothing |\n\
                    | Four. | `xtask::contract::a_row_without_a_test_and_a_test_that_does_not_exist_are_found` |\n\
                    | Five. | `xtask::contract::first_difference` |\n| Six. | *open: later* |\n";
        let rows = rows(page);
        assert_eq!(rows.len(), 5);
        let faults = missing_tests(&rows, &Sources::read().unwrap());
        assert_eq!(faults.len(), 3, "{faults:?}");
    }

    #[test]
    fn quotes_are_compared_without_marks_and_line_ends() {
        let contract =
            "# Title\n\n## 1. A\n\n```json\n{ \"a\": 1|2 }\n```\n- One\n  two.\n| x | y |\n|---|---|\n";
        let page = "# Other\n\nWords.\n\n## 1. A\n\n| the contract says | shown by |\n|---|---|\n\
                    | { \"a\": 1\\|2 } | no behaviour |\n| One two. | no behaviour |\n| x \\| y | no behaviour |\n";
        assert_eq!(words_of_contract(contract), words_of_page(page));
        let other = page.replace("two", "three");
        let difference = first_difference(&words_of_contract(contract), &words_of_page(&other)).unwrap();
        assert!(difference.contains("Onetwo") && difference.contains("Onethree"), "{difference}");
    }
}
