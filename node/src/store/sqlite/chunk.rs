//! Multi-row statements of a few fixed sizes, so that each is prepared once and then reused.
//!
//! SQLite has no arrays to bind, and a statement for every possible number of rows would crowd
//! the cache. Rows are cut into pieces of powers of two instead.

use std::sync::Arc;

/// Sizes of pieces, largest first. 64 rows of nine columns are well under SQLite's limit of
/// 32,766 bound values.
const SIZES: [usize; 7] = [64, 32, 16, 8, 4, 2, 1];

/// One statement in all sizes.
pub(super) struct Chunked {
    texts: [Arc<str>; SIZES.len()],
}

impl Chunked {
    /// `head` ends before the rows, as in `INSERT INTO t (a, b) VALUES`; `tail` follows them.
    pub(super) fn new(head: &str, columns: usize, tail: &str) -> Self {
        Self { texts: SIZES.map(|rows| text(head, columns, rows, tail).into()) }
    }

    /// The statements for so many rows, each with how many of them it takes.
    pub(super) fn pieces(&self, rows: usize) -> impl Iterator<Item = (usize, Arc<str>)> {
        let mut left = rows;
        SIZES.iter().zip(&self.texts).flat_map(move |(&size, text)| {
            let times = left / size;
            left %= size;
            std::iter::repeat_n((size, Arc::clone(text)), times)
        })
    }
}

/// Placeholders have no numbers: SQLite would search its list of numbers for each bound value.
fn text(head: &str, columns: usize, rows: usize, tail: &str) -> String {
    let row = format!("({})", vec!["?"; columns].join(", "));
    format!("{head} {} {tail}", vec![row.as_str(); rows].join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_any_number_of_rows_with_few_statements() {
        let chunked = Chunked::new("INSERT INTO t (a) VALUES", 1, "");
        for rows in 0..=256 {
            let sizes: Vec<usize> = chunked.pieces(rows).map(|piece| piece.0).collect();
            assert_eq!(sizes.iter().sum::<usize>(), rows);
            assert!(sizes.len() <= rows / 64 + 6, "{rows}");
        }
    }

    #[test]
    fn rows_stand_between_head_and_tail() {
        assert_eq!(
            text("INSERT INTO t (a, b) VALUES", 2, 2, "ON CONFLICT DO NOTHING"),
            "INSERT INTO t (a, b) VALUES (?, ?), (?, ?) ON CONFLICT DO NOTHING"
        );
    }
}
