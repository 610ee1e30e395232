//! `exequatur audit verify|show`: reads the region's audit log beside a running node.
//!
//! Only public parts of records are shown; what speaks of a person stays in the database.

use std::sync::Arc;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value;

use super::{CliError, Files, Output, run::runtime};
use crate::{
    audit::{VerifyError, verify},
    node::{location, log_binding},
    store::{Access, Store, StoreError, StoredRecord, open},
};

/// Most records that one `show` prints: a page of the store.
const SHOWN_MAX: u32 = 100;

/// Look into the region's audit log.
#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// Show the newest records, without what they say of a person.
    Show(Show),
    /// Compute the tree from every record and compare it with the one that was saved.
    Verify(Verify),
}

/// Show the newest records, without what they say of a person.
#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    files: Files,
    /// How many records.
    #[arg(
        long, value_name = "COUNT", default_value_t = 10,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(SHOWN_MAX))
    )]
    last: u32,
}

/// Compute the tree from every record and compare it with the one that was saved.
#[derive(Debug, Args)]
pub(super) struct Verify {
    #[command(flatten)]
    files: Files,
}

#[derive(Serialize)]
struct Verified {
    records: u64,
    root: String,
    without_personal: u64,
}

#[derive(Serialize)]
struct Shown {
    records: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    seq: u64,
    record: Value,
}

impl Audit {
    pub(super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        match self {
            Self::Show(show) => show.run(output),
            Self::Verify(verify) => verify.run(output),
        }
    }
}

impl Show {
    fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        let records = with_store(&self.files, async |store| {
            let size = store.audit_tail().await?.size();
            store.audit_page(size.saturating_sub(self.last.into()), self.last).await
        })?;
        let records = records.map_err(|e: StoreError| CliError::local(&e))?;
        let shown = Shown { records: records.iter().map(entry).collect() };
        output.result(&shown, |out| {
            for Entry { seq, record } in &shown.records {
                writeln!(out, "{seq:>8}  {record}")?;
            }
            Ok(())
        })?;
        Ok(())
    }
}

impl Verify {
    fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        let verified = with_store(&self.files, async |store| verify(store.as_ref()).await)?;
        let verified = verified.map_err(|e: VerifyError| CliError::local(&e))?;
        let root: String = verified.head.root.iter().map(|byte| format!("{byte:02x}")).collect();
        let verified = Verified {
            records: verified.head.size,
            root,
            without_personal: verified.without_personal,
        };
        output.result(&verified, |out| {
            writeln!(out, "every record is as it was saved")?;
            writeln!(out, "  records  {}", verified.records)?;
            writeln!(out, "  root     {}", verified.root)
        })?;
        Ok(())
    }
}

/// The public part. It was written as JSON; bytes that are none are shown as text, for this
/// command is there for logs that something happened to.
fn entry(stored: &StoredRecord) -> Entry {
    let record = serde_json::from_slice(&stored.sealed.record).unwrap_or_else(|_| {
        Value::from(String::from_utf8_lossy(&stored.sealed.record).into_owned())
    });
    Entry { seq: stored.seq, record }
}

fn with_store<T>(files: &Files, ask: impl AsyncFnOnce(Arc<dyn Store>) -> T) -> Result<T, CliError> {
    let configured = files.load()?;
    let (law, settings) = (&configured.compiled.law, &configured.compiled.settings);
    let place = location(settings, &configured.directory);
    runtime()?.block_on(async {
        let opened = open(&place, &log_binding(&law.region), Access::Read).await;
        let store = opened.map_err(|e| CliError::local(&e))?;
        let answer = ask(Arc::clone(&store)).await;
        store.close().await;
        Ok(answer)
    })
}
