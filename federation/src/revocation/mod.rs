//! Revocation: what can be revoked, the lists of what was, and the copy that a node reads.

mod fate;
mod lists;
mod marks;
mod order;
mod revocable;
mod revoke;
mod status;
pub mod status_list;
mod view;

pub use fate::Fate;
pub use lists::{ListStamp, ListView};
pub use marks::Marks;
pub use order::{
    BLOCK_MAX, Measure, Named, OrderError, Party, SESSION_CUTOFF_LIFETIME, TOKENS_CUTOFF_LIFETIME,
    may_return, order,
};
pub use revocable::{Login, OwnedDigest, PERSON_CUTOFF_LIFETIME, Revocable, Standing, cutoff_time};
pub use revoke::{Revocation, RevokeDecision, revoke};
pub use status::{LIST_SIZE, ListId, StatusReference};
pub use view::RevocationView;
