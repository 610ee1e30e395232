//! Appends and their answers.

use exequatur_federation::ledger::{LogEntry, TooMany};
use openraft::{
    alias::LogIdOf,
    entry::RaftEntry as _,
    raft::{AppendEntriesRequest, AppendEntriesResponse, StreamAppendError, StreamAppendResult},
};

use super::{
    WireError, from_entry, proto,
    proto::append_response::Result as Answer,
    to_entry,
    wire::{read_log_id, read_vote, required, wire_log_id, wire_vote},
};
use crate::consensus::TypeConfig;

/// Most entries of one append. With the largest entry, under 17 KiB, an append is under 2.2 MiB and
/// always fits a message of 4 MiB.
pub const ENTRIES_MAX: usize = 128;

/// The message of an append.
///
/// # Errors
/// An entry has no record.
pub(crate) fn wire_append(
    request: &AppendEntriesRequest<TypeConfig>,
) -> Result<proto::AppendRequest, TooMany> {
    let seal = |entry| from_entry(entry).map(|entry| entry.seal().into());
    Ok(proto::AppendRequest {
        vote: wire_vote(&request.vote),
        previous: request.prev_log_id.as_ref().map(wire_log_id),
        entries: request.entries.iter().map(seal).collect::<Result<_, _>>()?,
        committed: request.leader_commit.as_ref().map(wire_log_id),
    })
}

/// The append of a message: every entry is one that this node knows, they follow each other without
/// a gap, and none is newer than the leader.
///
/// # Errors
/// It is none.
pub(crate) fn read_append(
    message: &proto::AppendRequest,
) -> Result<AppendEntriesRequest<TypeConfig>, WireError> {
    let too_many = WireError::Field { what: "number of entries" };
    let out_of_order = WireError::Field { what: "order of the entries" };
    if message.entries.len() > ENTRIES_MAX {
        return Err(too_many);
    }
    let vote = read_vote("the leader's vote", &message.vote)?;
    let prev_log_id = read_log_id("the previous entry", message.previous)?;
    let mut entries = Vec::with_capacity(message.entries.len());
    let mut before = prev_log_id;
    for frame in &message.entries {
        let record = LogEntry::open(frame).map_err(|error| WireError::of("an entry", error))?;
        let membership = WireError::Field { what: "the membership in an entry" };
        let entry = to_entry(&record).map_err(|_| membership)?;
        let id = entry.log_id();
        let follows = before.map_or(id.index == 0, |before| {
            before.index.checked_add(1) == Some(id.index)
                && before.committed_leader_id() <= id.committed_leader_id()
        });
        if !follows || vote.leader_id() < id.committed_leader_id() {
            return Err(out_of_order);
        }
        before = Some(id);
        entries.push(entry);
    }
    let leader_commit = read_log_id("the committed entry", message.committed)?;
    Ok(AppendEntriesRequest { vote, prev_log_id, entries, leader_commit })
}

/// The last entry that a receiver has when it has accepted the whole append.
pub(crate) fn last_of(request: &AppendEntriesRequest<TypeConfig>) -> Option<LogIdOf<TypeConfig>> {
    request.entries.last().map(|entry| entry.log_id()).or(request.prev_log_id)
}

/// The answer to one append of a stream.
pub(crate) fn wire_append_result(result: &StreamAppendResult<TypeConfig>) -> proto::AppendResponse {
    let answer = match result {
        Ok(last) => Answer::Accepted(proto::Accepted { last: last.as_ref().map(wire_log_id) }),
        Err(StreamAppendError::Conflict(at)) => Answer::Conflict(wire_log_id(at)),
        Err(StreamAppendError::HigherVote(vote)) => Answer::HigherVote(wire_vote(vote)),
    };
    proto::AppendResponse { result: Some(answer) }
}

/// What an answer says.
///
/// # Errors
/// It is none.
pub(crate) fn read_append_result(
    message: proto::AppendResponse,
) -> Result<StreamAppendResult<TypeConfig>, WireError> {
    Ok(match required("the result of an append", message.result)? {
        Answer::Accepted(accepted) => Ok(read_log_id("the accepted entry", accepted.last)?),
        Answer::Conflict(at) => {
            let what = "the conflicting entry";
            Err(StreamAppendError::Conflict(required(what, read_log_id(what, Some(at))?)?))
        }
        Answer::HigherVote(vote) => {
            Err(StreamAppendError::HigherVote(read_vote("the higher vote", &vote)?))
        }
    })
}

/// The answer to a single append, as the answer to one of a stream.
pub(crate) fn to_stream_result(
    answer: &AppendEntriesResponse<TypeConfig>,
    previous: Option<LogIdOf<TypeConfig>>,
    last: Option<LogIdOf<TypeConfig>>,
) -> Option<StreamAppendResult<TypeConfig>> {
    Some(match answer {
        AppendEntriesResponse::Success => Ok(last),
        AppendEntriesResponse::PartialSuccess(accepted) => Ok(*accepted),
        // Nothing conflicts with the beginning of a log, so there always is a previous entry.
        AppendEntriesResponse::Conflict => Err(StreamAppendError::Conflict(previous?)),
        AppendEntriesResponse::HigherVote(vote) => Err(StreamAppendError::HigherVote(*vote)),
    })
}

/// The answer to one append of a stream, as the answer to a single one.
pub(crate) fn to_single_answer(
    result: &StreamAppendResult<TypeConfig>,
    last: Option<&LogIdOf<TypeConfig>>,
) -> AppendEntriesResponse<TypeConfig> {
    match result {
        Ok(accepted) if accepted.as_ref() == last => AppendEntriesResponse::Success,
        Ok(accepted) => AppendEntriesResponse::PartialSuccess(*accepted),
        Err(StreamAppendError::Conflict(_)) => AppendEntriesResponse::Conflict,
        Err(StreamAppendError::HigherVote(vote)) => AppendEntriesResponse::HigherVote(*vote),
    }
}
