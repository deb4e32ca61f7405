//! Documents that the repository promises to have, and what they promise.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn rust_sources() -> String {
    fn collect(folder: &Path, sources: &mut String) {
        for entry in fs::read_dir(folder).expect("a readable folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                if !path.ends_with("target") && !path.ends_with("node_modules") && !path.ends_with(".venv") {
                    collect(&path, sources);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push_str(&fs::read_to_string(&path).expect("UTF-8 source"));
            }
        }
    }
    let mut sources = String::new();
    for folder in ["crates", "bins"] {
        collect(&root().join(folder), &mut sources);
    }
    sources
}

#[test]
fn every_test_that_the_requirements_page_names_exists() {
    let page = fs::read_to_string(root().join("docs/REQUIREMENTS.md")).expect("docs/REQUIREMENTS.md");
    let sources = rust_sources();
    // Tests that show a requirement carry its number; other things in backticks do not.
    let shows_a_requirement = |name: &&str| {
        name.strip_prefix('r').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            && name.contains('_')
    };
    let named: Vec<&str> = page.split('`').skip(1).step_by(2).filter(shows_a_requirement).collect();
    assert!(named.len() >= 18, "the page names only {} tests", named.len());
    for name in named {
        assert!(
            sources.contains(&format!("fn {name}(")),
            "docs/REQUIREMENTS.md names `{name}`, which is no test"
        );
    }
}

#[test]
fn every_requirement_has_a_line_on_the_requirements_page() {
    let page = fs::read_to_string(root().join("docs/REQUIREMENTS.md")).expect("docs/REQUIREMENTS.md");
    for number in 1..=18 {
        assert!(page.contains(&format!("| R{number} |")), "R{number} is not on the page");
    }
}
