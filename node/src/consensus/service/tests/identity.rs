//! Nobody speaks for another, and nobody raises a term who may not.

use std::time::Duration;

use exequatur_federation::membership::NodeId;
use tonic::Code;

use super::{
    federation::{Federation, raft_id},
    raw::{append, ballot, client, vote},
};
use crate::{
    consensus::convert::proto,
    peer::testing::{node_id, until},
};

/// A federation with a leader, and a follower whose connection is misused towards it.
async fn disturbed() -> (Federation, u64, u64) {
    let federation = Federation::start(&[1, 2, 3]).await;
    federation.write(0).await;
    let leader = federation.leader().await;
    let follower = if leader == 1 { 2 } else { 1 };
    (federation, leader, follower)
}

fn transfer(from: u64, to: u64) -> proto::TransferLeaderRequest {
    let from = vote(99, from, true);
    proto::TransferLeaderRequest { from, to: node_id(to).bits(), last: None }
}

fn offer(leader: u64) -> impl tonic::IntoStreamingRequest<Message = proto::SnapshotPiece> {
    let offer = proto::SnapshotOffer {
        vote: vote(99, leader, true),
        digest: vec![0; 32].into(),
        length: 1,
        last: None,
        membership: bytes::Bytes::new(),
    };
    let piece = Some(proto::snapshot_piece::Piece::Offer(offer));
    futures_util::stream::iter([proto::SnapshotPiece { piece }])
}

/// Every call with a high term, in the name of `name`, on the connection of `caller`.
async fn codes(federation: &Federation, caller: u64, to: NodeId, name: u64) -> Vec<Code> {
    let mut client = client(&federation.members[&caller].node, to);
    let appends = futures_util::stream::iter([append(99, name, &[])]);
    let in_stream = match client.append_stream(appends).await {
        Ok(answers) => answers.into_inner().message().await.map(drop),
        Err(status) => Err(status),
    };
    let snapshot = match client.install_snapshot(offer(name)).await {
        Ok(answers) => answers.into_inner().message().await.map(drop),
        Err(status) => Err(status),
    };
    [
        client.append(append(99, name, &[])).await.map(drop),
        in_stream,
        client.vote(ballot(99, name)).await.map(drop),
        client.pre_vote(ballot(99, name)).await.map(drop),
        client.transfer_leader(transfer(name, caller)).await.map(drop),
        snapshot,
    ]
    .map(|result| result.err().map_or(Code::Ok, |status| status.code()))
    .to_vec()
}

#[tokio::test]
async fn a_node_that_speaks_for_another_is_refused_and_no_term_rises() {
    let (federation, leader, follower) = disturbed().await;
    let term = federation.term(leader);
    let third = 6 - leader - follower;
    let codes = codes(&federation, follower, node_id(leader), third).await;
    assert_eq!(codes, [Code::PermissionDenied; 6]);
    federation.write(1).await;
    assert_eq!((federation.term(leader), federation.leader().await), (term, leader));
}

#[tokio::test]
async fn a_learner_neither_campaigns_nor_leads_and_no_term_rises() {
    let (federation, leader, follower) = disturbed().await;
    let term = federation.term(leader);
    federation.members[&leader].node.standpoint.change(|known| {
        known.voters.remove(&node_id(follower));
    });
    let codes = codes(&federation, follower, node_id(leader), follower).await;
    assert_eq!(codes, [Code::PermissionDenied; 6]);
    federation.write(1).await;
    assert_eq!((federation.term(leader), federation.leader().await), (term, leader));
}

#[tokio::test]
async fn a_node_that_hears_nobody_follows_a_member_that_it_does_not_know_to_vote() {
    let federation = Federation::start(&[1, 2, 3]).await;
    let old = federation.leader().await;
    federation.write(0).await;
    let (new, behind) = (old % 3 + 1, (old + 1) % 3 + 1);
    federation.members[&behind].node.standpoint.change(|known| {
        known.voters.remove(&node_id(new));
    });
    federation.raft(old).trigger().transfer_leader(raft_id(new)).await.unwrap();
    until("the new leader", || federation.raft(new).is_leader()).await;
    let index = federation.write(1).await;
    federation.applied(behind, index).await;
}

#[tokio::test]
async fn a_removed_node_is_refused_on_its_live_connection_which_is_then_cut() {
    let (federation, leader, follower) = disturbed().await;
    let term = federation.term(leader);
    let mut client = client(&federation.members[&follower].node, node_id(leader));
    let (requests, outbound) = tokio::sync::mpsc::channel(1);
    let outbound = futures_util::stream::unfold(outbound, |mut outbound| async {
        Some((outbound.recv().await?, outbound))
    });
    let mut answers = client.append_stream(outbound).await.unwrap().into_inner();
    let own_name = || append(99, follower, &[]);
    federation.members[&leader].node.standpoint.change(|known| {
        known.members.remove(&node_id(follower));
    });
    let refused = client.append(own_name()).await.unwrap_err();
    assert!(
        matches!(refused.code(), Code::PermissionDenied | Code::Unavailable | Code::Unknown),
        "{refused}"
    );
    let _refused = requests.send(own_name()).await;
    assert!(answers.message().await.is_err());
    // Until the connection is cut the gate refuses, and then the greeting does.
    let meters = &federation.members[&leader].serving.meters;
    while meters.handshake_failures.get() == 0 {
        let refused = client.append(own_name()).await.unwrap_err();
        assert!(
            matches!(refused.code(), Code::PermissionDenied | Code::Unavailable | Code::Unknown),
            "{refused}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    federation.write(1).await;
    assert_eq!((federation.term(leader), federation.leader().await), (term, leader));
}

#[tokio::test]
async fn a_vote_that_says_what_it_cannot_is_refused() {
    let (federation, leader, follower) = disturbed().await;
    let term = federation.term(leader);
    let mut client = client(&federation.members[&follower].node, node_id(leader));
    let granted = proto::VoteRequest { vote: vote(99, follower, true), ..ballot(99, follower) };
    let status = client.vote(granted).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let ungranted = proto::AppendRequest { vote: vote(99, follower, false), ..append(9, 9, &[]) };
    let status = client.append(ungranted).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    federation.write(1).await;
    assert_eq!((federation.term(leader), federation.leader().await), (term, leader));
}
