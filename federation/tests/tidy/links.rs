//! Every relative link of a Markdown file leads somewhere: the file exists, and so does the heading.

use std::path::{Component, Path, PathBuf};

use super::tree::{SourceFile, Violation, assert_bites, assert_none, files, root};

/// A link of a Markdown file, counted from line 1.
#[derive(Debug, PartialEq, Eq)]
struct Link {
    line: usize,
    target: String,
}

/// The relative links that lead nowhere. `read` returns a file's text, `Some("")` for a folder or a
/// file that is no text, `None` for what does not exist.
fn broken(file: &SourceFile, read: impl Fn(&str) -> Option<String>) -> Vec<Violation> {
    let mut found = Vec::new();
    for Link { line, target } in links(&file.text) {
        let (path, heading) = target.split_once('#').unwrap_or((&target, ""));
        let path = if path.is_empty() { file.path.clone() } else { resolve(&file.path, path) };
        match read(&path) {
            None => found.push(file.violation(line, format!("`{target}` does not exist"))),
            Some(text) if !heading.is_empty() && !has_heading(&text, heading) => {
                found.push(file.violation(line, format!("`{target}` has no such heading")));
            }
            Some(_) => {}
        }
    }
    found
}

/// Inline links, images and reference definitions outside of code, without those that name a scheme.
fn links(text: &str) -> Vec<Link> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("``");
        let definition = prose.starts_with('[').then(|| prose.split_once("]: ")).flatten();
        let inline = prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        let targets = inline.chain(definition.and_then(|(_, rest)| rest.split(' ').next()));
        for target in targets.filter(|target| !target.is_empty() && !has_scheme(target)) {
            found.push(Link { line: at + 1, target: target.to_owned() });
        }
    }
    found
}

fn has_scheme(target: &str) -> bool {
    target.split_once(':').is_some_and(|(scheme, _)| scheme.chars().all(char::is_alphanumeric))
}

/// The path of a link, from the top folder.
fn resolve(from: &str, link: &str) -> String {
    let folder = Path::new(from).parent().unwrap_or(Path::new(""));
    let mut path = PathBuf::new();
    for component in folder.join(link).components() {
        if component == Component::ParentDir && path.pop() {
            continue;
        }
        if component != Component::CurDir {
            path.push(component);
        }
    }
    path.to_str().unwrap().to_owned()
}

/// Whether a heading has that anchor: lower case, blanks as hyphens, punctuation dropped.
fn has_heading(text: &str, anchor: &str) -> bool {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| line.trim_start_matches('#').trim()).any(|heading| {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.collect::<String>().to_lowercase().replace(' ', "-") == anchor
    })
}

#[test]
fn every_relative_link_leads_somewhere() {
    let read = |path: &str| {
        let path = root().join(path);
        path.exists().then(|| std::fs::read_to_string(path).unwrap_or_default())
    };
    let found: Vec<_> = files(&["md"]).iter().flat_map(|file| broken(file, read)).collect();
    assert_none(&found);
}

#[test]
fn bites_on_a_link_that_leads_nowhere() {
    let read = |path: &str| match path {
        "README.md" | "sim/README.md" => Some("# Sim\n## What it is, exactly\n".to_owned()),
        _ => None,
    };
    let cases = [
        ("See [it](sim/GONE.md).", "does not exist"),
        ("![picture](../outside.png)", "does not exist"),
        ("[it]: docs/it.md \"title\"", "does not exist"),
        ("[it](sim/README.md#what-it-was)", "no such heading"),
        ("[it](#elsewhere)", "no such heading"),
    ];
    for (line, words) in cases {
        let file = SourceFile::new("README.md", &format!("# Top\n{line}\n"));
        assert_bites(&broken(&file, read), 2, words);
    }
    let text = "[a](https://a.example/b) [b](mailto:a@b.example) `[c](gone)` \
                [d](sim/README.md#what-it-is-exactly) [e](#sim)\n```\n[f](gone)\n```\n";
    assert!(broken(&SourceFile::new("README.md", text), read).is_empty());
    let up = SourceFile::new("sim/README.md", "[up](../README.md) [gone](../sim/../GONE.md)\n");
    assert_bites(&broken(&up, read), 1, "GONE");
}
