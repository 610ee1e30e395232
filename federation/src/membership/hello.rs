//! The handshake of two nodes: the first frame that each sends on a connection, under TLS and before
//! HTTP/2. It proves the node's identity key on this connection and says which ledger it speaks of.

use serde::{Deserialize, Serialize};

use super::{Build, ClusterId, LevelRange, NodeId};
use crate::{
    ledger::{Digest, EnvelopeError, Fixed, IdentityKey, Kind, Signature, envelope},
    region::RegionNumber,
    replicable,
};

/// Largest frame of the handshake, read before anything is known of the peer.
pub const HELLO_BYTES_MAX: usize = 1024;

/// The ALPN protocol of connections between nodes (RFC 7301).
pub const PEER_PROTOCOL: &[u8] = b"exequatur-peer/1";

const DOMAIN: &[u8] = b"exequatur peer hello\0";

replicable! {
    /// What a node says of itself.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Greeting {
        /// The federation.
        pub cluster: ClusterId,
        /// Its epoch.
        pub epoch: u32,
        /// SHA-256 of the pinned genesis frame.
        pub genesis: Digest,
        /// Digest of the `federation.toml` that the node goes by.
        pub law: Digest,
        /// Its region.
        pub region: RegionNumber,
        /// Its id.
        pub node: NodeId,
        /// Whom it wants to speak to.
        pub to: NodeId,
        /// Feature levels that it knows.
        pub levels: LevelRange,
        /// Its build.
        pub build: Build,
        /// How often it has started.
        pub starts: u64,
        /// Index of its last durable entry; 0 if there is none.
        pub flushed: u64,
    }
}

replicable! {
    /// A greeting with its proof.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Hello {
        /// What it says.
        pub greeting: Greeting,
        /// The node's identity key.
        pub key: IdentityKey,
        /// By that key, over the connection and the greeting.
        pub signature: Signature,
    }
}

replicable! {
    /// Why a node does not speak with another.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum HelloRefused {
        /// The certificate names another node or region than the greeting.
        Certificate,
        /// Another federation or epoch.
        Cluster,
        /// Another genesis.
        Genesis,
        /// Another `federation.toml`.
        Law,
        /// Not a member, or not any more.
        Member,
        /// The key is not the one that the ledger has for the node, or the proof does not verify.
        Proof,
        /// No common feature level.
        Level,
        /// It was meant for another node.
        Recipient,
        /// It has forgotten entries that the other end has seen it hold.
        RolledBack,
    }
}

/// Which end of a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The end that connected.
    Initiator,
    /// The end that accepted.
    Responder,
}

impl Greeting {
    /// What the node's identity key signs on the connection that `channel` names (a keying
    /// material exporter, RFC 8446 section 7.5).
    #[must_use]
    pub fn signing_bytes(&self, end: End, channel: &Fixed<32>) -> Vec<u8> {
        let end: u8 = match end {
            End::Initiator => 1,
            End::Responder => 2,
        };
        envelope::signing_bytes(DOMAIN, &((end, *channel), *self))
    }
}

impl Hello {
    /// Whether the proof is one for this connection.
    #[must_use]
    pub fn verify(&self, end: End, channel: &Fixed<32>) -> bool {
        self.key.verify(&self.greeting.signing_bytes(end, channel), &self.signature)
    }

    /// The frame.
    #[must_use]
    pub fn seal(&self) -> Vec<u8> {
        envelope::seal_value(Kind::Hello, self)
    }

    /// Reads the frame.
    ///
    /// # Errors
    /// It is no frame of a greeting.
    pub fn open(frame: &[u8]) -> Result<Self, EnvelopeError> {
        envelope::open_value(Kind::Hello, frame)
    }
}

impl HelloRefused {
    /// The frame.
    #[must_use]
    pub fn seal(&self) -> Vec<u8> {
        envelope::seal_value(Kind::HelloRefused, self)
    }

    /// Reads the frame.
    ///
    /// # Errors
    /// It is no frame of a refusal.
    pub fn open(frame: &[u8]) -> Result<Self, EnvelopeError> {
        envelope::open_value(Kind::HelloRefused, frame)
    }
}
