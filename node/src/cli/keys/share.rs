//! `exequatur keys share`: a key for what this region seals for another, sealed to its offer.

use std::path::PathBuf;

use clap::Args;
use exequatur_federation::seal::{KeyVersion, Route};
use serde::Serialize;

use super::{
    super::{CliError, Exit, Files, Output, run::runtime},
    identity, key_store, refuse_existing, refused, write,
};
use crate::{
    identity::{check_offer, federation_digest, make_share, read_document, seal_to},
    node::{Membership, border, newest_version, next_version},
};

/// Share a key with another region.
#[derive(Debug, Args)]
#[command(after_help = "\
A region that stands in `introspect_in` of a resource reads what is sealed for it in the resource's tokens
with a key of its own. This makes the key, unless there is one, and writes it to a file that only that region
opens. Take it over there first, then restart the nodes here: they seal with it from then on.

Example:
  exequatur keys share us-east.offer --out eu-us.key --config region.toml")]
pub(in super::super) struct Share {
    /// The other region's offer, from `exequatur keys offer`.
    offer: PathBuf,
    /// File to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Make a new version of the key although there is one.
    #[arg(long)]
    renew: bool,
    #[command(flatten)]
    files: Files,
}

#[derive(Serialize)]
struct Shared {
    region: String,
    secret: String,
    made: bool,
    key: PathBuf,
}

impl Share {
    pub(in super::super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        refuse_existing(&self.out)?;
        let configured = self.files.load()?;
        let membership = Membership::of(&configured).map_err(|e| CliError::local(&e))?;
        let (settings, here) = (membership.federation(), membership.number);
        let frame = read_document(&self.offer).map_err(|e| CliError::local(&e))?;
        let (offering, reader) =
            check_offer(&frame, settings, here).map_err(|e| refused(&self.offer, &e))?;
        let store = key_store(&configured)?;
        let signer = identity(store.as_ref())?;
        let name = border(here, offering.region);
        let newest = newest_version(store.as_ref(), &name).map_err(|e| CliError::local(&e))?;
        let kept = newest.filter(|_| !self.renew);
        let made = kept.is_none();
        let (version, secret): (KeyVersion, _) = match kept {
            Some(kept) => kept,
            None => {
                let (version, name) =
                    next_version(store.as_ref(), &name).map_err(|e| CliError::local(&e))?;
                (version, store.create_secret(&name).map_err(|e| CliError::local(&e))?)
            }
        };
        let route = Route {
            federation: federation_digest(&settings.name),
            source: here,
            reader: offering.region,
            version: version.number(),
            offered: offering.digest(),
        };
        let handover = seal_to(&offering, route, &secret).map_err(|e| refused(&self.offer, &e))?;
        let share = runtime()?
            .block_on(make_share(signer.as_ref(), handover))
            .map_err(|e| CliError::new(Exit::Local, e))?;
        write(&self.out, &share.seal())?;
        let shared = Shared {
            region: reader.to_string(),
            secret: format!("{name}{version}"),
            made,
            key: self.out.clone(),
        };
        output.result(&shared, |out| {
            if shared.made {
                writeln!(out, "made secret {}", shared.secret)?;
            }
            writeln!(
                out,
                "it is in `{}`, sealed for `{}`: there run",
                shared.key.display(),
                shared.region
            )?;
            writeln!(out, "  exequatur keys take FILE")?;
            writeln!(out, "and restart the nodes there, then those here")
        })?;
        Ok(())
    }
}
