//! `exequatur keys offer`: a public key that another region seals keys to.

use std::path::PathBuf;

use clap::Args;
use exequatur_federation::seal::Offering;
use serde::Serialize;

use super::{
    super::{CliError, Files, Output, run::runtime},
    identity, key_store, refuse_existing, write,
};
use crate::{
    identity::{draw_offered, federation_digest, make_offer, offered_key},
    node::{Membership, OFFERED},
};

/// Offer another region a public key.
#[derive(Debug, Args)]
#[command(after_help = "\
The file holds no secret. Carry it to the region that is to share a key with this one, and there run
`exequatur keys share`. One offer serves for every region.

Example:
  exequatur keys offer --out us-east.offer --config region.toml")]
pub(in super::super) struct Offer {
    /// File to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    files: Files,
}

#[derive(Serialize)]
struct Offered {
    region: String,
    offer: PathBuf,
}

impl Offer {
    pub(in super::super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        refuse_existing(&self.out)?;
        let configured = self.files.load()?;
        let membership = Membership::of(&configured).map_err(|e| CliError::local(&e))?;
        let store = key_store(&configured)?;
        let signer = identity(store.as_ref())?;
        let secret = match store.secret(OFFERED).map_err(|e| CliError::local(&e))? {
            Some(secret) => secret,
            None => {
                let secret = draw_offered().map_err(|e| CliError::local(&e))?;
                store.keep_secret(OFFERED, &secret).map_err(|e| CliError::local(&e))?;
                secret
            }
        };
        let offering = Offering {
            federation: federation_digest(&membership.federation().name),
            region: membership.number,
            key: offered_key(&secret).map_err(|e| CliError::local(&e))?,
        };
        let offer = runtime()?
            .block_on(make_offer(signer.as_ref(), offering))
            .map_err(|e| CliError::local(&e))?;
        write(&self.out, &offer.seal())?;
        let region = configured.compiled.law.region.to_string();
        let offered = Offered { region, offer: self.out.clone() };
        output.result(&offered, |out| {
            writeln!(out, "the offer of `{}` is in `{}`", offered.region, offered.offer.display())?;
            writeln!(out, "in the region that is to share a key with it, run")?;
            writeln!(out, "  exequatur keys share FILE --out KEY_FILE")
        })?;
        Ok(())
    }
}
