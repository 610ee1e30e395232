//! `exequatur cluster invite`: lets the node of a ticket join, and writes its invite.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use clap::Args;
use exequatur_federation::membership::NodeTicket;
use serde::Serialize;

use super::{
    super::{CliError, Exit, Output},
    connection::Change,
};
use crate::admin::Invited;

/// Largest ticket that is read: one is under 300 bytes.
const TICKET_BYTES_MAX: u64 = 4 * 1024;

/// Let a new node join as a learner.
#[derive(Debug, Args)]
#[command(after_help = "\
The ticket is the file `node.ticket` that `exequatur init` made on the new node, which must stand in
federation.toml of the nodes that run. Give the invite to that node within a day, and there run
`exequatur cluster join --invite FILE`, then `exequatur run`.

Example:
  exequatur cluster invite node.ticket --to node.invite")]
pub(in crate::cli) struct Invite {
    /// The new node's ticket.
    ticket: PathBuf,
    /// Where the invite is written; beside the ticket, ending in `.invite`, if left out.
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    #[command(flatten)]
    change: Change,
}

#[derive(Serialize)]
struct Written {
    action: &'static str,
    node: String,
    invite: String,
    expires_at: u64,
    repeated: bool,
}

impl Invite {
    pub(super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        let ticket = self.read()?;
        let to = self.to.clone().unwrap_or_else(|| self.ticket.with_extension("invite"));
        if to.exists() {
            return Err(unwritten(&to, &"it is there already"));
        }
        let Invited { invite, repeated } =
            self.change.ask(async |node, id| node.invite(id, &ticket).await)?;
        write(&to, &invite.seal())?;
        let written = Written {
            action: "invite",
            node: ticket.description.node.to_string(),
            invite: to.display().to_string(),
            expires_at: invite.invitation.expires_at.seconds(),
            repeated,
        };
        output.result(&written, |out| {
            writeln!(out, "node {} may join as a learner", written.node)?;
            writeln!(
                out,
                "its invite is in `{}`: give it to the node, and there run",
                written.invite
            )?;
            writeln!(out, "  exequatur cluster join --invite FILE")
        })?;
        Ok(())
    }

    fn read(&self) -> Result<NodeTicket, CliError> {
        let unread = |why: &dyn std::fmt::Display| {
            let path = self.ticket.display();
            CliError::new(Exit::Local, format_args!("`{path}` is no node ticket: {why}"))
        };
        let mut bytes = Vec::new();
        let file = File::open(&self.ticket).map_err(|e| unread(&e))?;
        file.take(TICKET_BYTES_MAX).read_to_end(&mut bytes).map_err(|e| unread(&e))?;
        NodeTicket::open(&bytes).map_err(|e| unread(&e))
    }
}

fn write(path: &Path, invite: &[u8]) -> Result<(), CliError> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = file.map_err(|error| unwritten(path, &error))?;
    file.write_all(invite).and_then(|()| file.sync_all()).map_err(|error| unwritten(path, &error))
}

fn unwritten(path: &Path, why: &dyn std::fmt::Display) -> CliError {
    let path = path.display();
    let text =
        format_args!("the invite cannot be written to `{path}`: {why}: name a file with --to");
    CliError::new(Exit::Local, text)
}
