//! The keys that a region seals and opens trailers with, and the claim `exq` that carries them.
//!
//! `exq` is an array of texts, one block each in base64url: the first for the issuing region itself,
//! then one for each region that may be asked about the token, by ascending number.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    BLOCK_BYTES, DigestKey, KeyVersion, OpenError, ReaderKey, TokenName, Trailer, block::Head,
};
use crate::{
    jose::{base64url, from_base64url},
    region::RegionNumber,
};

/// The claim that carries sealed trailers.
pub const SEALED_CLAIM: &str = "exq";
/// How the name of every private member begins: none of them is for anybody but the regions.
pub const PRIVATE_PREFIX: &str = "exq";
/// Most regions beside the issuing one that may be asked about a token: each takes 200 bytes of
/// the 2 KiB that a token may have.
pub const FOREIGN_READERS_MAX: usize = 4;

/// Keys of one purpose by their version, at least one.
#[derive(Clone, Debug)]
pub struct Versions<K> {
    newest: (KeyVersion, K),
    older: BTreeMap<KeyVersion, K>,
}

/// The keys of a region.
#[derive(Clone, Debug)]
pub struct SealKeys {
    /// The region's number; `None` for a region alone that has none.
    pub region: Option<RegionNumber>,
    /// Its digest keys.
    pub digest: Versions<DigestKey>,
    /// What it seals for itself.
    pub own: Versions<ReaderKey>,
    /// What it seals for other regions, by reader.
    pub to: BTreeMap<RegionNumber, Versions<ReaderKey>>,
    /// What other regions seal for it, by source.
    pub from: BTreeMap<RegionNumber, Versions<ReaderKey>>,
}

/// Why no trailer is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// There is no key for a reader.
    #[error(
        "there is no key to seal a trailer for region {reader} with: `exequatur keys share` makes it"
    )]
    KeyMissing {
        /// The reader.
        reader: RegionNumber,
    },
    /// The cryptographic library failed.
    #[error("a trailer could not be sealed")]
    Failed,
}

impl<K> Versions<K> {
    /// Keys by version; `None` if there is none.
    #[must_use]
    pub fn new(mut keys: BTreeMap<KeyVersion, K>) -> Option<Self> {
        let newest = keys.pop_last()?;
        Some(Self { newest, older: keys })
    }

    /// A key without others.
    #[must_use]
    pub const fn only(key: K) -> Self {
        Self { newest: (KeyVersion::FIRST, key), older: BTreeMap::new() }
    }

    /// The newest: what is made anew is made with it.
    #[must_use]
    pub const fn newest(&self) -> (KeyVersion, &K) {
        (self.newest.0, &self.newest.1)
    }

    /// The key of a version.
    #[must_use]
    pub fn find(&self, version: KeyVersion) -> Option<&K> {
        if version == self.newest.0 { Some(&self.newest.1) } else { self.older.get(&version) }
    }

    /// All keys, the newest first: a digest that was made with an older one is still in force.
    pub fn all(&self) -> impl Iterator<Item = &K> {
        std::iter::once(&self.newest.1).chain(self.older.values().rev())
    }
}

impl SealKeys {
    /// Seals the trailers of a token: `own` for this region, each of `others` for its reader, whose
    /// key must be there. Returns the claim `exq`.
    ///
    /// # Errors
    /// A key is missing, or the cryptographic library failed.
    pub fn seal(
        &self,
        token: TokenName<'_>,
        own: &Trailer,
        others: &BTreeMap<RegionNumber, Trailer>,
    ) -> Result<Value, SealError> {
        let mut blocks = vec![sealed(self.region, &self.own, (token, own))?];
        for (reader, trailer) in others {
            let keys = self.to.get(reader).ok_or(SealError::KeyMissing { reader: *reader })?;
            blocks.push(sealed(Some(*reader), keys, (token, trailer))?);
        }
        Ok(Value::Array(blocks))
    }

    /// Opens what the claim `exq` of a token that this region issued holds for it.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(&self, token: TokenName<'_>, claim: Option<&Value>) -> Result<Trailer, OpenError> {
        opened(self.region, Some(&self.own), (token, claim))
    }

    /// Opens what the claim `exq` of a token that another region issued holds for this one.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_from(
        &self,
        source: RegionNumber,
        token: TokenName<'_>,
        claim: Option<&Value>,
    ) -> Result<Trailer, OpenError> {
        if self.region.is_none() {
            return Err(OpenError::NotForThisRegion);
        }
        opened(self.region, self.from.get(&source), (token, claim))
    }
}

/// A claim of so many blocks that say nothing: as long as one that does.
pub(crate) fn empty_claim(blocks: usize) -> Value {
    Value::Array(vec![Value::String(base64url(&[0; BLOCK_BYTES])); blocks])
}

fn sealed(
    reader: Option<RegionNumber>,
    keys: &Versions<ReaderKey>,
    (token, trailer): (TokenName<'_>, &Trailer),
) -> Result<Value, SealError> {
    let (version, key) = keys.newest();
    let head = Head { reader, key: version };
    let block = key.seal(head, token, trailer).ok_or(SealError::Failed)?;
    Ok(Value::String(base64url(&block)))
}

fn opened(
    reader: Option<RegionNumber>,
    keys: Option<&Versions<ReaderKey>>,
    (token, claim): (TokenName<'_>, Option<&Value>),
) -> Result<Trailer, OpenError> {
    let blocks = claim.ok_or(OpenError::Missing)?.as_array().ok_or(OpenError::Malformed)?;
    if blocks.len() > 1 + FOREIGN_READERS_MAX {
        return Err(OpenError::Malformed);
    }
    for block in blocks {
        let bytes = block.as_str().and_then(from_base64url).ok_or(OpenError::Malformed)?;
        let version = *bytes.first().ok_or(OpenError::Malformed)?;
        Head::check_version(version)?;
        let block = <[u8; BLOCK_BYTES]>::try_from(bytes).map_err(|_| OpenError::Malformed)?;
        let head = Head::of(&block)?;
        if head.reader == reader {
            let key = keys.and_then(|keys| keys.find(head.key));
            let key = key.ok_or(OpenError::KeyUnknown { version: head.key })?;
            return key.open(token, &block);
        }
    }
    Err(OpenError::NotForThisRegion)
}
