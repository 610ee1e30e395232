//! `exequatur cluster promote`: makes a learner a voter, or lets it take a voter's place.

use clap::Args;
use exequatur_federation::membership::NodeId;

use super::{
    super::{CliError, Exit, Output},
    connection::{Change, Survival, node_id},
    outcome,
};
use crate::admin::AdminClient;

/// Make a learner a voter.
#[derive(Debug, Args)]
#[command(after_help = "\
A new node is a learner: it has what the others have, and does not count when they vote. It is
promoted once it has caught up.

Voters are an odd number in at least three regions, so that the loss of any one region leaves a
majority; a change that breaks this is refused (exit code 3). With --replacing their number stays
what it is: one voter, dead or alive, becomes a learner as NODE becomes a voter. It is still a
member; `exequatur cluster remove` removes it.

Examples:
  exequatur cluster promote 0123456789abcdef
  exequatur cluster promote 0123456789abcdef --replacing fedcba9876543210")]
pub(in crate::cli) struct Promote {
    /// The node's id.
    #[arg(value_name = "NODE", value_parser = node_id)]
    node: NodeId,
    /// The voter whose place it takes, in one change.
    #[arg(long, value_name = "OLD", value_parser = node_id)]
    replacing: Option<NodeId>,
    #[command(flatten)]
    survival: Survival,
    #[command(flatten)]
    change: Change,
}

impl Promote {
    pub(super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        let accept = self.survival.accept_reduced_survival;
        let (node, replacing) = (self.node, self.replacing);
        if replacing == Some(node) {
            let text = format_args!(
                "`{node}` is both the new voter and the one that it replaces: nothing was done"
            );
            return Err(CliError::new(Exit::Local, text));
        }
        let ask =
            async |client: &mut AdminClient, id| client.promote(id, node, replacing, accept).await;
        let done = self.change.ask(ask)?;
        let place = replacing.map(|old| format!(" in place of node {old}")).unwrap_or_default();
        let text = format!("node {node} is a voter now{place}");
        outcome::replaced(output, "promote", (Some(node), replacing), (done, &text))?;
        Ok(())
    }
}
