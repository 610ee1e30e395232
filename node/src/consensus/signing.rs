//! Proposals in the name of this node: their header, their serial, and the signature of the
//! region's identity key.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use exequatur_federation::ledger::{Bearer, Command, Header, LedgerId, Proposal};

use crate::{
    clock::Clock,
    hsm::Signer,
    identity::{IdentitySignError, sign_as_region},
};

/// Serials of one start of a node: the number of the start stands above them.
const SERIAL_BITS: u32 = 40;

/// Makes proposals of commands.
pub(crate) struct ProposalMaker {
    own: Bearer,
    ledger: LedgerId,
    signer: Arc<dyn Signer>,
    clock: Arc<dyn Clock>,
    serial: AtomicU64,
}

/// Who proposes, and what with.
pub(crate) struct Proposing {
    /// This node.
    pub(crate) own: Bearer,
    /// The ledger that signatures are for.
    pub(crate) ledger: LedgerId,
    /// How often the node has started.
    pub(crate) starts: u64,
    /// The region's identity key.
    pub(crate) signer: Arc<dyn Signer>,
}

impl ProposalMaker {
    /// Serials begin above all that earlier starts can have used: the count of starts is durable
    /// and grows with each.
    pub(crate) fn new(proposing: Proposing, clock: Arc<dyn Clock>) -> Self {
        let Proposing { own, ledger, starts, signer } = proposing;
        let serial = AtomicU64::new(starts << SERIAL_BITS);
        Self { own, ledger, signer, clock, serial }
    }

    /// A proposal of a command, signed if it must be.
    pub(crate) async fn make(
        &self,
        command: Command,
        level: u16,
    ) -> Result<Proposal, IdentitySignError> {
        let header = self.header(level);
        if !command.is_signed() {
            return Ok(Proposal { header, command, signature: None });
        }
        let bytes = Proposal::signing_bytes(self.ledger, &header, &command);
        let signature = sign_as_region(self.signer.as_ref(), &bytes).await?;
        Ok(Proposal { header, command, signature: Some(signature) })
    }

    /// Proposals of commands that need no signature; one that needs one is left out.
    pub(crate) fn unsigned(
        &self,
        commands: impl IntoIterator<Item = Command>,
        level: u16,
    ) -> Vec<Proposal> {
        let header = self.header(level);
        commands.into_iter().filter_map(|command| Proposal::unsigned(header, command)).collect()
    }

    fn header(&self, level: u16) -> Header {
        Header {
            region: self.own.region,
            node: self.own.node,
            serial: self.serial.fetch_add(1, Ordering::Relaxed),
            level,
            proposed_at: self.clock.now(),
        }
    }
}
