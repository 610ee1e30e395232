//! Snapshots: over a slow link that breaks, and in pieces that are none.

use std::{collections::BTreeSet, sync::atomic::Ordering};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use exequatur_federation::ledger::{EntryPayload, List, LogEntry, LogId, Membership};
use futures_util::stream;
use openraft::ChangeMembers;
use tokio::sync::mpsc;
use tonic::{Code, Status, Streaming};

use super::{
    federation::{Federation, raft_id},
    proxy::Path,
    raw::{client, vote},
};
use crate::{
    consensus::{
        RaftMember, SNAPSHOT_BYTES_MAX,
        convert::proto::{
            LogId as WireLogId, SnapshotChunk, SnapshotOffer, SnapshotPiece, SnapshotProgress,
            snapshot_piece::Piece, snapshot_progress::Progress,
        },
    },
    peer::testing::{node_id, until},
};

const BYTES: usize = 3 * 1024 * 1024;

#[tokio::test]
async fn a_snapshot_over_a_slow_link_that_breaks_goes_on_from_where_it_was() {
    let federation = Federation::start(&[1, 2]).await;
    let index = federation.write(0).await;
    let leader = federation.leader().await;
    let bytes: Bytes = (0..=250_u8).cycle().take(BYTES).collect::<Vec<_>>().into();
    let raft = federation.raft(leader);
    federation.members[&leader].machine.0.lock().unwrap().snapshot_bytes = bytes.clone();
    federation.applied(leader, index).await;
    raft.trigger().snapshot().await.unwrap();
    let metrics = raft.metrics();
    until("a snapshot", || {
        use openraft::async_runtime::WatchReceiver as _;
        metrics.borrow_watched().snapshot.is_some()
    })
    .await;
    raft.trigger().purge_log(index).await.unwrap();
    until("an empty log", || {
        use openraft::async_runtime::WatchReceiver as _;
        metrics.borrow_watched().purged.is_some_and(|id| id.index >= index)
    })
    .await;

    let learner = &federation.members[&3];
    learner.proxy.set(Path::Slow(512 * 1024));
    let member = RaftMember(federation.world.members[&node_id(3)]);
    raft.add_learner(raft_id(3), member, false).await.unwrap();
    for part in 1..=3_u64 {
        let enough = part * BYTES as u64 / 4;
        until("a quarter", || learner.proxy.passed.load(Ordering::Relaxed) > enough).await;
        learner.proxy.cut();
    }
    until("installed", || !learner.machine.0.lock().unwrap().installed.is_empty()).await;
    assert_eq!(learner.machine.0.lock().unwrap().installed, [bytes]);
    // Three breaks, each of which may lose what was under way, and none of which begins anew.
    let passed = learner.proxy.passed.load(Ordering::Relaxed);
    assert!(passed < 2 * BYTES as u64, "{passed} bytes for a snapshot of {BYTES}");
    learner.proxy.set(Path::Open);
    let index = federation.write(1).await;
    federation.applied(3, index).await;
    let voters = ChangeMembers::AddVoterIds(BTreeSet::from([raft_id(3)]));
    raft.change_membership(voters, true).await.unwrap();
}

/// A call of node 2, which offers node 3 a snapshot.
struct Call {
    pieces: mpsc::Sender<SnapshotPiece>,
    answers: Result<Streaming<SnapshotProgress>, Status>,
}

impl Call {
    async fn begin(federation: &Federation, offer: SnapshotOffer) -> Self {
        let (pieces, outbound) = mpsc::channel(64);
        let outbound = stream::unfold(outbound, |mut outbound| async {
            Some((outbound.recv().await?, outbound))
        });
        pieces.send(SnapshotPiece { piece: Some(Piece::Offer(offer)) }).await.unwrap();
        let mut client = client(&federation.members[&2].node, node_id(3));
        let answers = client.install_snapshot(outbound).await.map(tonic::Response::into_inner);
        Self { pieces, answers }
    }

    async fn send(&self, offset: u64, data: &[u8]) {
        let chunk = SnapshotChunk { offset, data: Bytes::copy_from_slice(data) };
        let _gone = self.pieces.send(SnapshotPiece { piece: Some(Piece::Chunk(chunk)) }).await;
    }

    async fn received(&mut self) -> u64 {
        match self.progress().await.unwrap() {
            Progress::Received(received) => received,
            Progress::Vote(_) => panic!("installed"),
        }
    }

    async fn progress(&mut self) -> Result<Progress, Code> {
        match &mut self.answers {
            Ok(answers) => match answers.message().await {
                Ok(message) => Ok(message.unwrap().progress.unwrap()),
                Err(status) => Err(status.code()),
            },
            Err(status) => Err(status.code()),
        }
    }
}

fn offer(bytes: &[u8]) -> SnapshotOffer {
    let id = LogId { term: 5, leader: node_id(2), index: 7 };
    let nodes = List::new(vec![]).unwrap();
    let membership = Membership { configurations: List::new(vec![]).unwrap(), nodes };
    let entry = LogEntry { id, payload: EntryPayload::Membership(membership) };
    SnapshotOffer {
        vote: vote(5, 2, true),
        digest: Bytes::copy_from_slice(digest(&SHA256, bytes).as_ref()),
        length: bytes.len() as u64,
        last: Some(WireLogId { term: id.term, leader: id.leader.bits(), index: id.index }),
        membership: entry.seal().into(),
    }
}

fn installed(federation: &Federation) -> Vec<Bytes> {
    federation.members[&3].machine.0.lock().unwrap().installed.clone()
}

#[tokio::test]
async fn what_has_come_stays_for_the_next_call_and_is_installed_when_complete() {
    let federation = Federation::start(&[1]).await;
    let bytes = b"a snapshot in pieces";
    let mut first = Call::begin(&federation, offer(bytes)).await;
    assert_eq!(first.received().await, 0);
    first.send(0, &bytes[..5]).await;
    assert_eq!(first.received().await, 5);
    drop(first);
    let mut second = Call::begin(&federation, offer(bytes)).await;
    assert_eq!(second.received().await, 5);
    second.send(5, &bytes[5..]).await;
    assert!(matches!(second.progress().await, Ok(Progress::Vote(_))));
    assert_eq!(installed(&federation), [&bytes[..]]);
}

#[tokio::test]
async fn pieces_out_of_order_twice_empty_or_beyond_the_end_are_refused() {
    let federation = Federation::start(&[1]).await;
    let bytes = b"a snapshot in pieces";
    let endless = vec![0; bytes.len() + 1];
    for (offset, data) in
        [(5, &bytes[..5]), (1, &bytes[..1]), (u64::MAX, &bytes[..1]), (0, &[]), (0, &endless)]
    {
        let mut call = Call::begin(&federation, offer(bytes)).await;
        assert_eq!(call.received().await, 0);
        call.send(offset, data).await;
        assert_eq!(call.progress().await, Err(Code::InvalidArgument), "{offset}");
    }
    let mut call = Call::begin(&federation, offer(bytes)).await;
    call.received().await;
    call.send(0, &bytes[..5]).await;
    call.received().await;
    call.send(0, &bytes[..5]).await;
    assert_eq!(call.progress().await, Err(Code::InvalidArgument), "the same piece again");
    assert!(installed(&federation).is_empty());
}

#[tokio::test]
async fn another_snapshot_ends_the_first_and_begins_anew() {
    let federation = Federation::start(&[1]).await;
    let (one, other) = (b"a snapshot in pieces", b"another one in piece");
    let mut first = Call::begin(&federation, offer(one)).await;
    first.received().await;
    first.send(0, &one[..5]).await;
    assert_eq!(first.received().await, 5);
    let mut second = Call::begin(&federation, offer(other)).await;
    assert_eq!(second.received().await, 0);
    first.send(5, &one[5..]).await;
    assert_eq!(first.progress().await, Err(Code::Aborted));
    second.send(0, other).await;
    assert!(matches!(second.progress().await, Ok(Progress::Vote(_))));
    assert_eq!(installed(&federation), [&other[..]]);
}

#[tokio::test]
async fn bytes_that_are_not_what_was_offered_or_no_snapshot_are_not_installed() {
    let federation = Federation::start(&[1]).await;
    let mut call = Call::begin(&federation, offer(b"offered")).await;
    call.received().await;
    call.send(0, b"altered").await;
    assert_eq!(call.progress().await, Err(Code::DataLoss));
    // The next call begins anew.
    let mut call = Call::begin(&federation, offer(b"offered")).await;
    assert_eq!(call.received().await, 0);
    let mut call = Call::begin(&federation, offer(b"bad one")).await;
    call.received().await;
    call.send(0, b"bad one").await;
    assert_eq!(call.progress().await, Err(Code::InvalidArgument));
    assert!(installed(&federation).is_empty());
}

#[tokio::test]
async fn offers_that_are_none_too_large_or_newer_than_their_leader_are_refused() {
    let federation = Federation::start(&[1]).await;
    let good = offer(b"offered");
    let cases = [
        (SnapshotOffer { length: SNAPSHOT_BYTES_MAX + 1, ..good.clone() }, Code::ResourceExhausted),
        (SnapshotOffer { digest: Bytes::new(), ..good.clone() }, Code::InvalidArgument),
        (SnapshotOffer { vote: vote(4, 2, true), ..good.clone() }, Code::InvalidArgument),
        (
            SnapshotOffer { membership: Bytes::from_static(b"x"), ..good.clone() },
            Code::InvalidArgument,
        ),
        (SnapshotOffer { last: None, ..good.clone() }, Code::InvalidArgument),
        (SnapshotOffer { vote: vote(6, 1, true), ..good }, Code::PermissionDenied),
    ];
    for (offer, code) in cases {
        let mut call = Call::begin(&federation, offer.clone()).await;
        assert_eq!(call.progress().await, Err(code), "{offer:?}");
    }
}
