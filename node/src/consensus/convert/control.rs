//! What only the leader can do, asked for from another node, and the answer.

use exequatur_federation::membership::NodeId;

use super::{
    WireError,
    proto::{self, control_request::Action as WireAction, control_response::Result as Reply},
    wire::required,
};
use crate::consensus::{VoterChange, control::ControlError};

/// Most nodes of one change: more than a federation has.
const NODES_MAX: usize = 128;

/// What a leader is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaderAction {
    /// Change the voters.
    ChangeVoters(VoterChange),
    /// Hand over to a voter, or to the one that is furthest.
    HandOver(Option<NodeId>),
}

/// The message of an action.
pub(crate) fn wire_action(action: &LeaderAction) -> proto::ControlRequest {
    let bits =
        |nodes: &std::collections::BTreeSet<NodeId>| nodes.iter().map(|node| node.bits()).collect();
    let action = match action {
        LeaderAction::ChangeVoters(change) => WireAction::ChangeVoters(proto::ChangeVoters {
            promote: bits(&change.promote),
            demote: bits(&change.demote),
            accept_reduced_survival: change.accept_reduced_survival,
        }),
        LeaderAction::HandOver(to) => {
            WireAction::HandOver(proto::HandOver { to: to.map(NodeId::bits) })
        }
    };
    proto::ControlRequest { action: Some(action) }
}

/// The action of a message.
///
/// # Errors
/// It names none, or too many nodes, or one that cannot be.
pub(crate) fn read_action(message: &proto::ControlRequest) -> Result<LeaderAction, WireError> {
    let field = WireError::Field { what: "the nodes of a change" };
    let nodes = |bits: &[u64]| {
        if bits.len() > NODES_MAX {
            return Err(field);
        }
        bits.iter().map(|bits| NodeId::new(*bits).ok_or(field)).collect()
    };
    Ok(match required("an action", message.action.as_ref())? {
        WireAction::ChangeVoters(change) => LeaderAction::ChangeVoters(VoterChange {
            promote: nodes(&change.promote)?,
            demote: nodes(&change.demote)?,
            accept_reduced_survival: change.accept_reduced_survival,
        }),
        WireAction::HandOver(proto::HandOver { to: None }) => LeaderAction::HandOver(None),
        WireAction::HandOver(proto::HandOver { to: Some(bits) }) => {
            LeaderAction::HandOver(Some(NodeId::new(*bits).ok_or(field)?))
        }
    })
}

/// The message of what came of it.
pub(crate) fn wire_done(done: &Result<(), ControlError>) -> proto::ControlResponse {
    let reply = match done {
        Ok(()) => Reply::Done(proto::Empty {}),
        Err(ControlError::NotLeader { leader }) => {
            Reply::NotLeader(proto::NotLeader { leader: leader.map(NodeId::bits) })
        }
        Err(ControlError::NoQuorum) => Reply::NoQuorum(proto::Empty {}),
        Err(ControlError::InProgress) => Reply::InProgress(proto::Empty {}),
        Err(ControlError::VoterRules(rule)) => Reply::VoterRules(rule.clone()),
        Err(ControlError::Unknown(node)) => Reply::Unknown(node.bits()),
        Err(ControlError::LaggingLearner { behind }) => Reply::Lagging(*behind),
        Err(
            error @ (ControlError::Refused(_)
            | ControlError::Pending
            | ControlError::Overloaded
            | ControlError::NoEntry(_)
            | ControlError::Local(_)),
        ) => Reply::Failed(error.to_string()),
    };
    proto::ControlResponse { result: Some(reply) }
}

/// What came of it; the outer error is of a message that does not say it.
///
/// # Errors
/// The message says nothing that it may.
pub(crate) fn read_done(
    message: proto::ControlResponse,
) -> Result<Result<(), ControlError>, WireError> {
    let error = match required("the result of an action", message.result)? {
        Reply::Done(_) => return Ok(Ok(())),
        Reply::NotLeader(proto::NotLeader { leader }) => {
            ControlError::NotLeader { leader: leader.and_then(NodeId::new) }
        }
        Reply::NoQuorum(_) => ControlError::NoQuorum,
        Reply::InProgress(_) => ControlError::InProgress,
        Reply::VoterRules(rule) => ControlError::VoterRules(rule),
        Reply::Unknown(bits) => {
            ControlError::Unknown(required("an unknown node", NodeId::new(bits))?)
        }
        Reply::Lagging(behind) => ControlError::LaggingLearner { behind },
        Reply::Failed(text) => ControlError::Local(text),
    };
    Ok(Err(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(bits: u64) -> NodeId {
        NodeId::new(bits).unwrap()
    }

    #[test]
    fn every_action_and_every_answer_comes_back_as_it_was_sent() {
        let change = VoterChange {
            promote: [node(3)].into(),
            demote: [node(1), node(2)].into(),
            accept_reduced_survival: true,
        };
        for action in [
            LeaderAction::ChangeVoters(change),
            LeaderAction::HandOver(None),
            LeaderAction::HandOver(Some(node(9))),
        ] {
            assert_eq!(read_action(&wire_action(&action)), Ok(action));
        }
        for done in [
            Ok(()),
            Err(ControlError::NotLeader { leader: Some(node(1)) }),
            Err(ControlError::NoQuorum),
            Err(ControlError::InProgress),
            Err(ControlError::VoterRules("a rule".to_owned())),
            Err(ControlError::Unknown(node(4))),
            Err(ControlError::LaggingLearner { behind: 500 }),
            Err(ControlError::Local("a cause".to_owned())),
        ] {
            assert_eq!(read_done(wire_done(&done)), Ok(done));
        }
    }

    #[test]
    fn an_action_that_names_no_node_or_nothing_is_refused() {
        assert!(read_action(&proto::ControlRequest { action: None }).is_err());
        for action in [
            WireAction::HandOver(proto::HandOver { to: Some(0) }),
            WireAction::ChangeVoters(proto::ChangeVoters {
                promote: vec![0],
                ..Default::default()
            }),
            WireAction::ChangeVoters(proto::ChangeVoters {
                promote: vec![1; NODES_MAX + 1],
                ..Default::default()
            }),
        ] {
            assert!(read_action(&proto::ControlRequest { action: Some(action) }).is_err());
        }
        assert!(read_done(proto::ControlResponse { result: None }).is_err());
    }
}
