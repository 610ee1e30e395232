//! The secrets that trailers are sealed and digests are made with, as the key store names them:
//! `digest1`, `trailer1`, `border1_2_1`, each with its version at the end. The newest version seals
//! and makes digests, all of them open and are compared with.

use std::collections::BTreeMap;

use exequatur_federation::{
    law::Law,
    region::RegionNumber,
    seal::{DigestKey, KeyVersion, ReaderKey, SealKeys, Versions},
};

use super::{PAIRWISE, StartError};
use crate::hsm::{KeyStore, KeyStoreError, Secret32};

/// Name of the keys that digests are made with, without the version.
pub const DIGEST: &str = "digest";
/// Name of the keys that a region seals for itself with, without the version.
pub const TRAILER: &str = "trailer";
/// Name of the private key that other regions seal keys to.
pub const OFFERED: &str = "hpke1";

const FIRST_DIGEST: &str = "digest1";
const FIRST_TRAILER: &str = "trailer1";
/// What `init` makes and a node does not start without.
pub(super) const SECRETS: [&str; 3] = [PAIRWISE, FIRST_DIGEST, FIRST_TRAILER];

/// Versions that are looked for: keys of this kind are replaced once a year at most.
const VERSIONS_MAX: u16 = 32;

/// Name of a key that region `source` seals for region `reader` with, without its version.
#[must_use]
pub fn border(source: RegionNumber, reader: RegionNumber) -> String {
    format!("border{source}_{reader}_")
}

/// Reads every key that the law needs, and every other that is there.
pub(super) fn seal_keys(store: &dyn KeyStore, law: &Law) -> Result<SealKeys, StartError> {
    let missing = |name| StartError::SecretMissing { name };
    let digest = versions(store, DIGEST, DigestKey::new)?.ok_or(missing(FIRST_DIGEST))?;
    let own = versions(store, TRAILER, ReaderKey::new)?.ok_or(missing(FIRST_TRAILER))?;
    let mut keys = SealKeys {
        region: law.region_number(),
        digest,
        own,
        to: BTreeMap::new(),
        from: BTreeMap::new(),
    };
    let Some(here) = keys.region else { return Ok(keys) };
    for other in law.region_numbers.values().filter(|number| **number != here) {
        if let Some(found) = versions(store, &border(here, *other), ReaderKey::new)? {
            keys.to.insert(*other, found);
        }
        if let Some(found) = versions(store, &border(*other, here), ReaderKey::new)? {
            keys.from.insert(*other, found);
        }
    }
    match law.foreign_readers().into_iter().find(|(number, _)| !keys.to.contains_key(number)) {
        Some((_, reader)) => Err(StartError::BorderKeyMissing { reader }),
        None => Ok(keys),
    }
}

/// The newest version of a secret, with its value.
///
/// # Errors
/// The key store does not answer.
pub fn newest_version(
    store: &dyn KeyStore,
    name: &str,
) -> Result<Option<(KeyVersion, Secret32)>, KeyStoreError> {
    for version in (1..=VERSIONS_MAX).rev().filter_map(KeyVersion::new) {
        if let Some(secret) = store.secret(&format!("{name}{version}"))? {
            return Ok(Some((version, secret)));
        }
    }
    Ok(None)
}

/// The version that follows, with the whole name of its secret.
///
/// # Errors
/// The key store does not answer, or there are as many as there may be.
pub fn next_version(
    store: &dyn KeyStore,
    name: &str,
) -> Result<(KeyVersion, String), KeyStoreError> {
    let newest = newest_version(store, name)?.map_or(0, |(version, _)| version.number());
    let next = KeyVersion::new(newest.saturating_add(1)).filter(|v| v.number() <= VERSIONS_MAX);
    let version =
        next.ok_or_else(|| KeyStoreError::AlreadyExists { key: format!("{name}{newest}") })?;
    Ok((version, format!("{name}{version}")))
}

fn versions<K>(
    store: &dyn KeyStore,
    name: &str,
    key: fn(&[u8; 32]) -> K,
) -> Result<Option<Versions<K>>, KeyStoreError> {
    let mut found = BTreeMap::new();
    for version in (1..=VERSIONS_MAX).filter_map(KeyVersion::new) {
        let secret: Option<Secret32> = store.secret(&format!("{name}{version}"))?;
        if let Some(secret) = secret {
            found.insert(version, key(secret.expose()));
        }
    }
    Ok(Versions::new(found))
}
