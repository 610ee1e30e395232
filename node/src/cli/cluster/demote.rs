//! `exequatur cluster demote`: makes a voter a learner.

use clap::Args;
use exequatur_federation::membership::NodeId;

use super::{
    super::{CliError, Output},
    connection::{Change, Survival, node_id},
    outcome,
};

/// Make a voter a learner.
#[derive(Debug, Args)]
#[command(after_help = "\
Voters are an odd number in at least three regions, so that the loss of any one region leaves a
majority; a change that breaks this is refused (exit code 3). To put another node into a voter's
place, use `exequatur cluster promote NEW --replacing OLD`.

Example:
  exequatur cluster demote 0123456789abcdef")]
pub(in crate::cli) struct Demote {
    /// The node's id.
    #[arg(value_name = "NODE", value_parser = node_id)]
    node: NodeId,
    #[command(flatten)]
    survival: Survival,
    #[command(flatten)]
    change: Change,
}

impl Demote {
    pub(super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        let accept = self.survival.accept_reduced_survival;
        let done = self.change.ask(async |node, id| node.demote(id, self.node, accept).await)?;
        let text = format!("node {} is a learner now", self.node);
        outcome::done(output, "demote", Some(self.node), (done, &text))?;
        Ok(())
    }
}
