//! An error with its causes, in one line: what an operator reads in a log or on a terminal.

use std::error::Error;

/// The error's text and those of its causes, outermost first, without repetitions.
pub(crate) fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        texts.push(error.to_string());
        cause = error.source();
    }
    // An `io::Error` shows the text of what it wraps and names it as its cause as well.
    texts.dedup();
    texts.join(": ")
}
