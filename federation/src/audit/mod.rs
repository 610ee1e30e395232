//! The region's audit log: what a record says, how it becomes a leaf, and the tree of leaves.

mod record;

pub use record::{AuditRecord, Event};
