//! What all messages between nodes have in common: frames in fields, names of entries, and how a
//! message is found not to be one.

use bytes::Bytes;
use exequatur_federation::{
    ledger::{EnvelopeError, Kind, LogId, Vote},
    membership::NodeId,
};
use openraft::alias::{LogIdOf, VoteOf};

use super::{from_log_id, from_vote, proto, to_log_id, to_vote};
use crate::consensus::TypeConfig;

/// Why a message is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    /// It is of a later release; whoever skipped it would have another ledger than the others.
    #[error("{what}: {error}: it is of a later release than this node")]
    Later {
        /// What of the message.
        what: &'static str,
        /// Which kind or format it is.
        error: EnvelopeError,
    },
    /// A frame is none.
    #[error("{what}: {error}")]
    Frame {
        /// What of the message.
        what: &'static str,
        /// Why.
        error: EnvelopeError,
    },
    /// A field is missing, or has a value that it cannot have.
    #[error("{what} is missing or has no value that it may have")]
    Field {
        /// What of the message.
        what: &'static str,
    },
}

impl WireError {
    /// Tells what is of a later release from what is broken. Another format is broken: it is read
    /// before the checksum, and no text's first letter may stop a node. A format comes with a
    /// feature level, which the greeting asks for.
    pub(super) fn of(what: &'static str, error: EnvelopeError) -> Self {
        match error {
            EnvelopeError::Kind { got } if Kind::from_number(got).is_none() => {
                Self::Later { what, error }
            }
            EnvelopeError::Kind { .. }
            | EnvelopeError::Format { .. }
            | EnvelopeError::Checksum
            | EnvelopeError::Size { .. }
            | EnvelopeError::Truncated
            | EnvelopeError::Trailing
            | EnvelopeError::Body => Self::Frame { what, error },
        }
    }
}

pub(super) fn wire_vote(vote: &VoteOf<TypeConfig>) -> Bytes {
    from_vote(vote).seal().into()
}

pub(super) fn read_vote(what: &'static str, frame: &[u8]) -> Result<VoteOf<TypeConfig>, WireError> {
    Vote::open(frame).map(|vote| to_vote(&vote)).map_err(|error| WireError::of(what, error))
}

pub(super) fn wire_log_id(id: &LogIdOf<TypeConfig>) -> proto::LogId {
    let LogId { term, leader, index } = from_log_id(id);
    proto::LogId { term, leader: leader.bits(), index }
}

pub(super) fn read_log_id(
    what: &'static str,
    id: Option<proto::LogId>,
) -> Result<Option<LogIdOf<TypeConfig>>, WireError> {
    id.map(|id| {
        let leader = NodeId::new(id.leader).ok_or(WireError::Field { what })?;
        Ok(to_log_id(&LogId { term: id.term, leader, index: id.index }))
    })
    .transpose()
}

pub(super) fn required<T>(what: &'static str, field: Option<T>) -> Result<T, WireError> {
    field.ok_or(WireError::Field { what })
}
