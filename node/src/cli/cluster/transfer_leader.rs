//! `exequatur cluster transfer-leader`: hands leadership to another voter.

use clap::Args;
use exequatur_federation::membership::NodeId;

use super::{
    super::{CliError, Output},
    connection::{Change, node_id},
    outcome,
};

/// Hand leadership to another voter.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  exequatur cluster transfer-leader 0123456789abcdef")]
pub(in crate::cli) struct TransferLeader {
    /// The voter's id; whichever is best if left out.
    #[arg(value_name = "NODE", value_parser = node_id)]
    node: Option<NodeId>,
    #[command(flatten)]
    change: Change,
}

impl TransferLeader {
    pub(super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        let done = self.change.ask(async |node, id| node.transfer_leader(id, self.node).await)?;
        let text = match self.node {
            Some(node) => format!("node {node} leads now"),
            None => "another voter leads now".to_owned(),
        };
        outcome::done(output, "transfer_leader", self.node, (done, &text))?;
        Ok(())
    }
}
