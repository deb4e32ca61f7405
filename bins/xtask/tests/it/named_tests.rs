//! Pages that say which tests show a promise: in tables with a column *shown by*, where every name in backticks is a test.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::repository::root;

#[test]
fn every_test_that_a_page_names_exists() {
    for page in ["docs/REQUIREMENTS.md", "SECURITY.md"] {
        let missing = missing_tests(page);
        assert!(missing.is_empty(), "{page} names what is no test: {missing:#?}");
    }
}

/// The names on a page, a path below the root, that are no test of the repository.
///
/// # Panics
///
/// When the page names none: then it has no table of tests.
pub(crate) fn missing_tests(page: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
    let named = named_in(&text);
    assert!(!named.is_empty(), "{page} has no table with a column \"shown by\"");
    let tests = tests_of_the_repository();
    named.into_iter().filter(|name| !tests.contains(name)).collect()
}

fn named_in(page: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut column = None;
    for line in page.lines() {
        if !line.starts_with('|') {
            column = None;
            continue;
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        match column {
            None => column = cells.iter().position(|cell| *cell == "shown by").or(Some(usize::MAX)),
            Some(column) => {
                let cell = cells.get(column).copied().unwrap_or_default();
                names.extend(cell.split('`').skip(1).step_by(2).map(str::to_owned));
            }
        }
    }
    names
}

/// Functions that stand below an attribute which makes them tests.
fn tests_of_the_repository() -> BTreeSet<String> {
    fn collect(folder: &Path, tests: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).expect("a readable folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                if !path.ends_with("target") && !path.ends_with("node_modules") && !path.ends_with(".venv") {
                    collect(&path, tests);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                tests.extend(tests_in(&fs::read_to_string(&path).expect("UTF-8 source")));
            }
        }
    }
    let mut tests = BTreeSet::new();
    for folder in ["crates", "bins"] {
        collect(&root().join(folder), &mut tests);
    }
    tests
}

fn tests_in(source: &str) -> Vec<String> {
    let mut tests = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[test]")
            || line.contains("::test]")
            || line.contains("::test(")
            || line.starts_with("#[rstest]")
        {
            is_test = true;
        } else if let Some((_, rest)) = line.split_once("fn ") {
            if is_test {
                tests.push(rest.split(['(', '<']).next().unwrap_or_default().to_owned());
            }
            is_test = false;
        }
    }
    tests
}

#[test]
fn names_are_those_in_the_column_and_tests_those_below_an_attribute() {
    let page = "`none`\n\n| what | shown by |\n|---|---|\n| `a_setting` | `one_test`, `another` |\n\n| x | y |\n|---|---|\n| `b` | `c` |\n";
    assert_eq!(named_in(page), ["one_test", "another"]);
    let source = "#[test]\nfn one() {}\nfn helper() {}\n#[tokio::test(flavor = \"x\")]\n#[ignore = \"why\"]\nasync fn two() {}\n";
    assert_eq!(tests_in(source), ["one", "two"]);
}
