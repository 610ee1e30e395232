//! Why an action was not carried out, as it travels: a stable id beside gRPC's status code, and one
//! sentence for the operator.

use std::fmt;

use tonic::{Code, Status, metadata::MetadataValue};

use crate::consensus::control::ControlError;

/// Under this key the id of the cause travels with a status.
const KEY: &str = "exequatur-cause";

/// Why an action was not carried out. Ids are stable: scripts and auditors depend on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The audit log cannot be written, so nothing is done.
    AuditUnavailable,
    /// The action did not end in time; whether it took effect is unknown.
    Deadline,
    /// Another change of the members is under way.
    InProgress,
    /// The learner has not caught up.
    LaggingLearner,
    /// Something on the node is wrong.
    Local,
    /// The request is none.
    Malformed,
    /// Whoever asks has no role.
    NoRole,
    /// Too few voters can be reached.
    NoQuorum,
    /// Only the leader can.
    NotLeader,
    /// The role of whoever asks may not do this.
    NotPermitted,
    /// There is no such thing to revoke, or not in this way.
    NotRevocable,
    /// Too much is under way.
    Overloaded,
    /// It takes effect once another region asks for the same.
    Pending,
    /// The operator asks too often.
    RateLimited,
    /// The ledger refuses.
    Refused,
    /// The request id was used for another request.
    RequestIdReused,
    /// There is no such node.
    Unknown,
    /// The voters would not survive the loss of a region.
    VoterRules,
}

/// A cause and what it means here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unmet {
    pub(super) cause: Cause,
    pub(super) message: String,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 18] = [
        Self::AuditUnavailable,
        Self::Deadline,
        Self::InProgress,
        Self::LaggingLearner,
        Self::Local,
        Self::Malformed,
        Self::NoRole,
        Self::NoQuorum,
        Self::NotLeader,
        Self::NotPermitted,
        Self::NotRevocable,
        Self::Overloaded,
        Self::Pending,
        Self::RateLimited,
        Self::Refused,
        Self::RequestIdReused,
        Self::Unknown,
        Self::VoterRules,
    ];

    /// The id.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuditUnavailable => "audit_unavailable",
            Self::Deadline => "deadline",
            Self::InProgress => "in_progress",
            Self::LaggingLearner => "lagging_learner",
            Self::Local => "local",
            Self::Malformed => "malformed",
            Self::NoRole => "no_role",
            Self::NoQuorum => "no_quorum",
            Self::NotLeader => "not_leader",
            Self::NotPermitted => "not_permitted",
            Self::NotRevocable => "not_revocable",
            Self::Overloaded => "overloaded",
            Self::Pending => "pending",
            Self::RateLimited => "rate_limited",
            Self::Refused => "refused",
            Self::RequestIdReused => "request_id_reused",
            Self::Unknown => "unknown_node",
            Self::VoterRules => "voter_rules",
        }
    }

    const fn code(self) -> Code {
        match self {
            Self::AuditUnavailable | Self::NoQuorum => Code::Unavailable,
            Self::Deadline => Code::DeadlineExceeded,
            Self::InProgress => Code::Aborted,
            Self::LaggingLearner
            | Self::NotLeader
            | Self::NotRevocable
            | Self::Pending
            | Self::Refused
            | Self::VoterRules => Code::FailedPrecondition,
            Self::Local => Code::Internal,
            Self::Malformed | Self::RequestIdReused => Code::InvalidArgument,
            Self::NoRole | Self::NotPermitted => Code::PermissionDenied,
            Self::Overloaded | Self::RateLimited => Code::ResourceExhausted,
            Self::Unknown => Code::NotFound,
        }
    }

    /// The cause that a status carries; `None` if it is not from this service.
    pub(super) fn of(status: &Status) -> Option<Self> {
        let id = status.metadata().get(KEY)?.to_str().ok()?;
        Self::ALL.into_iter().find(|cause| cause.as_str() == id)
    }
}

impl Unmet {
    pub(super) fn new(cause: Cause, message: impl fmt::Display) -> Self {
        Self { cause, message: format!("{message}") }
    }
}

impl From<ControlError> for Unmet {
    fn from(error: ControlError) -> Self {
        let cause = match &error {
            ControlError::NotLeader { .. } => Cause::NotLeader,
            ControlError::NoQuorum => Cause::NoQuorum,
            ControlError::InProgress => Cause::InProgress,
            ControlError::VoterRules(_) => Cause::VoterRules,
            ControlError::Unknown(_) | ControlError::NoEntry(_) => Cause::Unknown,
            ControlError::Refused(_) => Cause::Refused,
            ControlError::LaggingLearner { .. } => Cause::LaggingLearner,
            ControlError::Pending => Cause::Pending,
            ControlError::Overloaded => Cause::Overloaded,
            ControlError::Local(_) => Cause::Local,
        };
        Self::new(cause, error)
    }
}

impl From<Unmet> for Status {
    fn from(Unmet { cause, message }: Unmet) -> Self {
        let mut status = Self::new(cause.code(), message);
        status.metadata_mut().insert(KEY, MetadataValue::from_static(cause.as_str()));
        status
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_cause_survives_the_journey() {
        for cause in Cause::ALL {
            assert_eq!(Cause::of(&Unmet::new(cause, "why").into()), Some(cause));
        }
        let ids: BTreeSet<&str> = Cause::ALL.map(Cause::as_str).into();
        assert_eq!(ids.len(), Cause::ALL.len());
        assert_eq!(Cause::of(&Status::unavailable("a proxy says so")), None);
    }
}
