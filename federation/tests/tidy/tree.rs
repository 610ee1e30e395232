//! The repository as the checkers see it: paths, texts, and a way to say what is wrong where.

use std::fmt;
use std::path::{Path, PathBuf};

use super::lexer;

/// Folders that hold what was built, installed or found by a fuzzer.
const NOT_OURS: [&str; 6] = [".git", ".venv", "artifacts", "corpus", "node_modules", "target"];

/// A file of the repository. `code` is the text of a Rust file without comments and literals, line
/// for line; for other files it is empty.
pub(crate) struct SourceFile {
    pub path: String,
    pub text: String,
    pub code: String,
}

impl SourceFile {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let rust = Path::new(path).extension().is_some_and(|extension| extension == "rs");
        let code = if rust { lexer::without_comments_and_literals(text) } else { String::new() };
        Self { path: path.to_owned(), text: text.to_owned(), code }
    }

    /// A violation in this file.
    pub(crate) fn violation(&self, line: usize, message: impl Into<String>) -> Violation {
        Violation { path: self.path.clone(), line, message: message.into() }
    }

    /// Whether the file is `place.rs` or lies below `place/`.
    pub(crate) fn lies_in(&self, place: &str) -> bool {
        self.path
            .strip_prefix(place)
            .is_some_and(|rest| rest == ".rs" || rest.starts_with('/') || rest.is_empty())
    }

    /// Whether the whole file is tests, by where it lies or how it is called.
    pub(crate) fn is_test(&self) -> bool {
        self.path.contains("/tests/")
            || self.path.ends_with("/tests.rs")
            || self.path.ends_with("_test.rs")
    }
}

/// One broken rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    path: String,
    line: usize,
    message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// The top folder of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every file of ours with one of the extensions, in the order of the paths.
pub(crate) fn files(extensions: &[&str]) -> Vec<SourceFile> {
    let root = root();
    let mut paths = Vec::new();
    collect(&root, extensions, &mut paths);
    paths.sort();
    assert!(!paths.is_empty(), "no file with extension {extensions:?} below {}", root.display());
    paths
        .into_iter()
        .map(|path| {
            let relative = path.strip_prefix(&root).unwrap().to_str().unwrap();
            SourceFile::new(relative, &std::fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// One file by its path from the top folder.
pub(crate) fn file(path: &str) -> SourceFile {
    let text = std::fs::read_to_string(root().join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"));
    SourceFile::new(path, &text)
}

/// Fails with every violation at once.
#[track_caller]
pub(crate) fn assert_none(violations: &[Violation]) {
    let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{} violations:\n{}", lines.len(), lines.join("\n"));
}

/// Fails unless a planted violation was found, once and at that line.
#[track_caller]
pub(crate) fn assert_bites(violations: &[Violation], line: usize, words: &str) {
    let [only] = violations else { panic!("one violation was planted, found {violations:?}") };
    assert_eq!(only.line, line, "{only}");
    assert!(only.message.contains(words), "`{words}` is not in: {only}");
}

fn collect(directory: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            if !NOT_OURS.iter().any(|skipped| name == *skipped) {
                collect(&path, extensions, found);
            }
        } else if path.extension().is_some_and(|e| extensions.iter().any(|wanted| e == *wanted)) {
            found.push(path);
        }
    }
}
