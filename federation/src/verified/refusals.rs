//! The refusals of a token by the role that it plays: the same fault of subject and actor token has
//! two ids.

use super::Role;
use crate::{
    refusal::{self, RefusalId},
    trust::TimeFault,
};

/// The refusals of one role.
pub(super) struct Ids {
    pub(super) malformed: RefusalId,
    pub(super) untrusted: RefusalId,
    pub(super) kind: RefusalId,
    pub(super) time: RefusalId,
    pub(super) audience: RefusalId,
    pub(super) bound: RefusalId,
    pub(super) claims: RefusalId,
}

impl Ids {
    pub(super) const fn of_time(&self, fault: TimeFault) -> RefusalId {
        match fault {
            TimeFault::Malformed => self.malformed,
            TimeFault::Expired | TimeFault::NotYetValid | TimeFault::TooLong => self.time,
        }
    }

    pub(super) const fn of(role: Role) -> Self {
        match role {
            Role::Subject => Self {
                malformed: refusal::SUBJECT_TOKEN_MALFORMED,
                untrusted: refusal::SUBJECT_TOKEN_UNTRUSTED,
                kind: refusal::SUBJECT_TOKEN_KIND,
                time: refusal::SUBJECT_TOKEN_TIME,
                audience: refusal::SUBJECT_TOKEN_AUDIENCE,
                bound: refusal::SUBJECT_TOKEN_BOUND,
                claims: refusal::SUBJECT_TOKEN_CLAIMS,
            },
            Role::Actor => Self {
                malformed: refusal::ACTOR_TOKEN_MALFORMED,
                untrusted: refusal::ACTOR_TOKEN_UNTRUSTED,
                kind: refusal::ACTOR_TOKEN_KIND,
                time: refusal::ACTOR_TOKEN_TIME,
                audience: refusal::ACTOR_TOKEN_AUDIENCE,
                bound: refusal::ACTOR_TOKEN_BOUND,
                claims: refusal::ACTOR_TOKEN_CLAIMS,
            },
        }
    }
}
