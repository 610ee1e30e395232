//! Proposals on their way to the leader, and what became of them.

use std::time::Duration;

use bytes::Bytes;
use exequatur_federation::{
    ledger::{Batch, Outcome, Rejection},
    membership::NodeId,
};

use super::{
    WireError,
    proto::{self, answer::Answer as WireAnswer, propose_response::Result as Reply},
    wire::required,
};
use crate::consensus::proposer::Answer;

/// What a leader did with proposals that were handed to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forwarded {
    /// Each has an answer.
    Answered(Vec<Answer>),
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

/// The message of proposals.
pub(crate) fn wire_proposals(batch: &Batch) -> proto::ProposeRequest {
    proto::ProposeRequest { batch: Bytes::copy_from_slice(batch.sealed()) }
}

/// The proposals of a message.
///
/// # Errors
/// It has none, too many, or something else.
pub(crate) fn read_proposals(message: &proto::ProposeRequest) -> Result<Batch, WireError> {
    Batch::open(&message.batch).map_err(|error| WireError::of("a batch of proposals", error))
}

/// The message of what became of them.
pub(crate) fn wire_forwarded(forwarded: &Forwarded) -> proto::ProposeResponse {
    let reply = match forwarded {
        Forwarded::Answered(answers) => {
            let answers = answers.iter().map(wire_answer).collect();
            Reply::Answers(proto::Answers { answers })
        }
        Forwarded::NotLeader { leader } => {
            Reply::NotLeader(proto::NotLeader { leader: leader.map(NodeId::bits) })
        }
        Forwarded::Overloaded { retry_after } => Reply::Overloaded(proto::Overloaded {
            retry_after_ms: u32::try_from(retry_after.as_millis()).unwrap_or(u32::MAX),
        }),
    };
    proto::ProposeResponse { result: Some(reply) }
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
        Reply::Answers(proto::Answers { answers }) => {
            if answers.len() != sent {
                return Err(WireError::Field { what: "number of answers" });
            }
            Forwarded::Answered(answers.iter().map(read_answer).collect::<Result<_, _>>()?)
        }
        Reply::NotLeader(proto::NotLeader { leader }) => {
            Forwarded::NotLeader { leader: leader.and_then(NodeId::new) }
        }
        Reply::Overloaded(proto::Overloaded { retry_after_ms }) => {
            Forwarded::Overloaded { retry_after: Duration::from_millis(retry_after_ms.into()) }
        }
    })
}

fn wire_answer(answer: &Answer) -> proto::Answer {
    let answer = match answer {
        Answer::Decided { index, outcome } => {
            WireAnswer::Decided(proto::Decided { outcome: outcome.code().into(), index: *index })
        }
        Answer::Rejected(Rejection::Objection(objection)) => {
            WireAnswer::Objection(Outcome::Refused(*objection).code().into())
        }
        Answer::Rejected(Rejection::ClocksApart { seconds }) => WireAnswer::ClocksApart(*seconds),
        Answer::Rejected(Rejection::NotTheBearers) => WireAnswer::NotTheBearers(proto::Empty {}),
    };
    proto::Answer { answer: Some(answer) }
}

fn read_answer(message: &proto::Answer) -> Result<Answer, WireError> {
    let outcome = |code: u32| {
        let outcome = u16::try_from(code).ok().and_then(Outcome::from_code);
        required("an outcome", outcome)
    };
    Ok(match required("an answer", message.answer)? {
        WireAnswer::Decided(proto::Decided { outcome: code, index }) => {
            Answer::Decided { index, outcome: outcome(code)? }
        }
        WireAnswer::Objection(code) => match outcome(code)? {
            Outcome::Refused(objection) => Answer::Rejected(Rejection::Objection(objection)),
            Outcome::Applied | Outcome::Duplicate | Outcome::Pending => {
                return Err(WireError::Field { what: "an objection" });
            }
        },
        WireAnswer::ClocksApart(seconds) => Answer::Rejected(Rejection::ClocksApart { seconds }),
        WireAnswer::NotTheBearers(_) => Answer::Rejected(Rejection::NotTheBearers),
    })
}

#[cfg(test)]
mod tests {
    use exequatur_federation::ledger::Objection;

    use super::*;

    #[test]
    fn every_answer_comes_back_as_it_was_sent() {
        let outcomes = [Outcome::Applied, Outcome::Duplicate, Outcome::Pending]
            .into_iter()
            .chain(Objection::ALL.map(Outcome::Refused));
        let rejections = Objection::ALL
            .map(Rejection::Objection)
            .into_iter()
            .chain([Rejection::ClocksApart { seconds: 61 }, Rejection::NotTheBearers]);
        let decided = outcomes.map(|outcome| Answer::Decided { index: u64::MAX, outcome });
        let answers: Vec<Answer> = decided.chain(rejections.map(Answer::Rejected)).collect();
        for forwarded in [
            Forwarded::Answered(answers.clone()),
            Forwarded::NotLeader { leader: None },
            Forwarded::NotLeader { leader: NodeId::new(7) },
            Forwarded::Overloaded { retry_after: Duration::from_millis(20) },
        ] {
            let read = read_forwarded(wire_forwarded(&forwarded), answers.len());
            assert_eq!(read, Ok(forwarded));
        }
    }

    #[test]
    fn answers_that_are_not_one_for_each_proposal_or_say_nothing_are_refused() {
        let applied = Answer::Decided { index: 1, outcome: Outcome::Applied };
        let two = wire_forwarded(&Forwarded::Answered(vec![applied; 2]));
        assert!(read_forwarded(two, 3).is_err());
        assert!(read_forwarded(proto::ProposeResponse { result: None }, 1).is_err());
        let wrong = [
            None,
            Some(WireAnswer::Objection(0)),
            Some(WireAnswer::Objection(0x1_0001)),
            Some(WireAnswer::Decided(proto::Decided { outcome: 999, index: 1 })),
        ];
        for answer in wrong {
            let answers = vec![proto::Answer { answer }];
            let reply = Reply::Answers(proto::Answers { answers });
            let message = proto::ProposeResponse { result: Some(reply) };
            assert!(read_forwarded(message, 1).is_err(), "{answer:?}");
        }
    }
}
