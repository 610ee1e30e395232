//! `exequatur keys`: replaces a region's secrets and hands keys from one region to another. Nothing
//! secret is ever written to standard output, or to a file in clear.

mod new;
mod offer;
mod share;
mod take;

use std::{fs::OpenOptions, io::Write as _, path::Path, sync::Arc};

use clap::Subcommand;

use super::{CliError, Exit, Output, run::system_seams};
use crate::{
    hsm::{KeyStore, Purpose, Signer},
    node::{Configured, IDENTITY_ALGORITHM, StartError, open_key_store},
};

/// Replace secrets, and share keys with another region.
#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Make the next version of a secret.
    New(new::New),
    /// Offer another region a public key, so that it can share a key with this one.
    Offer(offer::Offer),
    /// Make a key for what this region seals for another, and seal the key to its offer.
    Share(share::Share),
    /// Take over a key that another region shares.
    Take(take::Take),
}

impl Keys {
    pub(super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        match self {
            Self::New(new) => new.run(output),
            Self::Offer(offer) => offer.run(output),
            Self::Share(share) => share.run(output),
            Self::Take(take) => take.run(output),
        }
    }
}

fn key_store(configured: &Configured) -> Result<Arc<dyn KeyStore>, CliError> {
    let compiled = &configured.compiled;
    let (region, directory) = (&compiled.law.region, &configured.directory);
    open_key_store(region, &compiled.settings, directory, &system_seams())
        .map_err(|e| CliError::local(&e))
}

fn identity(store: &dyn KeyStore) -> Result<Arc<dyn Signer>, CliError> {
    let (purpose, algorithm) = (Purpose::Identity, IDENTITY_ALGORITHM);
    let missing = StartError::KeyMissing { purpose, algorithm: algorithm.as_str() };
    let found = store.find(purpose, algorithm).map_err(|e| CliError::local(&e))?;
    found.ok_or_else(|| CliError::local(&missing))
}

fn refuse_existing(path: &Path) -> Result<(), CliError> {
    if path.exists() { Err(unwritten(path, &"it is there already")) } else { Ok(()) }
}

fn write(path: &Path, document: &[u8]) -> Result<(), CliError> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = file.map_err(|error| unwritten(path, &error))?;
    file.write_all(document).and_then(|()| file.sync_all()).map_err(|error| unwritten(path, &error))
}

fn unwritten(path: &Path, why: &dyn std::fmt::Display) -> CliError {
    let text = format_args!("`{}` cannot be written: {why}: name another file", path.display());
    CliError::new(Exit::Local, text)
}

fn refused(path: &Path, why: &dyn std::fmt::Display) -> CliError {
    CliError::new(Exit::Local, format_args!("`{}` is refused: {why}", path.display()))
}
