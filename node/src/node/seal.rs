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

/// The first digest key of a region.
pub const FIRST_DIGEST: &str = "digest1";
/// The first key that a region seals for itself with.
pub const FIRST_TRAILER: &str = "trailer1";
/// What `init` makes and a node does not start without.
pub(super) const SECRETS: [&str; 3] = [PAIRWISE, FIRST_DIGEST, FIRST_TRAILER];

const DIGEST: &str = "digest";
const TRAILER: &str = "trailer";
/// Versions that are looked for: keys of this kind are replaced once a year at most.
const VERSIONS_MAX: u16 = 32;

/// Name of a key that region `source` seals for region `reader` with, without its version.
pub(super) fn border(source: RegionNumber, reader: RegionNumber) -> String {
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
