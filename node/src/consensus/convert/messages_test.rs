//! Every message says the same after it has travelled, and no bytes whatever do any harm.

use exequatur_federation::{
    ledger::{Batch, Command, EntryPayload, Fixed, Header, LogEntry, LogId, Proposal, Tick, Vote},
    membership::NodeId,
    region::RegionNumber,
    time::UnixTime,
};
use openraft::{
    alias::{SnapshotMetaOf, StoredMembershipOf},
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, StreamAppendError, TransferLeaderError,
        TransferLeaderRequest, VoteRequest, VoteResponse,
    },
};
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::consensus::{RaftId, TypeConfig};

fn node(number: u64) -> NodeId {
    NodeId::new(number).unwrap()
}

fn id(term: u64, index: u64) -> LogId {
    LogId { term, leader: node(2), index }
}

fn tick(serial: u64) -> Proposal {
    let region = RegionNumber::new(1).unwrap();
    let proposed_at = UnixTime::from_seconds(1_800_000_000);
    let header = Header { region, node: node(2), serial, level: 1, proposed_at };
    Proposal { header, command: Command::Tick(Tick {}), signature: None }
}

fn vote(term: u64, committed: bool) -> openraft::alias::VoteOf<TypeConfig> {
    to_vote(&Vote { term, node: node(2), committed })
}

fn travelled<M: prost::Message + Default>(message: &M) -> M {
    M::decode(message.encode_to_vec().as_slice()).unwrap()
}

fn append() -> AppendEntriesRequest<TypeConfig> {
    let batch = Batch::of(&tick(1)).unwrap();
    let entry = |index, payload| to_entry(&LogEntry { id: id(5, index), payload }).unwrap();
    AppendEntriesRequest {
        vote: vote(5, true),
        prev_log_id: Some(to_log_id(&id(4, 6))),
        entries: vec![entry(7, EntryPayload::Blank), entry(8, EntryPayload::Batch(batch))],
        leader_commit: Some(to_log_id(&id(4, 6))),
    }
}

#[test]
fn an_append_and_its_answers_say_the_same_after_travelling() {
    let request = append();
    let read = read_append(&travelled(&wire_append(&request).unwrap())).unwrap();
    assert_eq!(format!("{read:?}"), format!("{request:?}"));
    let empty = AppendEntriesRequest { prev_log_id: None, entries: vec![], ..append() };
    let read = read_append(&travelled(&wire_append(&empty).unwrap())).unwrap();
    assert_eq!(format!("{read:?}"), format!("{empty:?}"));
    for result in [
        Ok(None),
        Ok(Some(to_log_id(&id(5, 8)))),
        Err(StreamAppendError::Conflict(to_log_id(&id(4, 6)))),
        Err(StreamAppendError::HigherVote(vote(6, false))),
    ] {
        let read = read_append_result(travelled(&wire_append_result(&result))).unwrap();
        assert_eq!(read, result);
    }
}

#[test]
fn an_answer_to_one_append_is_an_answer_of_a_stream_and_back() {
    let (before, last) = (Some(to_log_id(&id(4, 6))), Some(to_log_id(&id(5, 8))));
    for answer in [
        AppendEntriesResponse::Success,
        AppendEntriesResponse::PartialSuccess(before),
        AppendEntriesResponse::PartialSuccess(None),
        AppendEntriesResponse::Conflict,
        AppendEntriesResponse::HigherVote(vote(6, true)),
    ] {
        let result = to_stream_result(&answer, before, last).unwrap();
        assert_eq!(to_single_answer(&result, last.as_ref()), answer);
    }
    assert_eq!(to_stream_result(&AppendEntriesResponse::Conflict, None, last), None);
}

#[test]
fn ballots_and_transfers_say_the_same_after_travelling() {
    let mut request = VoteRequest::new(vote(6, false), Some(to_log_id(&id(5, 8))));
    for leadership_transfer in [false, true] {
        request.leadership_transfer = leadership_transfer;
        assert_eq!(read_ballot(&travelled(&wire_ballot(&request))), Ok(request.clone()));
    }
    for granted in [false, true] {
        let answer = VoteResponse::new(vote(6, false), None, granted);
        assert_eq!(read_ballot_answer(&travelled(&wire_ballot_answer(&answer))), Ok(answer));
    }
    let last = Some(to_log_id(&id(5, 8)));
    let request = TransferLeaderRequest::new(vote(5, true), RaftId(node(3)), last);
    assert_eq!(read_transfer(&travelled(&wire_transfer(&request))), Ok(request.clone()));
    for answer in [
        Ok(()),
        Err(TransferLeaderError::VoteChanged { expected: vote(5, true), actual: vote(6, true) }),
        Err(TransferLeaderError::LogNotFlushed { expected: last, actual: None }),
    ] {
        let read = read_transfer_answer(travelled(&wire_transfer_answer(&answer)), &request);
        assert_eq!(read, Ok(answer));
    }
}

#[test]
fn an_offer_says_the_same_after_travelling() {
    let at = Some(to_log_id(&id(4, 3)));
    let nodes = std::collections::BTreeMap::from([(
        RaftId(node(2)),
        crate::consensus::RaftMember::default(),
    )]);
    let membership = openraft::Membership::new_with_defaults(
        vec![std::collections::BTreeSet::from([RaftId(node(2))])],
        nodes.into_keys(),
    );
    let last_membership = StoredMembershipOf::<TypeConfig>::new(at, membership);
    let last_log_id = Some(to_log_id(&id(5, 8)));
    for meta in [
        SnapshotMetaOf::<TypeConfig> { last_log_id, last_membership },
        SnapshotMetaOf::<TypeConfig>::default(),
    ] {
        let offer = Offer { vote: vote(5, true), digest: Fixed([7; 32]), length: 9, meta };
        assert_eq!(read_offer(&travelled(&wire_offer(&offer).unwrap())), Ok(offer));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_bytes_are_read_as_another_append_than_they_are(
        at in 0_usize..400,
        bit in 0_u8..8,
        cut in 0_usize..400,
    ) {
        let mut bytes = wire_append(&append()).unwrap().encode_to_vec();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        bytes.truncate(bytes.len().saturating_sub(cut / 4));
        if let Ok(message) = proto::AppendRequest::decode(bytes.as_slice())
            && let Ok(append) = read_append(&message)
        {
            // Whatever was read is an append in its own right, with entries that follow each other.
            let again = read_append(&wire_append(&append).unwrap()).unwrap();
            prop_assert_eq!(format!("{again:?}"), format!("{append:?}"));
        }
    }

    #[test]
    fn random_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        if let Ok(message) = proto::AppendRequest::decode(bytes.as_slice()) {
            let _read = read_append(&message);
        }
        if let Ok(message) = proto::VoteRequest::decode(bytes.as_slice()) {
            let _read = read_ballot(&message);
        }
        if let Ok(message) = proto::TransferLeaderRequest::decode(bytes.as_slice()) {
            let _read = read_transfer(&message);
        }
        if let Ok(message) = proto::SnapshotOffer::decode(bytes.as_slice()) {
            let _read = read_offer(&message);
        }
        if let Ok(message) = proto::ProposeRequest::decode(bytes.as_slice()) {
            let _read = read_proposals(&message);
        }
        if let Ok(message) = proto::ProposeResponse::decode(bytes.as_slice()) {
            let _read = read_forwarded(message, 1);
        }
    }
}
