//! The records of Raft, as they rest on disk and travel: log entries, votes, membership.

use serde::{Deserialize, Serialize};

use super::{
    Batch, Digest, EnvelopeError, KeyThumbprint, Kind, List,
    envelope::{self, BODY_BYTES_MAX},
    proposal::{read, write},
};
use crate::{membership::NodeId, region::RegionNumber, replicable};

/// Most nodes of a federation, voters and learners.
pub const NODES_MAX: usize = 128;
/// Most configurations at the same time: the old and the new one.
pub const CONFIGURATIONS_MAX: usize = 2;

replicable! {
    /// Names an entry: who led when it was made, and where it stands.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    pub struct LogId {
        /// The leader's term.
        pub term: u64,
        /// The leader.
        pub leader: NodeId,
        /// Position in the log, from 0.
        pub index: u64,
    }
}

replicable! {
    /// A vote that must survive a crash.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    pub struct Vote {
        /// The term.
        pub term: u64,
        /// For whom.
        pub node: NodeId,
        /// Whether a quorum granted it.
        pub committed: bool,
    }
}

replicable! {
    /// What a membership says about a node. It has no address: addresses stand in
    /// `federation.toml`.
    #[derive(
        Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
    )]
    pub struct Member {
        /// Its region.
        pub region: RegionNumber,
        /// Thumbprint of the node's identity key.
        pub key: KeyThumbprint,
    }
}

replicable! {
    /// Voters (two sets while they change) and all nodes.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Membership {
        /// Voters.
        pub configurations: List<List<NodeId, NODES_MAX>, CONFIGURATIONS_MAX>,
        /// Voters and learners, by ascending id.
        pub nodes: List<(NodeId, Member), NODES_MAX>,
    }
}

/// What a node's log says of itself, in one record, so that no part of it can be lost alone. It
/// rests beside the entries and never travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogState {
    /// Whose log it is.
    pub node: NodeId,
    /// How often the node has started.
    pub starts: u64,
    /// SHA-256 of the genesis frame, once it is pinned.
    pub genesis: Option<Digest>,
    /// The last vote.
    pub vote: Option<Vote>,
    /// The last entry that was known to be committed.
    pub committed: Option<LogId>,
    /// The last entry that was dropped at the front.
    pub purged: Option<LogId>,
    /// The last entry.
    pub last: Option<LogId>,
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its name.
    pub id: LogId,
    /// What it says.
    pub payload: EntryPayload,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryPayload {
    /// Nothing: a leader's first entry.
    Blank,
    /// Proposals.
    Batch(Batch),
    /// Who belongs to the federation's quorum.
    Membership(Membership),
}

impl LogEntry {
    /// The frame.
    #[must_use]
    pub fn seal(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(64);
        write(&mut body, &self.id);
        match &self.payload {
            EntryPayload::Blank => body.push(0),
            EntryPayload::Batch(batch) => {
                body.push(1);
                body.extend_from_slice(batch.sealed());
            }
            EntryPayload::Membership(membership) => {
                body.push(2);
                write(&mut body, membership);
            }
        }
        envelope::seal(Kind::LogEntry, &body)
    }

    /// Reads the frame.
    ///
    /// # Errors
    /// It is no frame of an entry, or holds anything but what an entry may.
    pub fn open(frame: &[u8]) -> Result<Self, EnvelopeError> {
        let body = envelope::open_only(frame, Kind::LogEntry, BODY_BYTES_MAX)?;
        let (id, rest) = read::<LogId>(body)?;
        let (tag, rest) = rest.split_first().ok_or(EnvelopeError::Body)?;
        let payload = match tag {
            0 if rest.is_empty() => EntryPayload::Blank,
            1 => EntryPayload::Batch(Batch::open(rest)?),
            2 => match read::<Membership>(rest)? {
                (membership, []) => EntryPayload::Membership(membership),
                _ => return Err(EnvelopeError::Body),
            },
            _ => return Err(EnvelopeError::Body),
        };
        let entry = Self { id, payload };
        if entry.seal() != frame {
            return Err(EnvelopeError::Body);
        }
        Ok(entry)
    }
}

impl LogState {
    /// The frame.
    #[must_use]
    pub fn seal(&self) -> Vec<u8> {
        envelope::seal_value(Kind::LogState, self)
    }

    /// Reads the frame.
    ///
    /// # Errors
    /// It is no frame of this kind, or not in its one form.
    pub fn open(frame: &[u8]) -> Result<Self, EnvelopeError> {
        envelope::open_value(Kind::LogState, frame)
    }
}

impl Vote {
    /// The frame.
    #[must_use]
    pub fn seal(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(24);
        write(&mut body, self);
        envelope::seal(Kind::Vote, &body)
    }

    /// Reads the frame.
    ///
    /// # Errors
    /// It is no frame of a vote.
    pub fn open(frame: &[u8]) -> Result<Self, EnvelopeError> {
        let body = envelope::open_only(frame, Kind::Vote, BODY_BYTES_MAX)?;
        match read::<Self>(body)? {
            (vote, []) if vote.seal() == frame => Ok(vote),
            _ => Err(EnvelopeError::Body),
        }
    }
}
