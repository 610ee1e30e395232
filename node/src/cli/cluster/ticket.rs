//! `exequatur cluster ticket`: the region vouches for this node again, as it is now.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::super::{
    CliError, Files, Output,
    run::{runtime, system_seams},
};
use crate::{
    identity::make_ticket,
    node::{Membership, open_identity},
};

/// Make this node's ticket anew.
#[derive(Debug, Args)]
#[command(after_help = "\
A ticket says who a node is, signed by its region. `exequatur init` makes the first; make another
after an update of the program or a change of the region's identity key. It holds no secret.

Example:
  exequatur cluster ticket --config region.toml")]
pub(in super::super) struct Ticket {
    #[command(flatten)]
    files: Files,
}

#[derive(Serialize)]
struct Made {
    node: String,
    region: String,
    ticket: PathBuf,
    build: String,
    levels: [u16; 2],
}

impl Ticket {
    pub(in super::super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        let configured = self.files.load()?;
        let membership = Membership::of(&configured).map_err(|e| CliError::local(&e))?;
        let open = open_identity(&membership, &system_seams()).map_err(|e| CliError::local(&e))?;
        let description = open.description();
        let ticket = runtime()?
            .block_on(make_ticket(open.region.as_ref(), description))
            .map_err(|e| CliError::local(&e))?;
        open.directory.write_ticket(&ticket).map_err(|e| CliError::local(&e))?;
        let made = Made {
            node: description.node.to_string(),
            region: configured.compiled.law.region.to_string(),
            ticket: open.directory.ticket_path(),
            build: description.build.to_string(),
            levels: [description.levels.lowest, description.levels.highest],
        };
        output.result(&made, |out| {
            writeln!(out, "node    {} of region `{}`", made.node, made.region)?;
            writeln!(out, "build   {}, feature levels {:?}", made.build, made.levels)?;
            writeln!(out, "ticket  {}", made.ticket.display())
        })?;
        Ok(())
    }
}
