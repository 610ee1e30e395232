//! Values of openraft as records of the ledger, and back: one conversion a file. The records are
//! what rests on disk and travels; openraft's own forms do neither.

mod entry;
mod log_id;
mod membership;
mod vote;

pub(crate) use entry::{from_entry, to_entry};
pub(crate) use log_id::{from_log_id, to_log_id};
pub(crate) use membership::{from_membership, to_membership};
pub(crate) use vote::{from_vote, to_vote};
