//! `exequatur keys take`: takes over a key that another region shares with this one.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::{
    super::{CliError, Exit, Files, Output},
    key_store, refused,
};
use crate::{
    identity::{HandoverError, check_share, open_share, read_document},
    node::{Membership, OFFERED, border},
};

/// Take over a key that another region shares.
#[derive(Debug, Args)]
#[command(after_help = "\
The file comes from `exequatur keys share` in the other region, made for this region's offer. Give every node
of this region the same secrets and restart them before the nodes there are restarted. A file that was taken
over before changes nothing.

Example:
  exequatur keys take eu-us.key --config region.toml")]
pub(in super::super) struct Take {
    /// The file that the other region made.
    key: PathBuf,
    #[command(flatten)]
    files: Files,
}

#[derive(Serialize)]
struct Taken {
    region: String,
    secret: String,
    /// False if it was there before.
    taken: bool,
}

impl Take {
    pub(in super::super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        let configured = self.files.load()?;
        let membership = Membership::of(&configured).map_err(|e| CliError::local(&e))?;
        let frame = read_document(&self.key).map_err(|e| CliError::local(&e))?;
        let (handover, source) = check_share(&frame, membership.federation(), membership.number)
            .map_err(|e| refused(&self.key, &e))?;
        let store = key_store(&configured)?;
        let offered = store.secret(OFFERED).map_err(|e| CliError::local(&e))?;
        let offered = offered.ok_or_else(|| refused(&self.key, &HandoverError::OtherOffer))?;
        let secret = open_share(&handover, &offered).map_err(|e| refused(&self.key, &e))?;
        let route = handover.route;
        let name = format!("{}{}", border(route.source, route.reader), route.version);
        let present = store.secret(&name).map_err(|e| CliError::local(&e))?;
        let taken = match present {
            None => {
                store.keep_secret(&name, &secret).map_err(|e| CliError::local(&e))?;
                true
            }
            Some(present) if present.expose() == secret.expose() => false,
            Some(_) => {
                let text = format_args!(
                    "the key store has another `{name}`: have `{source}` share a new one with \
                     `exequatur keys share --renew`"
                );
                return Err(CliError::new(Exit::Local, text));
            }
        };
        let done = Taken { region: source.to_string(), secret: name, taken };
        output.result(&done, |out| {
            let what = if done.taken { "took over" } else { "had" };
            writeln!(out, "{what} secret {} of `{}`", done.secret, done.region)
        })?;
        Ok(())
    }
}
