//! `exequatur init`: makes the keys, secrets and database that `run` refuses to start without.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{
    CliError, Files, Output,
    init_region::Region,
    run::{runtime, system_seams},
};
use crate::{
    node::{NewPairwise, initialise_key_store, location, log_binding},
    store::{Access, Binding, Location, OpenError, create, open},
};

/// Make the keys, secrets and database of a region, or a region file.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Makes what is missing and leaves alone what exists: it may be run again. `run` makes none of it.

Example:
  exequatur init --config region.toml"
)]
pub(super) struct Init {
    #[command(flatten)]
    files: Files,
    /// Make the secret of pseudonyms anew although the region has a database: every person gets
    /// another `sub`, and services know nobody again.
    #[arg(long)]
    renames_every_subject: bool,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Write a commented region file for a global issuer.
    Region(Region),
}

#[derive(Serialize)]
struct Made {
    region: String,
    keys: Vec<String>,
    database: bool,
    directory: PathBuf,
}

impl Init {
    pub(super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        match &self.what {
            Some(What::Region(region)) => region.run(output),
            None => self.parts(output),
        }
    }

    /// Everything that is missing is made, what exists is left alone: `init` may be run again.
    fn parts(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        let configured = self.files.load()?;
        let (law, settings) = (&configured.compiled.law, &configured.compiled.settings);
        let directory = &configured.directory;
        let seams = system_seams();
        let runtime = runtime()?;
        let (place, binding) = (location(settings, directory), log_binding(&law.region));
        let new_pairwise = if self.renames_every_subject {
            NewPairwise::RenamesEverySubject
        } else {
            let database_exists = runtime.block_on(exists(&place, &binding));
            NewPairwise::WithNewDatabase { database_exists }
        };
        let keys = initialise_key_store(&law.region, (settings, directory), new_pairwise, &seams)
            .map_err(|e| CliError::local(&e))?;
        let database = match runtime.block_on(create(&place, &binding)) {
            Ok(()) => true,
            Err(OpenError::Exists { .. }) => false,
            Err(error) => return Err(CliError::local(&error)),
        };
        let made =
            Made { region: law.region.to_string(), keys, database, directory: directory.clone() };
        output.result(&made, |out| {
            for key in &made.keys {
                writeln!(out, "made {key}")?;
            }
            if made.database {
                writeln!(out, "made the database")?;
            }
            if made.keys.is_empty() && !made.database {
                writeln!(out, "nothing was missing")?;
            }
            writeln!(out, "region `{}` is ready for `exequatur run`", made.region)
        })?;
        Ok(())
    }
}

/// Whether the region's database is there. Whatever else is wrong with it shows when it is made.
async fn exists(place: &Location, binding: &Binding) -> bool {
    match open(place, binding, Access::Read).await {
        Ok(store) => {
            store.close().await;
            true
        }
        Err(_) => false,
    }
}
