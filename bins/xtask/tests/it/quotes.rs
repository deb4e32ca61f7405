//! The code that `docs/EMBEDDING.md` shows is that of the examples, which are compiled and run.

use std::fs;

use crate::repository::root;

#[test]
fn the_code_on_the_page_about_embedding_stands_in_the_examples_that_it_names() {
    let page = fs::read_to_string(root().join("docs/EMBEDDING.md")).expect("docs/EMBEDDING.md");
    let mut example: Option<(&str, String)> = None;
    let mut quote: Option<String> = None;
    let mut quotes = 0;
    for line in page.lines() {
        quote = match quote {
            Some(text) if line == "```" => {
                let (name, source) = example.as_ref().expect("an example is named before it is quoted");
                assert!(
                    source.contains(&text),
                    "{name} does not have the lines that the page quotes:\n{text}"
                );
                quotes += 1;
                None
            }
            Some(text) => Some(text + line + "\n"),
            None if line == "```rust" => Some(String::new()),
            None => {
                if let Some((_, target)) = line.split_once(".rs`](../")
                    && let Some((path, _)) = target.split_once(')')
                {
                    let source = fs::read_to_string(root().join(path));
                    example = Some((path, source.unwrap_or_else(|error| panic!("{path}: {error}"))));
                }
                None
            }
        };
    }
    assert!(quotes >= 8, "the page quotes only {quotes} times");
}

#[test]
fn every_crate_has_an_example_and_the_page_about_embedding_names_all_of_them() {
    let page = fs::read_to_string(root().join("docs/EMBEDDING.md")).expect("docs/EMBEDDING.md");
    for name in ["koios-pki", "koios-channel", "koios-store", "koios-opcua"] {
        let folder = root().join("crates").join(name).join("examples");
        let examples = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for example in examples {
            let file = example.expect("an entry").file_name().into_string().expect("UTF-8");
            // The one that writes docs/trust is a chore.
            assert!(
                page.contains(&format!("/{name}/examples/{file}")) || file == "trust_guide_pages.rs",
                "the page does not name {file} of {name}"
            );
        }
    }
}
