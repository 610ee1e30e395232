//! What a node knows of itself and of others when it greets: seams that the node fills from its
//! ledger, its log and its key.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use exequatur_federation::{
    ledger::{Digest, IdentityKey, Signature},
    membership::{Greeting, NodeId, Standing, Witnessed},
};

/// What the node knows now. Asked at each greeting and at each call, so every answer must be quick
/// and current.
pub trait Standpoint: Send + Sync + 'static {
    /// What the node says of itself to `to`. Its `flushed` must never lie behind an entry that was
    /// acknowledged to a leader: take it from the log, not from a metric that follows it.
    fn greeting(&self, to: NodeId) -> Greeting;

    /// The feature level in force.
    fn level(&self) -> u16;

    /// Whether a `federation.toml` of this digest is in force, or was announced and may come into
    /// force: while a new one is brought to all nodes, some go by the one and some by the other.
    fn is_announced(&self, law: &Digest) -> bool;

    /// What is known of a node now.
    fn standing(&self, node: NodeId) -> Standing;

    /// Whether a node votes now. Only voters lead.
    fn is_voter(&self, node: NodeId) -> bool;
}

/// The node's identity key.
pub trait NodeKey: Send + Sync + 'static {
    /// Its public half.
    fn identity(&self) -> IdentityKey;

    /// Signs a message, in the form that the ledger takes.
    ///
    /// # Errors
    /// The key does not sign.
    fn sign(&self, message: &[u8]) -> Result<Signature, NodeKeyError>;
}

/// The node's identity key does not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node's identity key does not sign")]
pub struct NodeKeyError;

/// What this node has witnessed of others since it started. It is one fence of several: the anchor
/// of each node is what survives a restart of all.
#[derive(Debug, Default)]
pub struct Witness(Mutex<BTreeMap<NodeId, Witnessed>>);

impl Witness {
    /// A node that was judged good has greeted.
    pub fn started(&self, node: NodeId, starts: u64) {
        self.note(node, |known| known.starts = known.starts.max(starts));
    }

    /// A node has acknowledged as durable the entry at `index`, which is committed.
    pub fn held(&self, node: NodeId, index: u64) {
        self.note(node, |known| known.held = known.held.max(index));
    }

    /// What was witnessed of a node.
    pub fn of(&self, node: NodeId) -> Witnessed {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&node).copied().unwrap_or_default()
    }

    /// Only members come here, so the table is as small as the membership.
    fn note(&self, node: NodeId, change: impl FnOnce(&mut Witnessed)) {
        change(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(node).or_default());
    }
}
