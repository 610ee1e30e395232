//! Who this node is: its directory with its key and ticket, the federation that it has pinned, and
//! the anchor that tells whether the directory is the one that the node left.
//!
//! Nothing here knows consensus. The log store says what the directory holds ([`DirectoryFacts`]),
//! and whoever starts a node compares that with its anchors before anything is served.

mod anchor;
mod directory;
mod directory_error;
mod genesis;
mod handover;
mod invite;
mod node_key;
mod rejoin;
mod ticket;

pub use anchor::{AnchorError, AnchorStore, Anchors, Change, FileAnchor, SlotAnchor, StartRefused};
pub use directory::{ClusterDirectory, Contents, NodeIdentity, Pin, draw_node_id};
pub use directory_error::DirectoryError;
pub use genesis::{Founding, FoundingError, GenesisError, check_genesis, sign_command};
pub use handover::{
    HandoverError, HpkeFault, check_offer, check_share, draw_offered, make_offer, make_share,
    offered_key, open_share, seal_to,
};
pub use invite::{InviteError, check_invite, make_invite};
pub use node_key::NodeKey;
pub use rejoin::{DirectoryFacts, DirectoryState, Rejoin, examine};
pub use ticket::{
    IdentitySignError, ReadError, TicketError, build, check_ticket, federation_digest, make_ticket,
    read_document, sign_as_region,
};
