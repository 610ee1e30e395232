//! Requests for votes and their answers.

use openraft::raft::{VoteRequest, VoteResponse};

use super::{
    WireError, proto,
    wire::{read_log_id, read_vote, wire_log_id, wire_vote},
};
use crate::consensus::TypeConfig;

/// The message of a request.
pub(crate) fn wire_ballot(request: &VoteRequest<TypeConfig>) -> proto::VoteRequest {
    proto::VoteRequest {
        vote: wire_vote(&request.vote),
        last: request.last_log_id.as_ref().map(wire_log_id),
        leadership_transfer: request.leadership_transfer,
    }
}

/// The request of a message.
///
/// # Errors
/// It is none.
pub(crate) fn read_ballot(
    message: &proto::VoteRequest,
) -> Result<VoteRequest<TypeConfig>, WireError> {
    let vote = read_vote("the candidate's vote", &message.vote)?;
    let mut request = VoteRequest::new(vote, read_log_id("the last entry", message.last)?);
    request.leadership_transfer = message.leadership_transfer;
    Ok(request)
}

/// The message of an answer.
pub(crate) fn wire_ballot_answer(answer: &VoteResponse<TypeConfig>) -> proto::VoteResponse {
    proto::VoteResponse {
        vote: wire_vote(&answer.vote),
        granted: answer.vote_granted,
        last: answer.last_log_id.as_ref().map(wire_log_id),
    }
}

/// The answer of a message.
///
/// # Errors
/// It is none.
pub(crate) fn read_ballot_answer(
    message: &proto::VoteResponse,
) -> Result<VoteResponse<TypeConfig>, WireError> {
    let vote = read_vote("the receiver's vote", &message.vote)?;
    let last = read_log_id("the last entry", message.last)?;
    Ok(VoteResponse::new(vote, last, message.granted))
}
