//! Text on a terminal: headings, rows of aligned columns, colour where there is a terminal. It
//! knows nothing of what it prints.

use std::io::{self, Write};

/// Widest line: whole on a terminal of ordinary width.
pub(crate) const COLUMNS: usize = 92;
/// What a value that was cut ends with.
const CUT: &str = "...";
/// In front of everything that stands under a heading.
const INDENT: &str = "   ";

/// How a piece of text stands out, where colour may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Headings.
    Bold,
    /// What is secondary.
    Dim,
    /// What was released or is as it should be.
    Good,
    /// What was refused or dropped.
    Bad,
    /// The rest.
    Plain,
}

/// One cell of a row: its text, its tone, and the width it fills.
#[derive(Clone, Debug)]
pub(crate) struct Cell<'t> {
    text: &'t str,
    tone: Tone,
    width: usize,
}

/// Where a story is written.
pub(crate) struct Page<'o> {
    out: &'o mut dyn Write,
    colour: bool,
}

impl<'t> Cell<'t> {
    /// A cell of a width; longer text is cut, unless it is the last of its row.
    pub(crate) const fn new(text: &'t str, tone: Tone, width: usize) -> Self {
        Self { text, tone, width }
    }
}

impl<'o> Page<'o> {
    /// A page on a stream.
    pub(crate) fn new(out: &'o mut dyn Write, colour: bool) -> Self {
        Self { out, colour }
    }

    /// A heading, with an empty line before it.
    pub(crate) fn heading(&mut self, text: &str) -> io::Result<()> {
        let text = self.toned(text, Tone::Bold);
        writeln!(self.out, "\n{text}")
    }

    /// A secondary line under a heading.
    pub(crate) fn note(&mut self, text: &str) -> io::Result<()> {
        self.row(&[Cell::new(text, Tone::Dim, usize::MAX)])
    }

    /// An empty line.
    pub(crate) fn gap(&mut self) -> io::Result<()> {
        writeln!(self.out)
    }

    /// Cells beside each other, in columns of their widths; two spaces lie between them.
    pub(crate) fn row(&mut self, cells: &[Cell<'_>]) -> io::Result<()> {
        let mut line = INDENT.to_owned();
        let last = cells.len().saturating_sub(1);
        for (index, cell) in cells.iter().enumerate() {
            let text =
                if index == last { cell.text.to_owned() } else { cut(cell.text, cell.width) };
            let padding = cell.width.saturating_sub(text.chars().count());
            line.push_str(&self.toned(&text, cell.tone));
            if index < last {
                line.push_str(&" ".repeat(padding.saturating_add(2)));
            }
        }
        writeln!(self.out, "{}", line.trim_end())
    }

    /// Words filled into lines that are no longer than the page is wide; a longer word is broken.
    pub(crate) fn paragraph(&mut self, words: &str, tone: Tone) -> io::Result<()> {
        let room = COLUMNS.saturating_sub(INDENT.len());
        let mut line = String::new();
        for word in words.split(' ').flat_map(|word| pieces(word, room)) {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > room {
                self.row(&[Cell::new(&line, tone, room)])?;
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.row(&[Cell::new(&line, tone, room)])
    }

    /// Text exactly as it is, for copying.
    pub(crate) fn verbatim(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// Hands everything to the terminal.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn toned(&self, text: &str, tone: Tone) -> String {
        let code = match tone {
            Tone::Bold => "1",
            Tone::Dim => "2",
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Plain => return text.to_owned(),
        };
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// A word in pieces of at most `room` characters.
fn pieces(word: &str, room: usize) -> impl Iterator<Item = &str> {
    let mut rest = Some(word);
    std::iter::from_fn(move || {
        let word = rest?;
        match word.char_indices().nth(room) {
            Some((at, _)) => {
                let (piece, more) = word.split_at(at);
                rest = Some(more);
                Some(piece)
            }
            None => rest.take(),
        }
    })
}

/// Text of at most `width` characters, without what a terminal would obey.
pub(crate) fn cut(text: &str, width: usize) -> String {
    let printable: String = text.chars().filter(|c| !c.is_control()).collect();
    if printable.chars().count() <= width {
        return printable;
    }
    let kept = width.saturating_sub(CUT.len());
    let mut short: String = printable.chars().take(kept).collect();
    short.push_str(CUT);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(colour: bool, print: impl FnOnce(&mut Page<'_>) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        print(&mut Page::new(&mut out, colour)).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_stand_under_each_other_and_no_line_ends_in_spaces() {
        let text = printed(false, |page| {
            for (name, value) in [("iss", "a"), ("email_verified", "b"), ("x", "")] {
                page.row(&[Cell::new(name, Tone::Plain, 14), Cell::new(value, Tone::Plain, 10)])?;
            }
            Ok(())
        });
        assert_eq!(text, "   iss             a\n   email_verified  b\n   x\n");
    }

    #[test]
    fn colour_changes_no_column() {
        let row = |page: &mut Page<'_>| {
            page.row(&[Cell::new("name", Tone::Good, 8), Cell::new("value", Tone::Dim, 8)])
        };
        let coloured = printed(true, row);
        assert!(coloured.contains("\u{1b}[32mname\u{1b}[0m"), "{coloured:?}");
        let plain: String = coloured
            .split('\u{1b}')
            .map(|part| {
                part.strip_prefix('[').and_then(|p| p.split_once('m')).map_or(part, |p| p.1)
            })
            .collect();
        assert_eq!(plain, printed(false, row));
    }

    #[test]
    fn a_value_that_is_too_long_says_that_it_was_cut() {
        assert_eq!(cut("abcdefghij", 10), "abcdefghij");
        assert_eq!(cut("abcdefghijk", 10), "abcdefg...");
        assert_eq!(cut("ümlaute stehen hier", 10), "ümlaute...");
    }

    #[test]
    fn nothing_that_a_terminal_would_obey_is_printed() {
        assert_eq!(cut("a\u{1b}[2Jb\nc", 20), "a[2Jbc");
    }

    #[test]
    fn a_word_that_is_longer_than_a_line_is_broken_and_loses_no_letter() {
        let word = "0123456789".repeat(20);
        let text = printed(false, |page| page.paragraph(&format!("of {word} end"), Tone::Plain));
        assert!(text.lines().all(|line| line.len() <= COLUMNS), "{text}");
        assert_eq!(text.split_whitespace().collect::<String>(), format!("of{word}end"));
    }

    #[test]
    fn a_paragraph_is_filled_and_loses_no_word() {
        let words = "word ".repeat(60);
        let text = printed(false, |page| page.paragraph(words.trim(), Tone::Plain));
        assert!(text.lines().all(|line| line.len() <= COLUMNS), "{text}");
        assert_eq!(text.split_whitespace().count(), 60);
    }
}
