//! `exequatur cluster drain`: prepares a node to stop.

use clap::Args;

use super::{
    super::{CliError, Output},
    connection::Change,
    outcome,
};

/// Prepare a node to stop.
#[derive(Debug, Args)]
#[command(after_help = "\
`/readyz` says no from then on, leadership moves to another voter, and new proposals are refused.
Only a restart ends it. SIGTERM does the same
before it stops the node: drain by hand to see that another voter leads before you stop it.")]
pub(in crate::cli) struct Drain {
    #[command(flatten)]
    change: Change,
}

impl Drain {
    pub(super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        let done = self.change.ask(async |node, id| node.drain(id).await)?;
        outcome::done(output, "drain", None, (done, "the node is drained: it can be stopped"))?;
        Ok(())
    }
}
