//! Values of openraft as records of the ledger, and back: one conversion a file. The records are
//! what rests on disk and travels; openraft's own forms do neither.
//!
//! Messages between nodes are made and read here as well. Whatever is read was checked: an entry is
//! one that this node knows, entries have no gap, nothing is newer than who sends it.

mod append;
mod ballot;
mod control;
mod entry;
mod forward;
mod log_id;
mod membership;
#[cfg(test)]
mod messages_test;
mod offer;
mod probe;
pub(crate) mod proto;
mod transfer;
mod vote;
mod wire;

pub use append::ENTRIES_MAX;
pub(crate) use append::{
    last_of, read_append, read_append_result, to_single_answer, to_stream_result, wire_append,
    wire_append_result,
};
pub(crate) use ballot::{read_ballot, read_ballot_answer, wire_ballot, wire_ballot_answer};
pub use control::LeaderAction;
pub(crate) use control::{read_action, read_done, wire_action, wire_done};
pub(crate) use entry::{from_entry, to_entry};
pub use forward::Forwarded;
pub(crate) use forward::{read_forwarded, read_proposals, wire_forwarded, wire_proposals};
pub(crate) use log_id::{from_log_id, to_log_id};
pub(crate) use membership::{BadMembership, from_membership, to_membership};
pub(crate) use offer::{Offer, read_offer, read_receiver_vote, wire_offer, wire_receiver_vote};
pub use probe::{Confirmation, Probed};
pub(crate) use probe::{read_probe, read_probed, wire_probe, wire_probed};
pub(crate) use transfer::{
    read_transfer, read_transfer_answer, wire_transfer, wire_transfer_answer,
};
pub(crate) use vote::{from_vote, to_vote};
pub(crate) use wire::WireError;
