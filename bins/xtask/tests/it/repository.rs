//! Documents that the repository promises to have, and what they promise.

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn every_requirement_has_a_line_on_the_requirements_page() {
    let page = fs::read_to_string(root().join("docs/REQUIREMENTS.md")).expect("docs/REQUIREMENTS.md");
    for number in 1..=18 {
        assert!(page.contains(&format!("| R{number} |")), "R{number} is not on the page");
    }
}
