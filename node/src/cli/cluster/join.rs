//! `exequatur cluster join`: pins the federation that this node belongs to, from the genesis that a
//! founder made or from an invite.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
};

use clap::Args;
use exequatur_federation::ledger::Digest;
use serde::Serialize;

use super::super::{CliError, Exit, Files, Output, run::system_seams};
use crate::{
    identity::{
        Change, ClusterDirectory, DirectoryError, DirectoryState, check_genesis, check_invite,
        read_document,
    },
    node::{Membership, OpenIdentity, open_identity},
};

/// Pin the federation that this node belongs to.
#[derive(Debug, Args)]
#[command(after_help = "\
A founder pins the genesis, which `exequatur cluster bootstrap` wrote at one of them. A node that comes
later pins an invite, which `exequatur cluster invite` made for its ticket at a running node.

Examples:
  exequatur cluster join --genesis genesis
  exequatur cluster join --invite node.invite")]
pub(in super::super) struct Join {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    document: Document,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Document {
    /// The genesis of the federation, for a founder.
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// An invite for this node.
    #[arg(long, value_name = "FILE")]
    invite: Option<PathBuf>,
}

#[derive(Serialize)]
struct Joined {
    node: String,
    genesis_sha256: String,
}

impl Join {
    pub(in super::super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        let configured = self.files.load()?;
        let membership = Membership::of(&configured).map_err(|e| CliError::local(&e))?;
        let seams = system_seams();
        let open = open_identity(&membership, &seams).map_err(|e| CliError::local(&e))?;
        refuse_second_pin(&open)?;
        let (settings, here) = (membership.federation(), open.node.ticket.description);
        let digest = match (&self.document.genesis, &self.document.invite) {
            (Some(path), _) => {
                let frame = read_document(path).map_err(|e| CliError::local(&e))?;
                check_genesis(&frame, settings, &here).map_err(|e| refused(path, &e))?;
                pin(&open, |directory| directory.pin_genesis(&frame, false))?
            }
            (None, Some(path)) => {
                let frame = read_document(path).map_err(|e| CliError::local(&e))?;
                let invite = check_invite(&frame, settings, here.node, seams.clock.now())
                    .map_err(|e| refused(path, &e))?;
                pin(&open, |directory| directory.pin_invite(&invite))?
            }
            (None, None) => {
                return Err(CliError::new(Exit::Local, "give --genesis or --invite"));
            }
        };
        let joined = Joined { node: here.node.to_string(), genesis_sha256: digest.to_string() };
        output.result(&joined, |out| {
            writeln!(out, "node {} belongs to genesis {}", joined.node, joined.genesis_sha256)
        })?;
        Ok(())
    }
}

fn refused(path: &Path, error: &dyn Display) -> CliError {
    CliError::new(Exit::Local, format_args!("`{}` is refused: {error}", path.display()))
}

/// Refuses to pin a second federation before anything else is judged.
pub(super) fn refuse_second_pin(open: &OpenIdentity) -> Result<(), CliError> {
    match open.pin {
        Some(pin) => Err(CliError::local(&DirectoryError::AlreadyPinned { genesis: pin.genesis })),
        None => Ok(()),
    }
}

/// Pins what was checked: in the directory first, then in the anchors.
pub(super) fn pin(
    open: &OpenIdentity,
    write: impl FnOnce(&ClusterDirectory) -> Result<Digest, DirectoryError>,
) -> Result<Digest, CliError> {
    let missing = open.anchors.missing().map_err(|e| CliError::local(&e))?;
    if let Some(anchor) = missing.first() {
        // Nothing was pinned, so there is nothing that a lost anchor could hide.
        let place = anchor.place();
        let text =
            format_args!("the anchor {place} is missing: run `exequatur init`, which makes it");
        return Err(CliError::new(Exit::Local, text));
    }
    let state = DirectoryState::Present(open.unstarted(None));
    open.anchors.examine(&state).map_err(|e| CliError::local(&e))?;
    let digest = write(&open.directory).map_err(|e| CliError::local(&e))?;
    let pinned = open.directory.pin().map_err(|e| CliError::local(&e))?;
    open.anchors
        .remember(&open.unstarted(pinned), Change::Promise)
        .map_err(|e| CliError::local(&e))?;
    Ok(digest)
}
