//! A probe and what the leader says to it.

use bytes::Bytes;
use exequatur_federation::{
    ledger::{Fixed, StateDigest, Verdict},
    membership::NodeId,
};

use super::{
    WireError,
    proto::{self, confirmed::Verdict as WireVerdict, probe_response::Result as Reply},
    wire::required,
};

/// What a node says when it is asked for the index to read at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probed {
    /// It leads: a quorum has said so since it was asked.
    Confirmed(Confirmation),
    /// It does not lead.
    NotLeader {
        /// Who does, if it knows.
        leader: Option<NodeId>,
    },
    /// It may have led, and no quorum says so.
    NoQuorum,
}

/// A leader's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// Whatever was acknowledged before the question stands at this entry or before.
    pub read_index: u64,
    /// How the ledger of the node that asked compares.
    pub verdict: Verdict,
}

/// The message of a probe, with how far the ledger of the node is.
pub(crate) fn wire_probe(state: Option<&StateDigest>) -> proto::ProbeRequest {
    let state = state.map(|state| proto::StateDigest {
        index: state.index,
        digest: Bytes::copy_from_slice(state.digest.bytes()),
    });
    proto::ProbeRequest { state }
}

/// The state that a probe tells of.
///
/// # Errors
/// Its digest is none.
pub(crate) fn read_probe(message: &proto::ProbeRequest) -> Result<Option<StateDigest>, WireError> {
    let Some(state) = &message.state else { return Ok(None) };
    let digest = state.digest.as_ref().try_into();
    let digest = digest.map_err(|_| WireError::Field { what: "the digest of a state" })?;
    Ok(Some(StateDigest { index: state.index, digest: Fixed(digest) }))
}

/// The message of an answer.
pub(crate) fn wire_probed(probed: &Probed) -> proto::ProbeResponse {
    let reply = match probed {
        Probed::Confirmed(Confirmation { read_index, verdict }) => {
            let verdict = match verdict {
                Verdict::Unknown => WireVerdict::Unknown(proto::Empty {}),
                Verdict::Same => WireVerdict::Same(proto::Empty {}),
                Verdict::Differs => WireVerdict::Differs(proto::Empty {}),
                Verdict::Minority { index } => WireVerdict::Minority(*index),
            };
            Reply::Confirmed(proto::Confirmed { read_index: *read_index, verdict: Some(verdict) })
        }
        Probed::NotLeader { leader } => {
            Reply::NotLeader(proto::NotLeader { leader: leader.map(NodeId::bits) })
        }
        Probed::NoQuorum => Reply::NoQuorum(proto::Empty {}),
    };
    proto::ProbeResponse { result: Some(reply) }
}

/// The answer of a message.
///
/// # Errors
/// It says nothing that it may.
pub(crate) fn read_probed(message: &proto::ProbeResponse) -> Result<Probed, WireError> {
    Ok(match required("the result of a probe", message.result.as_ref())? {
        Reply::Confirmed(proto::Confirmed { read_index, verdict }) => {
            let verdict = match required("how ledgers compare", verdict.as_ref())? {
                WireVerdict::Unknown(_) => Verdict::Unknown,
                WireVerdict::Same(_) => Verdict::Same,
                WireVerdict::Differs(_) => Verdict::Differs,
                WireVerdict::Minority(index) => Verdict::Minority { index: *index },
            };
            Probed::Confirmed(Confirmation { read_index: *read_index, verdict })
        }
        Reply::NotLeader(proto::NotLeader { leader }) => {
            Probed::NotLeader { leader: leader.and_then(NodeId::new) }
        }
        Reply::NoQuorum(_) => Probed::NoQuorum,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_probe_and_every_answer_comes_back_as_it_was_sent() {
        let state = StateDigest { index: u64::MAX, digest: Fixed([9; 32]) };
        for state in [None, Some(state)] {
            assert_eq!(read_probe(&wire_probe(state.as_ref())), Ok(state));
        }
        let verdicts = [
            Verdict::Unknown,
            Verdict::Same,
            Verdict::Differs,
            Verdict::Minority { index: u64::MAX },
        ];
        let confirmed = verdicts
            .map(|verdict| Probed::Confirmed(Confirmation { read_index: u64::MAX, verdict }));
        let others = [
            Probed::NotLeader { leader: None },
            Probed::NotLeader { leader: NodeId::new(7) },
            Probed::NoQuorum,
        ];
        for probed in confirmed.into_iter().chain(others) {
            assert_eq!(read_probed(&wire_probed(&probed)), Ok(probed));
        }
    }

    #[test]
    fn a_probe_without_a_whole_digest_and_an_answer_that_says_nothing_are_refused() {
        for length in [0, 31, 33] {
            let digest = vec![0; length].into();
            let state = Some(proto::StateDigest { index: 1, digest });
            assert!(read_probe(&proto::ProbeRequest { state }).is_err());
        }
        assert!(read_probed(&proto::ProbeResponse { result: None }).is_err());
        let confirmed = proto::Confirmed { read_index: 1, verdict: None };
        let result = Some(Reply::Confirmed(confirmed));
        assert!(read_probed(&proto::ProbeResponse { result }).is_err());
    }
}
