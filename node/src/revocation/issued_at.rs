//! What a new token says of the moment at which it was issued.

use std::sync::Arc;

use exequatur_federation::ledger::{LedgerId, Lix, LogId};

use crate::consensus::Consensus;

/// Where `lix` of new tokens comes from: how far this node has applied the ledger.
#[derive(Clone, Default)]
pub struct IssuedAt(Option<Arc<Consensus>>);

impl IssuedAt {
    /// As a node of a federation has it.
    #[must_use]
    pub const fn of(consensus: Option<Arc<Consensus>>) -> Self {
        Self(consensus)
    }

    /// The moment as it is now: zeros in a region alone, and before there is a ledger. It must be
    /// read before the revocations that a request is judged by: what is revoked in between is then
    /// later than the token, which it covers.
    #[must_use]
    pub fn now(&self) -> Lix {
        let Some(consensus) = &self.0 else { return Lix::default() };
        let view = consensus.view();
        lix(view.ledger.id(), view.applied)
    }
}

fn lix(ledger: Option<LedgerId>, applied: Option<LogId>) -> Lix {
    match (ledger, applied) {
        (Some(ledger), Some(applied)) => Lix { epoch: ledger.epoch, index: applied.index },
        // Everything that will ever be revoked is later.
        _ => Lix::default(),
    }
}

#[cfg(test)]
mod tests {
    use exequatur_federation::{ledger::Fixed, membership::NodeId};

    use super::*;

    #[test]
    fn the_moment_is_the_last_applied_entry_of_the_epoch() {
        let ledger = LedgerId { cluster: Fixed([1; 16]), epoch: 3 };
        let applied = LogId { term: 9, leader: NodeId::new(1).unwrap(), index: 41 };
        assert_eq!(lix(Some(ledger), Some(applied)), Lix { epoch: 3, index: 41 });
        // Entries before the genesis, and a region alone.
        assert_eq!(lix(None, Some(applied)), Lix::default());
        assert_eq!(lix(Some(ledger), None), Lix::default());
        assert_eq!(IssuedAt::default().now(), Lix::default());
    }
}
