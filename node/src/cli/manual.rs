//! Completions and man pages, made from the same description as the command line itself.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, CliError, Exit, Output};

/// Write the completions of a shell to standard output.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  exequatur completions bash > ~/.local/share/bash-completion/completions/exequatur")]
pub(super) struct Completions {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Write the man pages to a directory.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  exequatur man ~/.local/share/man/man1")]
pub(super) struct Man {
    /// The directory; it must exist.
    directory: PathBuf,
}

impl Completions {
    pub(super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "exequatur", &mut script);
        output.stream().write_all(&script)?;
        Ok(())
    }
}

impl Man {
    pub(super) fn run(&self) -> Result<(), CliError> {
        clap_mangen::generate_to(Cli::command(), &self.directory).map_err(|error| {
            let directory = self.directory.display();
            CliError::new(Exit::Local, format_args!("no man page in `{directory}`: {error}"))
        })
    }
}
