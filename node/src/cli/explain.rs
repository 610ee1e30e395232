//! `exequatur explain ERROR_ID`: the error catalogue.

use clap::Args;
use exequatur_federation::refusal::RefusalId;
use serde::Serialize;

use super::{CliError, Exit, Output};

/// Explain an error id.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  exequatur explain home_region_elsewhere")]
pub(super) struct Explain {
    /// The last part of an answer's `error_uri`; without it, every id is listed.
    error_id: Option<String>,
}

#[derive(Serialize)]
struct Entry {
    error_id: &'static str,
    status: u16,
    error: &'static str,
    description: &'static str,
    remedy: &'static str,
}

impl Explain {
    pub(super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        match &self.error_id {
            Some(id) => one(id, output),
            None => all(output),
        }
    }
}

fn one(id: &str, output: &mut Output<'_>) -> Result<(), CliError> {
    // Whoever copies the whole `error_uri` is understood as well.
    let id = id.rsplit('/').next().unwrap_or(id);
    let found = RefusalId::find(id).ok_or_else(|| {
        let hint = "`exequatur explain` lists every id";
        CliError::new(Exit::Local, format_args!("`{id}` is no error id: {hint}"))
    })?;
    let entry = entry(found);
    output.result(&entry, |out| {
        writeln!(out, "{}", entry.error_id)?;
        writeln!(out, "  answer  HTTP {}, error `{}`", entry.status, entry.error)?;
        writeln!(out, "  means   {}", entry.description)?;
        writeln!(out, "  mend    {}", entry.remedy)
    })?;
    Ok(())
}

fn all(output: &mut Output<'_>) -> Result<(), CliError> {
    let entries: Vec<Entry> = RefusalId::catalogue().map(entry).collect();
    output.result(&entries, |out| {
        for entry in &entries {
            writeln!(out, "{:<34} {}", entry.error_id, entry.description)?;
        }
        Ok(())
    })?;
    Ok(())
}

fn entry(id: RefusalId) -> Entry {
    Entry {
        error_id: id.as_str(),
        status: id.status(),
        error: id.code().as_str(),
        description: id.description(),
        remedy: id.remedy(),
    }
}
