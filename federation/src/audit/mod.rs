//! The region's audit log, as data: what a record says, how it becomes a leaf, and the tree of
//! leaves (RFC 6962).
//!
//! A leaf is salted, so that a replicated root reveals nothing, and the part of a record that names
//! a person can be erased while the tree stays verifiable. Nothing here stores or signs.

mod leaf;
mod record;
mod tree;

pub use leaf::{LeafError, Personal, Salts, SealedRecord, seal};
pub use record::{AuditRecord, Event, TokenAuthorized};
pub use tree::{Frontier, FrontierError};
