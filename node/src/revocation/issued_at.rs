//! What a new token says of the moment at which it was issued.

use std::sync::Arc;

use exequatur_federation::ledger::Lix;

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
        match (view.ledger.id(), view.applied) {
            (Some(id), Some(applied)) => Lix { epoch: id.epoch, index: applied.index },
            _ => Lix::default(),
        }
    }
}
