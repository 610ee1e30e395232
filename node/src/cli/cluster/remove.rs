//! `exequatur cluster remove`: removes a node for ever.

use clap::Args;
use exequatur_federation::membership::NodeId;

use super::{
    super::{CliError, Exit, Output},
    connection::{Change, Survival, node_id},
    outcome,
};

/// Remove a node for ever.
#[derive(Debug, Args)]
#[command(after_help = "\
A removed id never comes back: its connections are cut, and the machine can only join again as a new
node, with `exequatur init` in an empty directory and a new invite. So the id is typed twice.

Ask a node of the removed node's own region. Where that region has none left, ask in two other
regions within an hour: the first ends with exit code 4, the second removes it.

A voter is replaced first: `exequatur cluster promote NEW --replacing OLD`.

Example:
  exequatur cluster remove 0123456789abcdef --yes-for-ever 0123456789abcdef")]
pub(in crate::cli) struct Remove {
    /// The node's id.
    #[arg(value_name = "NODE", value_parser = node_id)]
    node: NodeId,
    /// The same id again.
    #[arg(long, value_name = "NODE", value_parser = node_id)]
    yes_for_ever: NodeId,
    #[command(flatten)]
    survival: Survival,
    #[command(flatten)]
    change: Change,
}

impl Remove {
    pub(super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        if self.yes_for_ever != self.node {
            let text = format_args!(
                "`{}` is to be removed, but `--yes-for-ever` names `{}`: nothing was done",
                self.node, self.yes_for_ever
            );
            return Err(CliError::new(Exit::Local, text));
        }
        let accept = self.survival.accept_reduced_survival;
        let done = self.change.ask(async |node, id| node.remove(id, self.node, accept).await)?;
        let text = format!("node {} is removed for ever", self.node);
        outcome::done(output, "remove", Some(self.node), (done, &text))?;
        Ok(())
    }
}
