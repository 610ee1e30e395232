//! `exequatur cluster snapshot`: has a node write a snapshot now.

use clap::Args;

use super::{
    super::{CliError, Output},
    connection::Change,
    outcome,
};

/// Have a node write a snapshot now.
#[derive(Debug, Args)]
pub(in crate::cli) struct Snapshot {
    #[command(flatten)]
    change: Change,
}

impl Snapshot {
    pub(super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        let done = self.change.ask(async |node, id| node.snapshot(id).await)?;
        outcome::done(output, "snapshot", None, (done, "a snapshot is written"))?;
        Ok(())
    }
}
