//! What became of a revocation that was sent to the federation, and what its sender does next.

use crate::ledger::{Objection, Outcome, Rejection};

/// What became of a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is agreed on, or there is nothing left to agree on: what it covers has expired.
    Held,
    /// It can be agreed on later, when a clock is set, a quota renewed, a member known.
    Again(Rejection),
    /// It never will be. The mark of the region that asked stays until it expires.
    Refused(Objection),
}

impl Fate {
    /// What an outcome of `apply` means.
    #[must_use]
    pub const fn of_outcome(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Applied | Outcome::Duplicate | Outcome::Pending => Self::Held,
            Outcome::Refused(objection) => Self::of_objection(objection),
        }
    }

    /// What the answer of a leader means that did not take it into the log.
    #[must_use]
    pub const fn of_rejection(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Objection(objection) => Self::of_objection(objection),
            Rejection::ClocksApart { .. } | Rejection::NotTheBearers => Self::Again(rejection),
        }
    }

    const fn of_objection(objection: Objection) -> Self {
        match objection {
            Objection::Expired => Self::Held,
            // The sender is not where the ledger is, or a bound is reached that time moves.
            Objection::Genesis
            | Objection::Level
            | Objection::NotReady
            | Objection::QuotaExceeded
            | Objection::SerialTooOld
            | Objection::TableFull
            | Objection::UnknownNode => Self::Again(Rejection::Objection(objection)),
            Objection::Conflict
            | Objection::Fork
            | Objection::Invalid
            | Objection::NotAuthorised
            | Objection::Proof
            | Objection::Signature
            | Objection::Tombstone
            | Objection::Unknown
            | Objection::UnknownRegion
            | Objection::VoterRules
            | Objection::WrongState => Self::Refused(objection),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_agreed_on_or_over_is_held_and_the_rest_is_told_apart() {
        for outcome in [Outcome::Applied, Outcome::Duplicate, Outcome::Refused(Objection::Expired)]
        {
            assert_eq!(Fate::of_outcome(outcome), Fate::Held);
        }
        let refused = Outcome::Refused(Objection::NotAuthorised);
        assert_eq!(Fate::of_outcome(refused), Fate::Refused(Objection::NotAuthorised));
        let full = Rejection::Objection(Objection::QuotaExceeded);
        for later in [full, Rejection::ClocksApart { seconds: 90 }, Rejection::NotTheBearers] {
            assert_eq!(Fate::of_rejection(later), Fate::Again(later));
        }
    }
}
