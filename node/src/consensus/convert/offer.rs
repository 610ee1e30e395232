//! Offers of snapshots: what is known of one before its bytes have come.

use bytes::Bytes;
use exequatur_federation::ledger::{Digest, EntryPayload, Fixed, LogEntry, TooMany};
use openraft::alias::{LeaderIdOf, SnapshotMetaOf, StoredMembershipOf, VoteOf};

use super::{
    WireError, from_log_id, from_membership, proto, to_log_id, to_membership,
    wire::{read_log_id, read_vote, wire_log_id, wire_vote},
};
use crate::consensus::TypeConfig;

/// A snapshot that a leader offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// The leader's vote.
    pub(crate) vote: VoteOf<TypeConfig>,
    /// SHA-256 of its bytes.
    pub(crate) digest: Digest,
    /// How many bytes there are.
    pub(crate) length: u64,
    /// What it covers.
    pub(crate) meta: SnapshotMetaOf<TypeConfig>,
}

/// The message of an offer.
///
/// # Errors
/// Its membership has no record.
pub(crate) fn wire_offer(offer: &Offer) -> Result<proto::SnapshotOffer, TooMany> {
    let stored = &offer.meta.last_membership;
    let membership = match stored.log_id() {
        None => Bytes::new(),
        Some(id) => {
            let payload = EntryPayload::Membership(from_membership(stored.membership())?);
            LogEntry { id: from_log_id(id), payload }.seal().into()
        }
    };
    Ok(proto::SnapshotOffer {
        vote: wire_vote(&offer.vote),
        digest: Bytes::copy_from_slice(offer.digest.bytes()),
        length: offer.length,
        last: offer.meta.last_log_id.as_ref().map(wire_log_id),
        membership,
    })
}

/// The offer of a message. It covers nothing that is newer than the leader.
///
/// # Errors
/// It is none.
pub(crate) fn read_offer(message: &proto::SnapshotOffer) -> Result<Offer, WireError> {
    let vote = read_vote("the leader's vote", &message.vote)?;
    let digest = message.digest.as_ref().try_into().map(Fixed);
    let digest = digest.map_err(|_| WireError::Field { what: "the digest of the snapshot" })?;
    let what = "the last entry of the snapshot";
    let last_log_id = read_log_id(what, message.last)?;
    let leader: &LeaderIdOf<TypeConfig> = vote.leader_id();
    if last_log_id.is_some_and(|last| leader < last.committed_leader_id()) {
        return Err(WireError::Field { what });
    }
    let last_membership = read_stored_membership(&message.membership)?;
    if *last_membership.log_id() > last_log_id {
        return Err(WireError::Field { what: "the membership of the snapshot" });
    }
    let meta = SnapshotMetaOf::<TypeConfig> { last_log_id, last_membership };
    Ok(Offer { vote, digest, length: message.length, meta })
}

/// The vote that ends a transfer.
pub(crate) fn wire_receiver_vote(vote: &VoteOf<TypeConfig>) -> Bytes {
    wire_vote(vote)
}

/// The vote that ended a transfer.
///
/// # Errors
/// It is none.
pub(crate) fn read_receiver_vote(frame: &[u8]) -> Result<VoteOf<TypeConfig>, WireError> {
    read_vote("the receiver's vote", frame)
}

fn read_stored_membership(frame: &[u8]) -> Result<StoredMembershipOf<TypeConfig>, WireError> {
    let what = "the membership of the snapshot";
    if frame.is_empty() {
        return Ok(StoredMembershipOf::<TypeConfig>::default());
    }
    let entry = LogEntry::open(frame).map_err(|error| WireError::of(what, error))?;
    match entry.payload {
        EntryPayload::Membership(membership) => Ok(StoredMembershipOf::<TypeConfig>::new(
            Some(to_log_id(&entry.id)),
            to_membership(&membership).map_err(|_| WireError::Field { what })?,
        )),
        EntryPayload::Blank | EntryPayload::Batch(_) => Err(WireError::Field { what }),
    }
}
