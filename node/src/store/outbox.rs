//! Rows of the outbox: revocations of this region that the federation holds, or is still to hold.

use exequatur_federation::{
    ledger::{Command, Proposal, Revoke},
    time::UnixTime,
};

/// Rows in one answer: at some 120 bytes a row, half a megabyte.
pub const OUTBOX_PAGE: u32 = 4_096;

/// What names a row: the random receipt of the request, and the row's place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutboxKey {
    /// 128 random bits; whoever asked is given them.
    pub receipt: [u8; 16],
    /// Which of the request's revocations, from 0.
    pub position: u32,
}

/// Who sends a row, and until when nobody else does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The node's id.
    pub holder: u64,
    /// It holds up to this second, included.
    pub until: UnixTime,
}

/// A revocation to be saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its name.
    pub key: OutboxKey,
    /// The revocation, with the node that asked for it. It names nobody.
    pub proposal: Proposal,
    /// What is revoked, which stands in the proposal.
    pub revoke: Revoke,
    /// When it was asked for.
    pub created_at: UnixTime,
    /// Who sends it.
    pub lease: Lease,
}

/// A row as it was read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredRow {
    /// Its name.
    pub key: OutboxKey,
    /// What is revoked.
    pub revoke: Revoke,
    /// How far it is.
    pub state: OutboxState,
}

/// How far a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutboxState {
    /// It is to be sent.
    Pending,
    /// The federation holds it, since this entry.
    Committed {
        /// Index of the entry.
        index: u64,
    },
    /// The federation refused it, when this entry was the last that the sender had applied.
    Rejected {
        /// Index of the entry.
        index: u64,
    },
}

/// Which rows are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outstanding {
    /// Only after this one.
    pub after: Option<OutboxKey>,
    /// Also what was committed after this entry; `None` leaves everything out that was committed.
    pub beyond: Option<u64>,
    /// Without what has expired before.
    pub now: UnixTime,
}

/// Which rows a node takes over to send them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The new lease.
    pub lease: Lease,
    /// The time: leases that ended before are over.
    pub now: UnixTime,
    /// Also the rows that the holder has leased itself, as after a start.
    pub own: bool,
    /// At most so many.
    pub limit: u32,
}

impl OutboxRow {
    /// The row of a proposal; `None` unless it is one of a revocation.
    #[must_use]
    pub fn new(key: OutboxKey, proposal: Proposal, lease: Lease) -> Option<Self> {
        let Command::Revoke(revoke) = &proposal.command else { return None };
        let (revoke, created_at) = (*revoke, proposal.header.proposed_at);
        Some(Self { key, proposal, revoke, created_at, lease })
    }
}

impl OutboxState {
    pub(super) const fn columns(self) -> (i64, Option<u64>) {
        match self {
            Self::Pending => (0, None),
            Self::Committed { index } => (1, Some(index)),
            Self::Rejected { index } => (2, Some(index)),
        }
    }
}
