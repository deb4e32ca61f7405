//! What a page tells its reader to type, and what it shows as the answer.

use std::{fs, path::Path};

/// A fenced block of commands (`sh`), and the block after it when that shows what they print.
#[derive(Debug)]
pub(crate) struct Step {
    /// Where it stands, for whoever has to mend it.
    pub(crate) place: String,
    pub(crate) commands: String,
    pub(crate) shown: Option<Shown>,
}

#[derive(Debug)]
pub(crate) enum Shown {
    Json(String),
    Text(String),
}

/// The steps of a page, in order. Blocks in other languages, such as `console` and `yaml`, are there to be read.
pub(crate) fn steps(path: &Path) -> Vec<Step> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let page = path.file_name().expect("a file").to_string_lossy();
    let mut steps: Vec<Step> = Vec::new();
    let mut shows_the_last = false;
    for fence in fences(&text) {
        let shown = match fence.language {
            "sh" => {
                let place = format!("{page}:{}", fence.line);
                steps.push(Step { place, commands: fence.content, shown: None });
                shows_the_last = true;
                continue;
            }
            "json" => Shown::Json(fence.content),
            "text" => Shown::Text(fence.content),
            _ => continue,
        };
        if let Some(step) = steps.last_mut().filter(|_| shows_the_last) {
            step.shown = Some(shown);
        }
        shows_the_last = false;
    }
    steps
}

struct Fence<'a> {
    line: usize,
    language: &'a str,
    content: String,
}

/// Fenced blocks; one in a list is indented as a whole.
fn fences(text: &str) -> Vec<Fence<'_>> {
    let mut fences = Vec::new();
    let mut open: Option<(usize, Fence<'_>)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let indented = line.len() - line.trim_start().len();
        open = match (open, line.trim_start().strip_prefix("```")) {
            (None, Some(language)) => {
                Some((indented, Fence { line: number, language: language.trim(), content: String::new() }))
            }
            (Some((_, fence)), Some("")) => {
                fences.push(fence);
                None
            }
            (Some((indent, mut fence)), _) => {
                fence.content.push_str(line.get(indent.min(indented)..).unwrap_or_default());
                fence.content.push('\n');
                Some((indent, fence))
            }
            (None, None) => None,
        };
    }
    assert!(open.is_none(), "a fence is not closed");
    fences
}
