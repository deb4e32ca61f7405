//! Links and anchors of all Markdown files in the repository lead somewhere, and every page under `docs` can be reached from
//! its first one. Addresses on the web are read, not fetched.

mod document;
mod web;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{fs, str};

use anyhow::{Context, Result, bail};

use crate::repository;
use document::Document;

/// The page from which all others under `docs` can be reached.
const FIRST_PAGE: &str = "docs/README.md";

/// Says what leads nowhere.
pub(crate) fn check() -> Result<ExitCode> {
    let root = repository::root();
    let pages = read_pages(&root)?;
    let faults = faults(&root, &pages);
    for fault in &faults {
        println!("{fault}");
    }
    if faults.is_empty() {
        let links: usize = pages.values().map(|page| page.links.len()).sum();
        println!("{links} links in {} pages lead somewhere", pages.len());
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} faults in the links of the Markdown files", faults.len());
    Ok(ExitCode::FAILURE)
}

/// Every Markdown file that is or could be committed, by its path below the root.
fn read_pages(root: &Path) -> Result<BTreeMap<PathBuf, Document>> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.md"])
        .current_dir(root)
        .output()
        .context("git cannot be started")?;
    if !listed.status.success() {
        bail!("git ls-files ended with {}", listed.status);
    }
    let names = str::from_utf8(&listed.stdout).context("a name is not UTF-8")?;
    let mut pages = BTreeMap::new();
    for name in names.split('\0').filter(|name| !name.is_empty()) {
        let path = root.join(name);
        // Listed as long as its deletion is not committed.
        if path.exists() {
            let text = fs::read_to_string(&path).with_context(|| format!("{name} cannot be read"))?;
            pages.insert(PathBuf::from(name), Document::parse(&text));
        }
    }
    Ok(pages)
}

fn faults(root: &Path, pages: &BTreeMap<PathBuf, Document>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut led_to: BTreeMap<&Path, BTreeSet<PathBuf>> = BTreeMap::new();
    for (path, page) in pages {
        for link in &page.links {
            match follow(root, pages, path, &link.target) {
                Ok(Some(target)) => {
                    led_to.entry(path).or_default().insert(target);
                }
                Ok(None) => {}
                Err(fault) => faults.push(format!("{}:{}: {fault}", path.display(), link.line)),
            }
        }
    }
    let reached = reached_from(Path::new(FIRST_PAGE), &led_to);
    for path in pages.keys().filter(|path| path.starts_with("docs") && !reached.contains(*path)) {
        faults.push(format!("{}: no way leads here from {FIRST_PAGE}", path.display()));
    }
    faults
}

/// The page that a link leads to, if it is one of ours.
fn follow(
    root: &Path,
    pages: &BTreeMap<PathBuf, Document>,
    from: &Path,
    target: &str,
) -> Result<Option<PathBuf>, String> {
    if web::is_address(target) {
        return web::check(target).map(|()| None);
    }
    let (file, anchor) = match target.split_once('#') {
        Some((file, anchor)) => (file, Some(anchor)),
        None => (target, None),
    };
    let mut path = match file {
        "" => from.to_owned(),
        _ => resolve(from, file).ok_or_else(|| format!("{target} leads out of the repository"))?,
    };
    let on_disk = root.join(&path);
    if !on_disk.exists() {
        return Err(format!("{target} is not there"));
    }
    if on_disk.is_dir() {
        path.push("README.md");
    }
    let Some(page) = pages.get(&path) else {
        return match anchor {
            Some(_) => Err(format!("{target} has an anchor, and is no Markdown file")),
            None => Ok(None),
        };
    };
    match anchor {
        Some(anchor) if !page.anchors.contains(anchor) => Err(format!("{target}: there is no such anchor")),
        _ => Ok(Some(path)),
    }
}

/// A path below the root, without `..`; `None` when it leads out.
fn resolve(from: &Path, file: &str) -> Option<PathBuf> {
    let mut resolved = from.parent()?.to_owned();
    for part in Path::new(file).components() {
        match part {
            Component::Normal(name) => resolved.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !resolved.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(resolved)
}

fn reached_from(first: &Path, led_to: &BTreeMap<&Path, BTreeSet<PathBuf>>) -> BTreeSet<PathBuf> {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![first.to_owned()];
    while let Some(page) = waiting.pop() {
        if reached.insert(page.clone()) {
            waiting.extend(led_to.get(page.as_path()).into_iter().flatten().cloned());
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_anchors_and_pages_without_a_way_to_them_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("docs/more")).unwrap();
        fs::write(root.join("notes.txt"), "").unwrap();
        let page = |text: &str| Document::parse(text);
        let first = "[a](a.md#two-words) [out](../../x) [gone](gone.md) [no](a.md#none) [more](more/) [t](../notes.txt)\n";
        let pages: BTreeMap<PathBuf, Document> = [
            ("docs/README.md", first),
            ("docs/a.md", "# Two `words`\n[self](#two-words) [web](http://example.com)\n"),
            ("docs/more/README.md", "[up](../README.md)\n"),
            ("docs/lost.md", "[t](../notes.txt#here)\n"),
        ]
        .into_iter()
        .map(|(path, text)| (PathBuf::from(path), page(text)))
        .collect();
        for path in pages.keys() {
            fs::write(root.join(path), "").unwrap();
        }
        assert_eq!(
            faults(root, &pages),
            [
                "docs/README.md:1: ../../x leads out of the repository",
                "docs/README.md:1: gone.md is not there",
                "docs/README.md:1: a.md#none: there is no such anchor",
                "docs/a.md:2: http://example.com is not https",
                "docs/lost.md:1: ../notes.txt#here has an anchor, and is no Markdown file",
                "docs/lost.md: no way leads here from docs/README.md",
            ]
        );
    }
}
