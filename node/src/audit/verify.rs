//! Recomputes a log from its records and compares it with the tree that is stored, page by page.
//!
//! A changed record is named. Where a record was replaced together with its leaf, the tree tells
//! among which records it is. That the stored tree itself is the one that other regions witnessed
//! is another check.

use std::ops::Range;

use exequatur_federation::audit::{Frontier, LeafError};

use super::Head;
use crate::store::{PAGE_RECORDS_MAX, Store, StoreError};

/// A log that is what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedLog {
    /// The tree that records and database agree on.
    pub head: Head,
    /// Records whose personal part was erased, or that never had one.
    pub without_personal: u64,
}

/// The first thing that is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The database cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A number is not there.
    #[error("record {seq} is missing")]
    Missing {
        /// The number.
        seq: u64,
    },
    /// A record changed.
    #[error("record {seq} was changed")]
    Changed {
        /// Its number.
        seq: u64,
        /// Which part.
        source: LeafError,
    },
    /// Records and leaves agree, but not with the tree.
    #[error("a record from {} up to, not including, {} was replaced", among.start, among.end)]
    Replaced {
        /// Where the first replaced record is.
        among: Range<u64>,
    },
    /// A record stands outside of the tree.
    #[error("record {seq} was added beside the tree")]
    Added {
        /// Its number.
        seq: u64,
    },
}

/// Verifies this node's log up to the size that it has now; it may grow meanwhile.
///
/// # Errors
/// The first thing that is wrong.
pub async fn verify(store: &dyn Store) -> Result<VerifiedLog, VerifyError> {
    let stored = store.audit_tail().await?;
    let mut computed = Frontier::empty();
    let mut without_personal = 0;
    while computed.size() < stored.size() {
        let left = stored.size() - computed.size();
        let limit = u32::try_from(left).unwrap_or(PAGE_RECORDS_MAX);
        let page = store.audit_page(computed.size(), limit).await?;
        if page.is_empty() {
            return Err(VerifyError::Missing { seq: computed.size() });
        }
        for record in page {
            if record.seq != computed.size() {
                return Err(VerifyError::Missing { seq: computed.size() });
            }
            let seq = record.seq;
            record.sealed.verify().map_err(|source| VerifyError::Changed { seq, source })?;
            without_personal += u64::from(record.sealed.personal.is_none());
            computed.push(record.sealed.leaf);
        }
    }
    if let Some(among) = stored.first_difference(&computed) {
        return Err(VerifyError::Replaced { among });
    }
    nothing_beside_the_tree(store, stored.size()).await?;
    Ok(VerifiedLog { head: Head::from(&computed), without_personal })
}

/// A record after the end is either newer than our reading of the end, or does not belong there.
async fn nothing_beside_the_tree(store: &dyn Store, size: u64) -> Result<(), VerifyError> {
    let Some(next) = store.audit_page(size, 1).await?.pop() else { return Ok(()) };
    if next.seq < store.audit_tail().await?.size() {
        return Ok(());
    }
    Err(VerifyError::Added { seq: next.seq })
}
