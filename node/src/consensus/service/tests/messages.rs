//! Messages that are none, and entries that this node does not know.

use bytes::Bytes;
use exequatur_federation::ledger::{Batch, EntryPayload, Kind, LogEntry, LogId, envelope};
use http::{HeaderMap, HeaderValue};
use prost::Message as _;
use tonic::Code;

use super::{
    federation::{Federation, tick},
    raw::{append, client, framed, post, vote},
};
use crate::{
    consensus::{ENTRIES_MAX, convert::proto},
    peer::testing::node_id,
};

const APPEND: &str = "/exequatur.peer.v1.Peer/Append";

/// Node 1 has founded a federation of its own; nodes 2 and 3 wait. Node 2 calls node 3.
async fn waiting() -> Federation {
    Federation::start(&[1]).await
}

fn entry(index: u64, payload: EntryPayload) -> LogEntry {
    LogEntry { id: LogId { term: 5, leader: node_id(2), index }, payload }
}

fn batch(index: u64) -> LogEntry {
    entry(index, EntryPayload::Batch(Batch::of(&tick(2, 2, index)).unwrap()))
}

/// What node 3 says to entries of node 2, and whether it must stop.
async fn answer(federation: &Federation, entries: Vec<Bytes>) -> (Code, bool) {
    let mut client = client(&federation.members[&2].node, node_id(3));
    let request = proto::AppendRequest { entries, ..append(5, 2, &[]) };
    let single = client.append(request.clone()).await.map(drop);
    let stream = futures_util::stream::iter([request]);
    let mut answers = client.append_stream(stream).await.unwrap().into_inner();
    let streamed = answers.message().await.map(drop);
    let code = |result: Result<(), tonic::Status>| result.err().map_or(Code::Ok, |s| s.code());
    let code_of_single = code(single);
    assert_eq!(code_of_single, code(streamed), "single and streamed");
    (code_of_single, federation.members[&3].older.borrow().is_some())
}

/// A frame with another kind, under a good checksum.
fn of_kind(frame: &[u8], kind: u16) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[1..3].copy_from_slice(&kind.to_be_bytes());
    let covered = frame.len() - 4;
    let checksum = crc(&frame[..covered]);
    frame[covered..].copy_from_slice(&checksum);
    frame
}

/// CRC-32C, bit by bit.
fn crc(bytes: &[u8]) -> [u8; 4] {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    (!crc).to_be_bytes()
}

#[tokio::test]
async fn entries_that_it_knows_are_taken() {
    let federation = waiting().await;
    let entries = (0..3).map(|index| batch(index).seal().into()).collect();
    assert_eq!(answer(&federation, entries).await, (Code::Ok, false));
}

#[tokio::test]
async fn an_entry_of_a_later_release_stops_the_node_and_is_not_skipped() {
    let federation = waiting().await;
    let known = batch(0).seal();
    assert_eq!(of_kind(&known, Kind::LogEntry.number()), known, "the checksum is the same");
    let unknown = of_kind(&known, 4_000);
    let entries = vec![unknown.into()];
    assert_eq!(answer(&federation, entries).await, (Code::FailedPrecondition, true));
    let found = federation.members[&3].older.borrow().clone().unwrap();
    assert_eq!(found.leader, node_id(2));
    assert!(found.to_string().contains("upgrade this node"), "{found}");

    let proposal = of_kind(&tick(2, 2, 0).seal(), 4_001);
    let within = sealed_batch(&proposal);
    let federation = waiting().await;
    assert_eq!(answer(&federation, vec![within]).await, (Code::FailedPrecondition, true));
}

/// An entry with the bytes as its batch.
fn sealed_batch(batch: &[u8]) -> Bytes {
    let blank = entry(0, EntryPayload::Blank).seal();
    let body = &blank[7..blank.len() - 4];
    let (_, id) = body.split_last().unwrap();
    let body = [id, &[1], batch].concat();
    envelope::seal(Kind::LogEntry, &body).into()
}

#[tokio::test]
async fn an_entry_that_is_broken_or_holds_a_text_is_refused_and_stops_nothing() {
    let federation = waiting().await;
    let good = batch(0).seal();
    let mut flipped = good.clone();
    flipped[20] ^= 1;
    let text = sealed_batch(b"jane.doe@example.com");
    let behind = [tick(2, 2, 0).seal(), b"jane.doe@example.com".to_vec()].concat();
    let known_kind = of_kind(&good, Kind::Vote.number());
    for frame in [
        Bytes::new(),
        Bytes::from_static(b"jane.doe@example.com"),
        flipped.into(),
        good[..good.len() - 1].to_vec().into(),
        [good.clone(), vec![0]].concat().into(),
        text,
        sealed_batch(&behind),
        known_kind.into(),
    ] {
        let refused = answer(&federation, vec![frame.clone()]).await;
        assert_eq!(refused, (Code::InvalidArgument, false), "{frame:?}");
    }
}

#[tokio::test]
async fn entries_with_a_gap_out_of_order_newer_than_the_leader_or_too_many_are_refused() {
    let federation = waiting().await;
    let newer = LogEntry { id: LogId { term: 6, ..batch(0).id }, ..batch(0) };
    let blank = |index| entry(index, EntryPayload::Blank);
    let many = (0..=ENTRIES_MAX as u64).map(blank).collect();
    let older = LogEntry { id: LogId { term: 4, ..batch(1).id }, ..batch(1) };
    for entries in
        [vec![batch(1)], vec![batch(0), batch(2)], vec![batch(0), older], vec![newer], many]
    {
        let frames = entries.iter().map(|entry| entry.seal().into()).collect();
        assert_eq!(answer(&federation, frames).await, (Code::InvalidArgument, false));
    }
}

#[tokio::test]
async fn bytes_that_are_no_call_are_refused_and_the_node_serves_on() {
    let federation = waiting().await;
    let (node, to) = (&federation.members[&2].node, node_id(3));
    let good = append(5, 2, &[]).encode_to_vec();
    let large = vec![0; 4 * 1024 * 1024 + 1];
    let none = HeaderMap::new;
    let gzip = || {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-encoding", HeaderValue::from_static("gzip"));
        headers
    };
    let ok = post(node, to, APPEND, (none(), framed(false, &good))).await;
    assert_eq!(ok, Some(Ok(Code::Ok)), "the control");
    for (case, path, headers, body, expected) in [
        (
            "unknown method",
            "/exequatur.peer.v1.Peer/Wipe",
            none(),
            framed(false, &good),
            Code::Unimplemented,
        ),
        (
            "admin method",
            "/exequatur.admin.v1.Admin/Remove",
            none(),
            framed(false, &good),
            Code::Unimplemented,
        ),
        (
            "reflection",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            none(),
            framed(false, &good),
            Code::Unimplemented,
        ),
        ("over the limit", APPEND, none(), framed(false, &large), Code::OutOfRange),
        ("compressed, not said", APPEND, none(), framed(true, &good), Code::Internal),
        ("compressed", APPEND, gzip(), framed(true, &good), Code::Unimplemented),
        ("garbage", APPEND, none(), framed(false, &[0xff; 64]), Code::Internal),
        ("no message", APPEND, none(), Bytes::new(), Code::Internal),
        ("half a message", APPEND, none(), framed(false, &good).slice(..9), Code::Internal),
        ("no vote", APPEND, none(), framed(false, &[]), Code::InvalidArgument),
    ] {
        let answer = post(node, to, path, (headers, body)).await;
        assert_eq!(answer, Some(Ok(expected)), "{case}");
    }
    let ok = post(node, to, APPEND, (none(), framed(false, &good))).await;
    assert_eq!(ok, Some(Ok(Code::Ok)), "after all");
}

#[tokio::test]
async fn large_headers_are_refused_and_any_time_that_a_caller_asks_for_is_harmless() {
    let federation = waiting().await;
    let (node, to) = (&federation.members[&2].node, node_id(3));
    let good = || framed(false, &append(5, 2, &[]).encode_to_vec());
    let with = |name: &'static str, value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        headers
    };
    let large = post(node, to, APPEND, (with("x-large", &"x".repeat(64 * 1024)), good())).await;
    assert!(matches!(large, None | Some(Err(431))), "{large:?}");
    for timeout in ["1n", "99999999H", "0S", "-1S", "soon", "18446744073709551616S"] {
        let answer = post(node, to, APPEND, (with("grpc-timeout", timeout), good())).await;
        assert_eq!(answer, Some(Ok(Code::Ok)), "{timeout}");
    }
}

#[tokio::test]
async fn a_vote_that_is_no_frame_is_refused() {
    let federation = waiting().await;
    let mut client = client(&federation.members[&2].node, node_id(3));
    for frame in [Bytes::new(), vote(5, 2, true).slice(1..), Bytes::from_static(&[0; 32])] {
        let request = proto::AppendRequest { vote: frame, ..append(5, 2, &[]) };
        let status = client.append(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
    }
}
