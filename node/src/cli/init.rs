//! `exequatur init`: makes the keys, secrets, database and node that `run` refuses to start without.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{
    CliError, Files, Output,
    init_region::Region,
    run::{runtime, system_seams},
};
use crate::{
    node::{
        Configured, MadeIdentity, Membership, NewPairwise, Seams, initialise_identity,
        initialise_key_store, location, log_binding, resolve,
    },
    store::{Access, Binding, Location, OpenError, create, open},
};

/// Make the keys, secrets, database and node of a region, or a region file.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Makes what is missing and leaves alone what exists: it may be run again. `run` makes none of it.
With `[cluster]` it also makes the node, and prints what federation.toml must say of it.

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
    /// Null for a region without `[cluster]`.
    node: Option<MadeNode>,
}

#[derive(Serialize)]
struct MadeNode {
    id: String,
    identity: String,
    ticket: PathBuf,
    made: bool,
    /// Whether it has pinned a federation, without which `run` refuses to start.
    pinned: bool,
    /// What federation.toml lacks of the node, ready to be put into the region's table; null if it has
    /// everything.
    federation_lacks: Option<String>,
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
        let node = match &settings.cluster {
            None => None,
            Some(_) => Some(runtime.block_on(make_node(&configured, &seams))?),
        };
        let made = Made {
            region: law.region.to_string(),
            keys,
            database,
            directory: directory.clone(),
            node,
        };
        output.result(&made, |out| {
            for key in &made.keys {
                writeln!(out, "made {key}")?;
            }
            if made.database {
                writeln!(out, "made the database")?;
            }
            let node_made = made.node.as_ref().is_some_and(|node| node.made);
            if made.keys.is_empty() && !made.database && !node_made {
                writeln!(out, "nothing was missing")?;
            }
            if let Some(node) = &made.node {
                write_node(node, &made.region, out)?;
            }
            if made.node.as_ref().is_some_and(|node| !node.pinned) {
                let next = "`exequatur cluster bootstrap` or `exequatur cluster join` pins it";
                return writeln!(out, "the node has pinned no federation yet: {next}");
            }
            writeln!(out, "region `{}` is ready for `exequatur run`", made.region)
        })?;
        Ok(())
    }
}

async fn make_node(configured: &Configured, seams: &Seams) -> Result<MadeNode, CliError> {
    let membership = Membership::of(configured).map_err(|e| CliError::local(&e))?;
    let made = initialise_identity(&membership, seams).await.map_err(|e| CliError::local(&e))?;
    let settings = &configured.compiled.settings;
    let cluster = settings.cluster.as_ref().map(|cluster| cluster.directory.as_str());
    Ok(MadeNode {
        id: made.ticket.description.node.to_string(),
        identity: made.region.to_string(),
        ticket: resolve(&configured.directory, cluster.unwrap_or_default()).join("node.ticket"),
        federation_lacks: federation_lacks(configured, &made),
        made: made.made,
        pinned: made.pinned,
    })
}

/// The lines that the region's table of federation.toml lacks.
fn federation_lacks(configured: &Configured, made: &MadeIdentity) -> Option<String> {
    let compiled = &configured.compiled;
    let node = made.ticket.description.node;
    let region = compiled.federation.regions.get(&compiled.law.region);
    let mut lines = Vec::new();
    if region.is_none_or(|region| region.identity.is_none()) {
        lines.push(format!("identity = \"{}\"", made.region));
    }
    if region.is_none_or(|region| !region.nodes.contains_key(&node)) {
        lines.push("[[region.node]]".to_owned());
        lines.push(format!("id      = \"{node}\""));
        // Unless it is known, it has a form that the check of the file does not take.
        let address = match compiled.settings.listen.peer {
            Some(peer) if !peer.ip().is_unspecified() && peer.port() != 0 => peer.to_string(),
            Some(peer) => format!("<HOST>:{}", peer.port()),
            None => "<HOST>:<PORT>".to_owned(),
        };
        lines.push(format!("address = \"{address}\""));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn write_node(node: &MadeNode, region: &str, out: &mut dyn Write) -> io::Result<()> {
    if node.made {
        writeln!(out, "made node {}, its ticket: {}", node.id, node.ticket.display())?;
    }
    if let Some(lines) = &node.federation_lacks {
        writeln!(
            out,
            "\nput this into the table of `{region}` in every copy of federation.toml:\n"
        )?;
        writeln!(out, "{lines}\n")?;
    }
    Ok(())
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
