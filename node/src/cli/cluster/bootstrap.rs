//! `exequatur cluster bootstrap`: one founder makes the genesis, and pins it.

use std::path::{Path, PathBuf};

use clap::Args;
use exequatur_federation::{ledger::Fixed, membership::NodeTicket};
use serde::Serialize;

use super::{
    super::{
        CliError, Exit, Files, Output,
        run::{runtime, system_seams},
    },
    join::{pin, refuse_second_pin},
};
use crate::{
    entropy::draw,
    identity::{Founding, TicketError, read_document, sign_command},
    node::{Membership, open_identity},
};

/// Found the federation from the tickets of all its voters.
#[derive(Debug, Args)]
#[command(after_help = "\
Run it once, at one founder. Every region must have the same federation.toml, with the identities and
nodes that `exequatur init` printed. Then give the file `genesis` that it writes to every other founder:
`exequatur cluster join --genesis FILE` pins it there.

Example:
  exequatur cluster bootstrap --ticket eu.ticket --ticket us.ticket --ticket ap.ticket")]
pub(in super::super) struct Bootstrap {
    #[command(flatten)]
    files: Files,
    /// The `node.ticket` of a founder: one for each voter of federation.toml, this node's too.
    #[arg(long = "ticket", value_name = "FILE", required = true, num_args = 1..)]
    tickets: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Founded {
    cluster: String,
    genesis: PathBuf,
    genesis_sha256: String,
    founders: usize,
}

impl Bootstrap {
    pub(in super::super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        let configured = self.files.load()?;
        let membership = Membership::of(&configured).map_err(|e| CliError::local(&e))?;
        let seams = system_seams();
        let open = open_identity(&membership, &seams).map_err(|e| CliError::local(&e))?;
        refuse_second_pin(&open)?;
        let tickets =
            self.tickets.iter().map(|path| ticket(path)).collect::<Result<Vec<_>, _>>()?;
        let cluster = Fixed(draw(seams.entropy.as_ref()).map_err(|e| CliError::local(&e))?);
        let founding = Founding {
            settings: membership.federation(),
            tickets: &tickets,
            here: open.description(),
            cluster,
            now: seams.clock.now(),
        };
        let command = founding.command().map_err(|e| CliError::local(&e))?;
        let frame = runtime()?
            .block_on(sign_command(open.region.as_ref(), cluster, command))
            .map_err(|e| CliError::local(&e))?;
        let digest = pin(&open, |directory| directory.pin_genesis(&frame, true))?;
        let founded = Founded {
            cluster: cluster.to_string(),
            genesis: open.directory.genesis_path(),
            genesis_sha256: digest.to_string(),
            founders: tickets.len(),
        };
        output.result(&founded, |out| {
            writeln!(out, "founded cluster {} with {} voters", founded.cluster, founded.founders)?;
            writeln!(out, "genesis {}", founded.genesis_sha256)?;
            writeln!(out, "give {} to every other founder:", founded.genesis.display())?;
            writeln!(out, "  exequatur cluster join --genesis FILE")?;
            writeln!(out, "this node initialises the cluster when it runs")
        })?;
        Ok(())
    }
}

fn ticket(path: &Path) -> Result<NodeTicket, CliError> {
    let bytes = read_document(path).map_err(|e| CliError::local(&e))?;
    NodeTicket::open(&bytes).map_err(|fault| {
        let fault = TicketError::Malformed { fault };
        CliError::new(Exit::Local, format_args!("`{}`: {fault}", path.display()))
    })
}
