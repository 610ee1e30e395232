//! `exequatur keys new`: the next version of a secret of this region.

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{
    super::{CliError, Files, Output},
    key_store,
};
use crate::node::{DIGEST, TRAILER, next_version};

/// Make the next version of a secret.
#[derive(Debug, Args)]
#[command(after_help = "\
Nodes take it up when they start: the newest version seals, all open. Give every node of the region the
same secrets (the key file, or with pkcs11 the `.secrets` file) and restart them one after the other; until
the last has it, it answers 503 `seal_key_missing` for tokens of those that have. Older versions are kept:
they open what was sealed before.

Example:
  exequatur keys new trailer --config region.toml")]
pub(in super::super) struct New {
    /// Which secret.
    #[arg(value_enum)]
    secret: Secret,
    #[command(flatten)]
    files: Files,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Secret {
    /// What digests of people and sessions are made with.
    Digest,
    /// What the region seals for itself in its tokens.
    Trailer,
}

#[derive(Serialize)]
struct Made {
    secret: String,
}

impl New {
    pub(in super::super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        let configured = self.files.load()?;
        let store = key_store(&configured)?;
        let name = match self.secret {
            Secret::Digest => DIGEST,
            Secret::Trailer => TRAILER,
        };
        let (_, secret) = next_version(store.as_ref(), name).map_err(|e| CliError::local(&e))?;
        store.create_secret(&secret).map_err(|e| CliError::local(&e))?;
        let made = Made { secret };
        output.result(&made, |out| {
            writeln!(out, "made secret {}", made.secret)?;
            writeln!(out, "give it to every node of the region, then restart them")
        })?;
        Ok(())
    }
}
