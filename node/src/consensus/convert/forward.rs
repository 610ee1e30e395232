//! Proposals on their way to the leader, and what became of them.

use std::time::Duration;

use exequatur_federation::{
    ledger::{Outcome, Proposal},
    membership::NodeId,
};

use super::{WireError, proto, proto::propose_response::Result as Answer, wire::required};

/// Most proposals of one message: what fits a batch of revocations and a message of 4 MiB whatever
/// their kind.
pub const PROPOSALS_MAX: usize = 128;

/// What a leader did with proposals that were handed to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forwarded {
    /// Each has an outcome.
    Decided(Vec<Decision>),
    /// The receiver does not lead.
    NotLeader {
        /// Who does, if the receiver knows.
        leader: Option<NodeId>,
    },
    /// There is no room now.
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
}

/// What became of one proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The outcome.
    pub outcome: Outcome,
    /// Index of its entry; `None` if it was refused before it became one.
    pub index: Option<u64>,
}

/// The message of proposals.
pub(crate) fn wire_proposals(proposals: &[Proposal]) -> proto::ProposeRequest {
    let proposals = proposals.iter().map(|proposal| proposal.seal().into()).collect();
    proto::ProposeRequest { proposals }
}

/// The proposals of a message.
///
/// # Errors
/// It has none, too many, or something else.
pub(crate) fn read_proposals(message: &proto::ProposeRequest) -> Result<Vec<Proposal>, WireError> {
    let what = "number of proposals";
    if message.proposals.is_empty() || message.proposals.len() > PROPOSALS_MAX {
        return Err(WireError::Field { what });
    }
    message
        .proposals
        .iter()
        .map(|frame| match Proposal::open(frame) {
            Ok((proposal, [])) => Ok(proposal),
            Ok(_) => Err(WireError::Field { what }),
            Err(error) => Err(WireError::of("a proposal", error)),
        })
        .collect()
}

/// The message of what became of them.
pub(crate) fn wire_forwarded(forwarded: &Forwarded) -> proto::ProposeResponse {
    let answer = match forwarded {
        Forwarded::Decided(decisions) => Answer::Decided(proto::Decided {
            decisions: decisions
                .iter()
                .map(|decision| proto::Decision {
                    outcome: u32::from(decision.outcome.code()),
                    index: decision.index,
                })
                .collect(),
        }),
        Forwarded::NotLeader { leader } => {
            Answer::NotLeader(proto::NotLeader { leader: leader.map(NodeId::bits) })
        }
        Forwarded::Overloaded { retry_after } => Answer::Overloaded(proto::Overloaded {
            retry_after_ms: u32::try_from(retry_after.as_millis()).unwrap_or(u32::MAX),
        }),
    };
    proto::ProposeResponse { result: Some(answer) }
}

/// What became of `sent` proposals.
///
/// # Errors
/// The message does not say it.
pub(crate) fn read_forwarded(
    message: proto::ProposeResponse,
    sent: usize,
) -> Result<Forwarded, WireError> {
    Ok(match required("the result of proposals", message.result)? {
        Answer::Decided(decided) => {
            if decided.decisions.len() != sent {
                return Err(WireError::Field { what: "number of decisions" });
            }
            let read = |decision: proto::Decision| {
                let code = u16::try_from(decision.outcome).ok();
                let outcome = code.and_then(Outcome::from_code);
                Ok(Decision { outcome: required("an outcome", outcome)?, index: decision.index })
            };
            Forwarded::Decided(decided.decisions.into_iter().map(read).collect::<Result<_, _>>()?)
        }
        Answer::NotLeader(proto::NotLeader { leader }) => {
            Forwarded::NotLeader { leader: leader.and_then(NodeId::new) }
        }
        Answer::Overloaded(proto::Overloaded { retry_after_ms }) => {
            Forwarded::Overloaded { retry_after: Duration::from_millis(retry_after_ms.into()) }
        }
    })
}
