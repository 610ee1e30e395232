//! Requests to take over the lead and their answers.

use exequatur_federation::membership::NodeId;
use openraft::raft::{TransferLeaderError, TransferLeaderRequest, TransferLeaderResponse};

use super::{
    WireError, proto,
    proto::transfer_leader_response::Result as Answer,
    wire::{read_log_id, read_vote, required, wire_log_id, wire_vote},
};
use crate::consensus::{RaftId, TypeConfig};

/// The message of a request.
pub(crate) fn wire_transfer(
    request: &TransferLeaderRequest<TypeConfig>,
) -> proto::TransferLeaderRequest {
    proto::TransferLeaderRequest {
        from: wire_vote(request.from_leader()),
        to: request.to_node_id().0.bits(),
        last: request.last_log_id().map(wire_log_id),
    }
}

/// The request of a message.
///
/// # Errors
/// It is none.
pub(crate) fn read_transfer(
    message: &proto::TransferLeaderRequest,
) -> Result<TransferLeaderRequest<TypeConfig>, WireError> {
    let from = read_vote("the leader's vote", &message.from)?;
    let to = required("the next leader", NodeId::new(message.to))?;
    let last = read_log_id("the last entry", message.last)?;
    Ok(TransferLeaderRequest::new(from, RaftId(to), last))
}

/// The message of an answer; it names what the receiver has, because the sender knows what it
/// asked for.
pub(crate) fn wire_transfer_answer(
    answer: &TransferLeaderResponse<TypeConfig>,
) -> proto::TransferLeaderResponse {
    let answer = match answer {
        Ok(()) => Answer::Transferred(proto::Transferred {}),
        Err(TransferLeaderError::VoteChanged { actual, .. }) => {
            Answer::VoteChanged(wire_vote(actual))
        }
        Err(TransferLeaderError::LogNotFlushed { actual, .. }) => {
            Answer::NotFlushed(proto::NotFlushed { last: actual.as_ref().map(wire_log_id) })
        }
    };
    proto::TransferLeaderResponse { result: Some(answer) }
}

/// The answer of a message to `request`.
///
/// # Errors
/// It is none.
pub(crate) fn read_transfer_answer(
    message: proto::TransferLeaderResponse,
    request: &TransferLeaderRequest<TypeConfig>,
) -> Result<TransferLeaderResponse<TypeConfig>, WireError> {
    Ok(match required("the result of a transfer", message.result)? {
        Answer::Transferred(proto::Transferred {}) => Ok(()),
        Answer::VoteChanged(vote) => Err(TransferLeaderError::VoteChanged {
            expected: *request.from_leader(),
            actual: read_vote("the receiver's vote", &vote)?,
        }),
        Answer::NotFlushed(proto::NotFlushed { last }) => Err(TransferLeaderError::LogNotFlushed {
            expected: request.last_log_id().copied(),
            actual: read_log_id("the flushed entry", last)?,
        }),
    })
}
