//! Who belongs to the federation: ids, tickets, invites, anchors, the handshake of two nodes, and
//! the rules that a set of voters must keep.

mod hello;
mod judgement;
mod node;
mod ticket;
mod timing;
pub mod voters;

pub use hello::{End, Greeting, HELLO_BYTES_MAX, Hello, HelloRefused, PEER_PROTOCOL};
pub use judgement::{Certified, Judgement, KnownKey, Standing, Witnessed, thumbprint};
pub use node::{Build, ClusterId, LEVELS, LevelRange, NodeId};
pub use ticket::{Anchor, Invitation, Invite, NodeDescription, NodeTicket};
pub use timing::RaftTiming;
