//! The links and the anchors of one Markdown file.

use std::collections::{BTreeMap, BTreeSet};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) links: Vec<Link>,
    pub(super) anchors: BTreeSet<String>,
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) line: usize,
    pub(super) target: String,
}

impl Document {
    pub(super) fn parse(text: &str) -> Self {
        let mut document = Self::default();
        let mut heading: Option<String> = None;
        let mut uses = BTreeMap::new();
        for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    let line = text.bytes().take(range.start).filter(|byte| *byte == b'\n').count() + 1;
                    document.links.push(Link { line, target: dest_url.into_string() });
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let anchor = anchor_of(&heading.take().unwrap_or_default());
                    let used: &mut u32 = uses.entry(anchor.clone()).or_default();
                    // A heading that stands there twice gets a number, as on GitHub.
                    document.anchors.insert(match *used {
                        0 => anchor,
                        number => format!("{anchor}-{number}"),
                    });
                    *used += 1;
                }
                Event::Text(part) | Event::Code(part) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&part);
                    }
                }
                _ => {}
            }
        }
        document
    }
}

/// GitHub's rule: lower case, blanks become hyphens, other signs than letters, digits, hyphens and underscores vanish.
fn anchor_of(heading: &str) -> String {
    heading
        .trim()
        .to_lowercase()
        .chars()
        .filter_map(|sign| match sign {
            ' ' => Some('-'),
            '-' | '_' => Some(sign),
            _ => sign.is_alphanumeric().then_some(sign),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_those_of_github() {
        let text = "# `koiosd test`: one Test, from a shell\n## Twice\n## Twice\n## a_b – c\n";
        let anchors = Document::parse(text).anchors;
        assert_eq!(
            anchors.iter().map(String::as_str).collect::<Vec<_>>(),
            ["a_b--c", "koiosd-test-one-test-from-a-shell", "twice", "twice-1"]
        );
    }

    #[test]
    fn links_in_code_are_none() {
        let text = "[a](x.md)\n\n`[b](y.md)`\n```\n[c](z.md)\n```\n| [d](w.md) |\n|---|\n| <https://example.com> |\n";
        let links: Vec<_> =
            Document::parse(text).links.into_iter().map(|link| (link.line, link.target)).collect();
        assert_eq!(
            links,
            [(1, "x.md".to_owned()), (7, "w.md".to_owned()), (9, "https://example.com".to_owned())]
        );
    }
}
