//! Results on standard output: text for people, or one JSON object for programs.

use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON object.
    Json,
    /// Text for people.
    Text,
}

/// Where a command writes its result.
pub struct Output<'a> {
    format: Format,
    out: &'a mut dyn Write,
}

impl<'a> Output<'a> {
    /// An output of a format.
    pub fn new(format: Format, out: &'a mut dyn Write) -> Self {
        Self { format, out }
    }

    /// The format that was asked for.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// The stream, for what has no two forms.
    pub fn stream(&mut self) -> &mut dyn Write {
        self.out
    }

    /// Writes `value` as one JSON object, or what `text` writes.
    ///
    /// # Errors
    /// The stream cannot be written.
    pub fn result<T: Serialize>(
        &mut self,
        value: &T,
        text: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        match self.format {
            Format::Json => {
                serde_json::to_writer(&mut *self.out, value)?;
                writeln!(self.out)?;
            }
            Format::Text => text(self.out)?,
        }
        self.out.flush()
    }
}
