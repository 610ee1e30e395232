//! `exequatur init region --from ISSUER`: a commented region file, from what an issuer says of
//! itself.

use std::path::PathBuf;

use clap::Args;

use super::{CliError, Output};

/// Write a commented region file for a global issuer.
#[derive(Debug, Args)]
pub(super) struct Region {
    /// The global issuer, exactly as it stands in `iss` of its tokens.
    #[arg(long, value_name = "ISSUER")]
    from: String,
    /// Directory to write to.
    #[arg(long, value_name = "DIR", default_value = ".")]
    to: PathBuf,
}

impl Region {
    pub(super) fn run(&self, _output: &mut Output<'_>) -> Result<(), CliError> {
        Ok(())
    }
}
