//! `exequatur cluster promote`: makes a learner a voter.

use clap::Args;
use exequatur_federation::membership::NodeId;

use super::{
    super::{CliError, Output},
    connection::{Change, Survival, node_id},
    outcome,
};

/// Make a learner a voter.
#[derive(Debug, Args)]
#[command(after_help = "\
Voters are an odd number in at least three regions, so that the loss of any one region leaves a
majority; a change that breaks this is refused (exit code 3).

Example:
  exequatur cluster promote 0123456789abcdef")]
pub(in crate::cli) struct Promote {
    /// The node's id.
    #[arg(value_name = "NODE", value_parser = node_id)]
    node: NodeId,
    #[command(flatten)]
    survival: Survival,
    #[command(flatten)]
    change: Change,
}

impl Promote {
    pub(super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        let accept = self.survival.accept_reduced_survival;
        let done = self.change.ask(async |node, id| node.promote(id, self.node, accept).await)?;
        let text = format!("node {} is a voter now", self.node);
        outcome::done(output, "promote", Some(self.node), (done, &text))?;
        Ok(())
    }
}
