//! What is wrong with a configuration file: where, what, and how to mend it.
//!
//! A [`Report`] gathers the findings of one file, so that a run shows all of them at once.

use std::{fmt, ops::Range};

use super::SourceFile;

/// Most findings that are told about one file: nobody reads more, and a file of noise is refused
/// anyway. Errors are found from top to bottom table by table, so the first ones are told.
const FINDINGS_MAX: usize = 500;

/// One finding in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the file can be used in spite of it.
    pub severity: Severity,
    /// Name of the file, as it was given.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The key, as in `client[2].auth`; empty for the file as a whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
    /// The line of the file. Values that may be secrets are covered by asterisks.
    pub excerpt: String,
    /// How many characters the caret underlines.
    pub width: usize,
}

/// Whether a file can be used in spite of a finding. Errors come first in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, but probably does not say what is meant.
    Warning,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) span: Range<usize>,
    pub(super) path: String,
}

/// The findings of one file.
pub(super) struct Report<'s> {
    source: &'s SourceFile,
    /// The byte at which each line starts.
    line_starts: Vec<usize>,
    diagnostics: Vec<Diagnostic>,
    failed: bool,
    /// Values that may be secrets: covered wherever their lines are shown.
    covered: Vec<Range<usize>>,
}

impl<'s> Report<'s> {
    pub(super) fn new(source: &'s SourceFile) -> Self {
        let after_break = |(index, _): (usize, &str)| index + 1;
        let line_starts =
            std::iter::once(0).chain(source.text.match_indices('\n').map(after_break)).collect();
        Self { source, line_starts, diagnostics: Vec::new(), failed: false, covered: Vec::new() }
    }

    pub(super) fn error(&mut self, at: &Place, message: impl Into<String>, hint: Option<String>) {
        self.add(Severity::Error, at, message.into(), hint);
    }

    pub(super) fn warning(&mut self, at: &Place, message: impl Into<String>, hint: Option<String>) {
        self.add(Severity::Warning, at, message.into(), hint);
    }

    /// Covers a value that may be a secret wherever its line is shown.
    pub(super) fn cover(&mut self, value: Range<usize>) {
        self.covered.push(value);
    }

    pub(super) const fn has_errors(&self) -> bool {
        self.failed
    }

    /// Line of a place, from 1.
    pub(super) fn line(&self, at: &Place) -> usize {
        self.position(at.span.start).0
    }

    /// The findings in the order of the file.
    pub(super) fn into_diagnostics(mut self) -> Vec<Diagnostic> {
        let lines: Vec<String> =
            covered_text(&self.source.text, &self.covered).lines().map(str::to_owned).collect();
        for diagnostic in &mut self.diagnostics {
            let line = lines.get(diagnostic.line.saturating_sub(1));
            diagnostic.excerpt = line.cloned().unwrap_or_default();
        }
        self.diagnostics.sort_by_key(|d| (d.line, d.column));
        self.diagnostics
    }

    /// Line and column of a byte, from 1.
    fn position(&self, byte: usize) -> (usize, usize) {
        let line = self.line_starts.partition_point(|start| *start <= byte);
        let start = self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let before = self.source.text.get(start..byte).unwrap_or_default();
        (line, before.chars().count() + 1)
    }

    fn add(&mut self, severity: Severity, at: &Place, message: String, hint: Option<String>) {
        self.failed |= severity == Severity::Error;
        if self.diagnostics.len() >= FINDINGS_MAX {
            return;
        }
        let text = &self.source.text;
        let (line, column) = self.position(at.span.start);
        let start = self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let shown = text.get(start..).unwrap_or_default().lines().next().unwrap_or_default();
        let marked = text.get(at.span.clone()).unwrap_or_default();
        let room = shown.chars().count().saturating_sub(column.saturating_sub(1));
        let width = marked.lines().next().unwrap_or_default().chars().count().clamp(1, room.max(1));
        self.diagnostics.push(Diagnostic {
            severity,
            file: self.source.name.clone(),
            line,
            column,
            path: at.path.clone(),
            message,
            hint,
            excerpt: String::new(),
            width,
        });
    }
}

/// The text with an asterisk for every covered character.
fn covered_text(text: &str, covered: &[Range<usize>]) -> String {
    let shown = |(index, c): (usize, char)| {
        let hidden = c != '\n' && covered.iter().any(|range| range.contains(&index));
        if hidden { '*' } else { c }
    };
    text.char_indices().map(shown).collect()
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(f, "{severity}: {}", self.message)?;
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        write!(f, "{margin}--> {}:{}:{}", self.file, self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, " ({})", self.path)?;
        }
        let indent = " ".repeat(self.column.saturating_sub(1));
        write!(f, "\n{margin} |\n{number} | {}", self.excerpt.replace('\t', " "))?;
        write!(f, "\n{margin} | {indent}{}", "^".repeat(self.width))?;
        if let Some(hint) = &self.hint {
            write!(f, "\n{margin} = hint: {hint}")?;
        }
        Ok(())
    }
}

/// The candidate that a misspelt word most probably means.
pub(super) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let tolerated = word.chars().count().div_ceil(3).max(1);
    let near = candidates.into_iter().map(|c| (distance(word, c), c));
    near.filter(|(d, _)| *d <= tolerated).min().map(|(_, c)| c)
}

/// A hint that names the nearest candidate, or all of them if none is near.
pub(super) fn meant(word: &str, candidates: &[&str]) -> Option<String> {
    if let Some(near) = nearest(word, candidates.iter().copied()) {
        return Some(format!("did you mean `{near}`?"));
    }
    let listed: Vec<String> = candidates.iter().map(|c| format!("`{c}`")).collect();
    (!listed.is_empty()).then(|| format!("known here: {}", listed.join(", ")))
}

/// Levenshtein distance over characters, with a swap of neighbours counted as one.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (row, ca) in a.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, cb) in b.iter().enumerate() {
            let at = |line: &[usize], i: usize| line.get(i).copied().unwrap_or(usize::MAX / 2);
            let replaced = at(&last, column) + usize::from(ca != *cb);
            let mut best = replaced.min(at(&last, column + 1) + 1).min(at(&current, column) + 1);
            let swapped = column.checked_sub(1).and_then(|i| b.get(i).map(|c| (i, *c)));
            if let (Some((i, cb_before)), Some(ca_before)) = (swapped, previous)
                && ca == cb_before
                && ca_before == *cb
            {
                best = best.min(at(&before_last, i) + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
        previous = Some(ca);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_shows_its_line_and_a_caret() {
        let source = SourceFile {
            name: "eu.toml".to_owned(),
            text: "a = 1\npubilc = \"é\" # ü\n".to_owned(),
        };
        let mut report = Report::new(&source);
        let at = Place { span: 6..12, path: "listen.pubilc".to_owned() };
        report.error(&at, "unknown key `pubilc`", meant("pubilc", &["public", "peer"]));
        let text = report.into_diagnostics()[0].to_string();
        let expected = "error: unknown key `pubilc`\n --> eu.toml:2:1 (listen.pubilc)\n  |\n\
                        2 | pubilc = \"é\" # ü\n  | ^^^^^^\n  = hint: did you mean `public`?";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_value_that_may_be_a_secret_is_covered_in_every_finding_of_its_line() {
        let source = SourceFile { name: "x".to_owned(), text: "a = \"hunter2\"; b".to_owned() };
        let mut report = Report::new(&source);
        let place = |span| Place { span, path: String::new() };
        report.error(&place(0..1), "unknown key", None);
        report.cover(4..13);
        report.error(&place(15..16), "unknown key", None);
        let shown: Vec<String> = report.into_diagnostics().into_iter().map(|d| d.excerpt).collect();
        assert_eq!(shown, ["a = *********; b", "a = *********; b"]);
    }

    #[test]
    fn suggests_only_what_is_near() {
        let keys = ["issuer", "audience", "name"];
        assert_eq!(nearest("isseur", keys), Some("issuer"));
        assert_eq!(nearest("audiences", keys), Some("audience"));
        assert_eq!(nearest("colour", keys), None);
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }
}
