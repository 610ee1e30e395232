//! `exequatur cluster entry`: one entry of the log, decoded and byte by byte: what crosses borders,
//! for whoever has to believe that nothing else does.

use std::io::{self, Write};

use clap::Args;
use exequatur_federation::ledger::{EntryPayload, Header, LogEntry, Proposal};
use serde::Serialize;

use super::{
    super::{CliError, Output},
    connection::Connection,
};

/// Bytes in a line of the dump.
const BYTES_A_LINE: usize = 16;

/// Show an entry of the log, as all regions hold it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  exequatur cluster entry
  exequatur cluster entry 42 --output json")]
pub(in crate::cli) struct Entry {
    #[command(flatten)]
    connection: Connection,
    /// Its index; left out, the last entry that holds a command other than the time.
    index: Option<u64>,
}

#[derive(Serialize)]
struct Shown {
    index: u64,
    term: u64,
    leader: String,
    /// Name of what it holds: `blank`, `membership` or `commands`.
    holds: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    membership: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    commands: Vec<ShownCommand>,
    /// All of its bytes, in hexadecimal digits.
    frame: String,
}

#[derive(Serialize)]
struct ShownCommand {
    region: u16,
    node: String,
    serial: u64,
    proposed_at: u64,
    signed: bool,
    command: String,
}

impl Entry {
    pub(super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        let entry = self.connection.ask(async |node| node.entry(self.index).await)?;
        let frame = entry.seal();
        let shown = shown(&entry, &frame);
        output.result(&shown, |out| write(out, &shown, &frame))?;
        Ok(())
    }
}

fn shown(entry: &LogEntry, frame: &[u8]) -> Shown {
    let (holds, membership, commands) = match &entry.payload {
        EntryPayload::Blank => ("blank", None, Vec::new()),
        EntryPayload::Membership(membership) => {
            ("membership", Some(format!("{membership:?}")), Vec::new())
        }
        EntryPayload::Batch(batch) => {
            ("commands", None, batch.proposals().map(|proposal| command(&proposal)).collect())
        }
    };
    Shown {
        index: entry.id.index,
        term: entry.id.term,
        leader: entry.id.leader.to_string(),
        holds,
        membership,
        commands,
        frame: frame.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

fn command(proposal: &Proposal) -> ShownCommand {
    let Header { region, node, serial, proposed_at, .. } = proposal.header;
    ShownCommand {
        region: region.number(),
        node: node.to_string(),
        serial,
        proposed_at: proposed_at.seconds(),
        signed: proposal.signature.is_some(),
        command: format!("{:?}", proposal.command),
    }
}

fn write(out: &mut dyn Write, shown: &Shown, frame: &[u8]) -> io::Result<()> {
    let Shown { index, term, leader, holds, .. } = shown;
    writeln!(out, "entry {index} of term {term}, led by {leader}: {holds}, {} bytes", frame.len())?;
    if let Some(membership) = &shown.membership {
        writeln!(out, "  {membership}")?;
    }
    for command in &shown.commands {
        let ShownCommand { region, node, serial, proposed_at, signed, command } = command;
        let by = if *signed { "signed by" } else { "by" };
        writeln!(out, "  {by} region {region}, node {node}, serial {serial}, at {proposed_at}")?;
        writeln!(out, "    {command}")?;
    }
    for (line, bytes) in frame.chunks(BYTES_A_LINE).enumerate() {
        write!(out, "  {:06x} ", line * BYTES_A_LINE)?;
        for byte in bytes {
            write!(out, " {byte:02x}")?;
        }
        let text: String = bytes.iter().map(|byte| printable(*byte)).collect();
        let gap = 3 * (BYTES_A_LINE - bytes.len());
        writeln!(out, "{:gap$}  {text}", "")?;
    }
    Ok(())
}

const fn printable(byte: u8) -> char {
    if byte.is_ascii_graphic() { byte as char } else { '.' }
}
