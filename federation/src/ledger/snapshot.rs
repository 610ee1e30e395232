//! The ledger as bytes, for a snapshot: equal ledgers are equal bytes.
//!
//! Frames of [`super::envelope`], in this order: one [`Kind::SnapshotHead`] with the head, the
//! genesis digest that the ledger is pinned to and its running digest; one [`Kind::SnapshotTable`]
//! for each table, its number in two bytes and its rows in the order of their keys; for revocations
//! one table for each region that owns some; one [`Kind::SnapshotEnd`] with the SHA-256 of all bytes
//! before it. What is read is written again and compared, so that only what this module writes is
//! ever taken.

use std::sync::Arc;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Digest, EnvelopeError, Kind, LogId, Membership, Replicable,
    envelope::{self, BODY_BYTES_MAX},
    proposal::{read, write},
    state::{Owner, State},
};
use crate::{jose::sha256, membership::LEVELS, region::RegionNumber, replicable};

/// Largest table: the logs of 64 regions at every cap, each head cosigned by all others, stay below
/// it, and so does everything else.
pub const TABLE_BYTES_MAX: usize = 1 << 30;

replicable! {
    /// What consensus says about a snapshot.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    pub struct SnapshotHead {
        /// The last entry that is in it.
        pub last: Option<LogId>,
        /// The entry that set the membership.
        pub membership_at: Option<LogId>,
        /// The membership.
        pub membership: Membership,
    }
}

/// Why bytes are no snapshot of this ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// A frame is damaged or not the one that is due.
    #[error("the snapshot is damaged: {0}")]
    Envelope(#[from] EnvelopeError),
    /// The digest at the end is not that of what stands before it.
    #[error("the snapshot is damaged: its digest does not fit")]
    Digest,
    /// It holds what no ledger writes, or writes otherwise.
    #[error("the snapshot is not in the one form that a ledger has")]
    Form,
    /// It is of another federation.
    #[error(
        "the snapshot is of a ledger with genesis `{got}`, this node is pinned to `{expected}`"
    )]
    Genesis {
        /// What this node is pinned to.
        expected: Digest,
        /// What the snapshot says.
        got: Digest,
    },
    /// Its feature level is of a later release.
    #[error(
        "the snapshot is of feature level {got}, this program knows {} to {}: upgrade it",
        LEVELS.lowest, LEVELS.highest
    )]
    Level {
        /// The level.
        got: u16,
    },
}

/// Numbers of tables. Never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
enum Number {
    Federation = 1,
    Regions = 2,
    Gone = 3,
    Members = 4,
    Tombstones = 5,
    Windows = 6,
    Keys = 7,
    Logs = 8,
    Configs = 9,
    Pending = 10,
    Revocations = 11,
}

/// What a snapshot begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begin {
    /// What consensus says.
    pub head: SnapshotHead,
    /// SHA-256 of the pinned genesis frame.
    pub genesis: Digest,
    /// The running digest.
    pub digest: Digest,
}

/// Writes a snapshot.
pub(super) fn seal(begin: &Begin, state: &State) -> Vec<u8> {
    let mut out = envelope::seal_value(Kind::SnapshotHead, begin);
    table(&mut out, Number::Federation, &state.federation);
    table(&mut out, Number::Regions, &state.regions);
    table(&mut out, Number::Gone, &state.gone);
    table(&mut out, Number::Members, &state.members);
    table(&mut out, Number::Tombstones, &state.tombstones);
    table(&mut out, Number::Windows, &state.windows);
    table(&mut out, Number::Keys, &state.keys);
    table(&mut out, Number::Logs, &state.logs);
    table(&mut out, Number::Configs, &state.configs);
    table(&mut out, Number::Pending, &state.pending);
    for (region, owner) in state.revocations.iter() {
        table(&mut out, Number::Revocations, &(*region, Arc::clone(owner)));
    }
    let digest = sha256(&out);
    envelope::seal_into(&mut out, Kind::SnapshotEnd, &digest);
    out
}

/// Reads a snapshot of the ledger that `genesis` pins.
pub(super) fn open(bytes: &[u8], genesis: Digest) -> Result<(Begin, State), SnapshotError> {
    let body = whole(bytes)?;
    let (frame, rest) = envelope::open(body, BODY_BYTES_MAX)?;
    if frame.kind != Kind::SnapshotHead {
        return Err(EnvelopeError::Kind { got: frame.kind.number() }.into());
    }
    let begin: Begin = only(frame.body)?;
    if begin.genesis != genesis {
        return Err(SnapshotError::Genesis { expected: genesis, got: begin.genesis });
    }
    let mut tables = Tables { rest };
    let state = State {
        federation: tables.next(Number::Federation)?,
        regions: tables.next(Number::Regions)?,
        gone: tables.next(Number::Gone)?,
        members: tables.next(Number::Members)?,
        tombstones: tables.next(Number::Tombstones)?,
        windows: tables.next(Number::Windows)?,
        keys: tables.next(Number::Keys)?,
        logs: tables.next(Number::Logs)?,
        configs: tables.next(Number::Configs)?,
        pending: tables.next(Number::Pending)?,
        revocations: tables.owners()?,
    };
    if let Some(federation) = &state.federation
        && !LEVELS.contains(federation.level)
    {
        return Err(SnapshotError::Level { got: federation.level });
    }
    // One state has one text; whatever is written otherwise was not written by a ledger.
    if seal(&begin, &state) != bytes {
        return Err(SnapshotError::Form);
    }
    Ok((begin, state))
}

/// What stands before the end, if the end is there and fits.
fn whole(bytes: &[u8]) -> Result<&[u8], SnapshotError> {
    const END_BYTES: usize = envelope::FRAME_BYTES + 32;
    let at = bytes.len().checked_sub(END_BYTES).ok_or(EnvelopeError::Truncated)?;
    let (body, end) = bytes.split_at_checked(at).ok_or(EnvelopeError::Truncated)?;
    let digest = envelope::open_only(end, Kind::SnapshotEnd, 32)?;
    if digest != sha256(body) {
        return Err(SnapshotError::Digest);
    }
    Ok(body)
}

fn table<T: Serialize + Replicable>(out: &mut Vec<u8>, number: Number, rows: &T) {
    let mut body = (number as u16).to_be_bytes().to_vec();
    write(&mut body, rows);
    envelope::seal_into(out, Kind::SnapshotTable, &body);
}

struct Tables<'a> {
    rest: &'a [u8],
}

impl Tables<'_> {
    fn next<T: DeserializeOwned>(&mut self, number: Number) -> Result<T, SnapshotError> {
        let (frame, rest) = envelope::open(self.rest, TABLE_BYTES_MAX)?;
        if frame.kind != Kind::SnapshotTable {
            return Err(EnvelopeError::Kind { got: frame.kind.number() }.into());
        }
        let (got, rows) = frame.body.split_first_chunk::<2>().ok_or(SnapshotError::Form)?;
        if *got != (number as u16).to_be_bytes() {
            return Err(SnapshotError::Form);
        }
        self.rest = rest;
        only(rows)
    }

    fn owners(&mut self) -> Result<super::state::Table<RegionNumber, Arc<Owner>>, SnapshotError> {
        let mut owners = std::collections::BTreeMap::new();
        while !self.rest.is_empty() {
            let (region, mut owner): (RegionNumber, Owner) = self.next(Number::Revocations)?;
            owner.indexes = owner.count();
            owners.insert(region, Arc::new(owner));
        }
        Ok(Arc::new(owners))
    }
}

fn only<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, SnapshotError> {
    match read(bytes)? {
        (value, []) => Ok(value),
        _ => Err(SnapshotError::Form),
    }
}
