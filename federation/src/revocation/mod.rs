//! Revocation: what can be revoked, the lists of what was, and the copy that a node reads.

mod revoke;
mod status;
pub mod status_list;
mod view;

pub use revoke::{Revocation, RevokeDecision, revoke};
pub use status::{LIST_SIZE, ListId, StatusReference};
pub use view::RevocationView;
