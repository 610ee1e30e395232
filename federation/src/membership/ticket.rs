//! Signed documents of a node: its ticket, its invite, its anchor.

use serde::{Deserialize, Serialize};

use super::{Build, ClusterId, LevelRange, NodeId};
use crate::{
    ledger::{
        Digest, EnvelopeError, IdentityKey, Kind, List, LogId, Member, NODES_MAX, Signature, Vote,
        envelope,
    },
    region::RegionNumber,
    replicable,
    time::UnixTime,
};

const TICKET_DOMAIN: &[u8] = b"exequatur node ticket\0";
const INVITE_DOMAIN: &[u8] = b"exequatur node invite\0";

replicable! {
    /// What a ticket says of a node.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct NodeDescription {
        /// SHA-256 of the federation's name.
        pub federation: Digest,
        /// Its region.
        pub region: RegionNumber,
        /// Its id.
        pub node: NodeId,
        /// Its identity key.
        pub key: IdentityKey,
        /// Feature levels that it knows.
        pub levels: LevelRange,
        /// Its build when the ticket was made.
        pub build: Build,
    }
}

replicable! {
    /// A region vouches for a node.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct NodeTicket {
        /// The node.
        pub description: NodeDescription,
        /// By the region's identity key.
        pub signature: Signature,
    }
}

replicable! {
    /// What an invite says.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Invitation {
        /// The federation.
        pub cluster: ClusterId,
        /// Its epoch.
        pub epoch: u32,
        /// SHA-256 of the genesis frame that the node is to pin.
        pub genesis: Digest,
        /// The invited node.
        pub node: NodeId,
        /// The region that invites.
        pub region: RegionNumber,
        /// Until when the node may begin to join.
        pub expires_at: UnixTime,
        /// The members when it was written: whom the node believes until it has the ledger.
        pub members: List<(NodeId, Member), NODES_MAX>,
    }
}

replicable! {
    /// A region tells a node which federation it joins.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Invite {
        /// What it says.
        pub invitation: Invitation,
        /// By the inviting region's identity key.
        pub signature: Signature,
    }
}

/// What a node remembers of itself outside its data directory, so that a directory that was wiped,
/// restored from a backup or taken from another node is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// Whose anchor it is.
    pub node: NodeId,
    /// How often the node has started.
    pub starts: u64,
    /// SHA-256 of the genesis frame, once it is pinned.
    pub genesis: Option<Digest>,
    /// The last vote.
    pub vote: Option<Vote>,
    /// The last entry that was known to be durable; never ahead of the log.
    pub flushed: Option<LogId>,
}

macro_rules! document {
    ($name:ident, $kind:expr) => {
        impl $name {
            /// The frame.
            #[must_use]
            pub fn seal(&self) -> Vec<u8> {
                envelope::seal_value($kind, self)
            }

            /// Reads the frame.
            ///
            /// # Errors
            /// It is no frame of this kind, or not in its one form.
            pub fn open(frame: &[u8]) -> Result<Self, EnvelopeError> {
                envelope::open_value($kind, frame)
            }
        }
    };
}

document!(NodeTicket, Kind::NodeTicket);
document!(Invite, Kind::Invite);
document!(Anchor, Kind::Anchor);

impl NodeDescription {
    /// What the region's identity key signs.
    #[must_use]
    pub fn signing_bytes(&self) -> Vec<u8> {
        envelope::signing_bytes(TICKET_DOMAIN, self)
    }
}

impl NodeTicket {
    /// Whether the region's identity key signed it.
    #[must_use]
    pub fn verify(&self, region_identity: &IdentityKey) -> bool {
        region_identity.verify(&self.description.signing_bytes(), &self.signature)
    }
}

impl Invitation {
    /// What the region's identity key signs.
    #[must_use]
    pub fn signing_bytes(&self) -> Vec<u8> {
        envelope::signing_bytes(INVITE_DOMAIN, self)
    }
}

impl Invite {
    /// Whether the region's identity key signed it.
    #[must_use]
    pub fn verify(&self, region_identity: &IdentityKey) -> bool {
        region_identity.verify(&self.invitation.signing_bytes(), &self.signature)
    }
}
