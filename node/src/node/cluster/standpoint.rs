//! What this node says of itself to others, and what it knows of them: by the ledger once it has
//! one, before that by what was pinned.

use std::collections::BTreeMap;

use exequatur_federation::{
    ledger::{Bearer, Digest, IdentityKey, LedgerId, LogId, Member, Signature},
    membership::{Greeting, KnownKey, LEVELS, NodeId, Standing},
    region::RegionNumber,
};

use crate::{
    consensus::{LogReader, SharedLedger},
    identity::{self, build},
    peer::{NodeKey, NodeKeyError, Standpoint},
};

/// A node of `federation.toml`.
pub(super) struct Listed {
    pub(super) region: RegionNumber,
    pub(super) voter: bool,
}

/// What a node knows at every moment.
pub(super) struct LocalStandpoint {
    pub(super) own: Bearer,
    pub(super) ledger: LedgerId,
    pub(super) genesis: Digest,
    /// Digest of the `federation.toml` that this node goes by.
    pub(super) law: Digest,
    pub(super) starts: u64,
    /// Founders, or the members that an invite names.
    pub(super) pinned: BTreeMap<NodeId, Member>,
    /// Nodes of `federation.toml`.
    pub(super) listed: BTreeMap<NodeId, Listed>,
    pub(super) shared: SharedLedger,
    pub(super) log: LogReader,
}

impl Standpoint for LocalStandpoint {
    fn greeting(&self, to: NodeId) -> Greeting {
        let flushed = self.log.ends().1.map_or(0, |LogId { index, .. }| index);
        // A log that was cut at the front holds what its snapshot covers.
        let covered = self.shared.load().applied.map_or(0, |id| id.index);
        Greeting {
            cluster: self.ledger.cluster,
            epoch: self.ledger.epoch,
            genesis: self.genesis,
            law: self.law,
            region: self.own.region,
            node: self.own.node,
            to,
            levels: LEVELS,
            build: build(),
            starts: self.starts,
            flushed: flushed.max(covered),
        }
    }

    fn level(&self) -> u16 {
        let view = self.shared.load();
        // The genesis of this release has the lowest level that it knows.
        view.ledger.id().map_or(LEVELS.lowest, |_| view.ledger.level())
    }

    fn is_announced(&self, law: &Digest) -> bool {
        self.shared.load().ledger.is_announced(law)
    }

    fn standing(&self, node: NodeId) -> Standing {
        let view = self.shared.load();
        let ledger = &view.ledger;
        let known = if ledger.id().is_none() {
            self.pinned.get(&node).map(|member| Standing::from(*member))
        } else {
            ledger
                .member(node)
                .map(|row| Standing::Member { region: row.region, key: KnownKey::Whole(row.key) })
        };
        match (known, self.listed.get(&node)) {
            (Some(member), _) => member,
            (None, Some(listed)) if !ledger.is_tombstone(node) => Standing::Listed(listed.region),
            (None, _) => Standing::Stranger,
        }
    }

    fn is_voter(&self, node: NodeId) -> bool {
        let view = self.shared.load();
        match self.standing(node) {
            // By its own word and `federation.toml`; this node's ledger is behind it, or it is ahead
            // of the ledger, and then nobody counts its vote.
            Standing::Listed(_) => self.listed.get(&node).is_some_and(|listed| listed.voter),
            Standing::Member { .. } => {
                let voters = view.membership.configurations.items();
                // Before the first membership is applied, whoever was pinned may lead. After it, a
                // membership is in force as soon as it is in the log, a little before it is applied.
                voters.is_empty()
                    || voters.iter().any(|set| set.items().contains(&node))
                    || self.listed.get(&node).is_some_and(|listed| listed.voter)
            }
            Standing::Stranger => false,
        }
    }
}

/// The key in the cluster's directory.
pub(super) struct LocalKey(pub(super) identity::NodeKey);

impl NodeKey for LocalKey {
    fn identity(&self) -> IdentityKey {
        self.0.public()
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, NodeKeyError> {
        self.0.sign(message).ok_or(NodeKeyError)
    }
}
