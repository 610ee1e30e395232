//! `exequatur audit verify|show`: reads the region's audit log beside a running node. Nothing is
//! written.

use std::{fmt::Write as _, sync::Arc};

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value;

use super::{CliError, Exit, Files, Output, run::runtime};
use crate::{
    audit::{VerifyError, verify},
    node::{location, log_binding},
    store::{Access, PAGE_RECORDS_MAX, Store, StoredRecord, open},
};

/// Most records that are shown at once: some 20 MiB. More is a job for the audit export.
const SHOWN_MAX: u64 = 10_000;

/// Read and verify the audit log.
#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// Show records as they were written.
    #[command(after_help = "\
Examples:
  exequatur audit show --last 5
  exequatur audit show --from 100 --count 20 --output json")]
    Show(Show),
    /// Recompute the log from its records and compare it with its tree.
    #[command(
        after_help = "Exit code 1 names the first record that was changed, replaced or lost."
    )]
    Verify(Verify),
}

/// Show records as they were written.
#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    files: Files,
    /// The newest records.
    #[arg(long, value_name = "N", default_value_t = 20, conflicts_with_all = ["from", "count"],
          value_parser = clap::value_parser!(u64).range(1..=SHOWN_MAX))]
    last: u64,
    /// Number of the first record, from 0.
    #[arg(long, value_name = "SEQ", requires = "count")]
    from: Option<u64>,
    /// How many records.
    #[arg(long, value_name = "N", requires = "from",
          value_parser = clap::value_parser!(u64).range(1..=SHOWN_MAX))]
    count: Option<u64>,
    /// Also show the parts that name a person, as far as they are not erased.
    #[arg(long)]
    personal: bool,
}

/// Recompute the log from its records.
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
struct Page {
    records: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    seq: u64,
    record: Value,
    /// Absent unless it was asked for; null if there is none or it was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    personal: Option<Value>,
}

impl Audit {
    pub(super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        match self {
            Self::Show(show) => show.run(output),
            Self::Verify(verify) => verify.run(output),
        }
    }
}

impl Verify {
    fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        let outcome = read(&self.files, async |store| Ok(verify(store).await))?;
        let log = outcome.map_err(|error| match &error {
            VerifyError::Store(store) => CliError::local(store),
            VerifyError::Added { .. }
            | VerifyError::Changed { .. }
            | VerifyError::Missing { .. }
            | VerifyError::Replaced { .. } => {
                let text = crate::causes::with_causes(&error);
                CliError::new(Exit::Local, format_args!("the audit log is not what it was: {text}"))
            }
        })?;
        let verified = Verified {
            records: log.head.size,
            root: hex(&log.head.root),
            without_personal: log.without_personal,
        };
        output.result(&verified, |out| {
            writeln!(out, "ok: every record is as it was written")?;
            writeln!(out, "records           {}", verified.records)?;
            writeln!(out, "root              {}", verified.root)?;
            writeln!(out, "without personal  {}", verified.without_personal)
        })?;
        Ok(())
    }
}

impl Show {
    fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        let records = read(&self.files, async |store| self.records(store).await)?;
        let records = records.iter().map(|r| self.shown(r)).collect::<Result<Vec<_>, _>>()?;
        let page = Page { records };
        output.result(&page, |out| {
            for shown in &page.records {
                writeln!(out, "{:>6}  {}", shown.seq, shown.record)?;
                if let Some(personal) = &shown.personal {
                    writeln!(out, "        {personal}")?;
                }
            }
            if page.records.is_empty() {
                writeln!(out, "no record there")?;
            }
            Ok(())
        })?;
        Ok(())
    }

    async fn records(&self, store: &dyn Store) -> Result<Vec<StoredRecord>, CliError> {
        let (mut from, count) = match (self.from, self.count) {
            (Some(from), Some(count)) => (from, count),
            _ => {
                let tail = store.audit_tail().await.map_err(|e| CliError::local(&e))?;
                (tail.size().saturating_sub(self.last), self.last)
            }
        };
        let mut records: Vec<StoredRecord> = Vec::new();
        loop {
            let left = count.saturating_sub(records.len() as u64);
            let limit = u32::try_from(left).unwrap_or(PAGE_RECORDS_MAX).min(PAGE_RECORDS_MAX);
            if limit == 0 {
                return Ok(records);
            }
            let page = store.audit_page(from, limit).await.map_err(|e| CliError::local(&e))?;
            let Some(last) = page.last() else { return Ok(records) };
            from = last.seq.saturating_add(1);
            records.extend(page);
        }
    }

    /// A record that does not match its leaf is not shown as if it were one.
    fn shown(&self, stored: &StoredRecord) -> Result<Shown, CliError> {
        let changed = |what: &str| {
            let text = format_args!("record {} was changed: {what}", stored.seq);
            CliError::new(Exit::Local, text)
        };
        stored.sealed.verify().map_err(|e| changed(&e.to_string()))?;
        let json = |bytes: &[u8]| {
            serde_json::from_slice(bytes).map_err(|_| changed("it is not the JSON of a record"))
        };
        let personal = stored.sealed.personal.as_ref().filter(|_| self.personal);
        let personal = personal.map(|p| json(&p.bytes)).transpose()?;
        Ok(Shown {
            seq: stored.seq,
            record: json(&stored.sealed.record)?,
            personal: self.personal.then_some(personal.unwrap_or(Value::Null)),
        })
    }
}

/// Opens the database for reading, lets `then` read, and closes it.
fn read<T>(
    files: &Files,
    then: impl AsyncFnOnce(&dyn Store) -> Result<T, CliError>,
) -> Result<T, CliError> {
    let configured = files.load()?;
    let place = location(&configured.compiled.settings, &configured.directory);
    let binding = log_binding(&configured.compiled.law.region);
    runtime()?.block_on(async {
        let opened = open(&place, &binding, Access::Read).await;
        let store: Arc<dyn Store> = opened.map_err(|e| CliError::local(&e))?;
        let outcome = then(store.as_ref()).await;
        store.close().await;
        outcome
    })
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String does not fail.
        let _written: Result<(), std::fmt::Error> = write!(text, "{byte:02x}");
    }
    text
}
