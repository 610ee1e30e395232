//! Consensus over real connections: it elects, replicates, transfers and forwards.

use std::{sync::atomic::Ordering, time::Duration};

use exequatur_federation::ledger::{BATCH_BYTES_MAX, Batch, BatchBuilder, Outcome};

use super::{
    federation::{Federation, batch, raft_id, tick},
    proxy::Path,
};
use crate::{
    consensus::{Answer, ENTRIES_MAX, ForwardError, Forwarded},
    peer::testing::{node_id, until},
};

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn three_nodes_elect_and_every_entry_reaches_all() {
    let federation = Federation::start(&[1, 2, 3]).await;
    federation.write(0).await;
    let leader = federation.leader().await;
    let raft = federation.raft(leader);
    let writes = (1..=500_u64).map(|serial| {
        let batch = Batch::of(&tick(1, 1, serial)).unwrap();
        async move { raft.client_write(batch).await.map(|written| written.log_id.index) }
    });
    let indexes = futures_util::future::try_join_all(writes).await.unwrap();
    let last = *indexes.iter().max().unwrap();
    for number in 1..=3 {
        federation.applied(number, last).await;
    }
    let witness = &federation.members[&leader].node.greeter.witness;
    let follower = if leader == 1 { 2 } else { 1 };
    until("the leader has witnessed what the follower holds", || {
        witness.of(node_id(follower)).held > 0
    })
    .await;
    assert!(witness.of(node_id(follower)).held <= last);
}

#[tokio::test]
async fn the_lead_is_transferred_when_the_leader_asks() {
    let federation = Federation::start(&[1, 2, 3]).await;
    let index = federation.write(0).await;
    for number in 1..=3 {
        federation.applied(number, index).await;
    }
    let leader = federation.leader().await;
    let next = if leader == 3 { 1 } else { leader + 1 };
    federation.raft(leader).trigger().transfer_leader(raft_id(next)).await.unwrap();
    let raft = federation.raft(next);
    until("the next leads", || raft.is_leader()).await;
    federation.write(1).await;
}

#[tokio::test]
async fn a_node_that_hears_nobody_is_denied_its_pre_votes_so_that_terms_do_not_rise() {
    let federation = Federation::start(&[1, 2, 3]).await;
    federation.write(0).await;
    let leader = federation.leader().await;
    let term = federation.term(leader);
    let deaf = if leader == 1 { 2 } else { 1 };
    let asked = |number: u64| federation.members[&number].proxy.passed.load(Ordering::Relaxed);
    let before = asked(leader);
    federation.members[&deaf].proxy.set(Path::Silent);
    until("the deaf node asks the leader", || asked(leader) > before).await;
    let before = asked(leader);
    until("and asks again", || asked(leader) > before).await;
    federation.write(1).await;
    assert_eq!((federation.term(leader), federation.leader().await), (term, leader));
    assert_eq!(federation.term(deaf), term);
    federation.members[&deaf].proxy.set(Path::Open);
    let index = federation.write(2).await;
    federation.applied(deaf, index).await;
    assert_eq!((federation.term(leader), federation.leader().await), (term, leader));
}

#[tokio::test]
async fn the_largest_append_fits_a_message_so_that_no_follower_is_stuck() {
    let federation = Federation::start(&[1, 2, 3]).await;
    federation.write(0).await;
    let leader = federation.leader().await;
    let behind = if leader == 1 { 2 } else { 1 };
    federation.members[&behind].proxy.set(Path::Silent);
    let mut builder = BatchBuilder::default();
    let mut serial = 0;
    while builder.push(&tick(1, 1, serial)) {
        serial += 1;
    }
    let batch = builder.finish();
    assert!(batch.sealed().len() > BATCH_BYTES_MAX - 128, "{batch}");
    let raft = federation.raft(leader);
    let writes = (0..2 * ENTRIES_MAX).map(|_| {
        let batch = batch.clone();
        async move { raft.client_write(batch).await.map(|written| written.log_id.index) }
    });
    let indexes = futures_util::future::try_join_all(writes).await.unwrap();
    federation.members[&behind].proxy.set(Path::Open);
    federation.applied(behind, *indexes.iter().max().unwrap()).await;
}

#[tokio::test]
async fn proposals_are_handed_to_the_leader_and_their_outcomes_come_back() {
    let federation = Federation::start(&[1, 2, 3]).await;
    federation.write(0).await;
    let leader = federation.leader().await;
    let from = if leader == 1 { 2 } else { 1 };
    let region = u16::try_from(from).unwrap();
    let forwarder = &federation.members[&from].forwarder;
    let proposals = batch(&[tick(from, region, 1), tick(from, region, 2)]);
    let forwarded = forwarder.propose(node_id(leader), &proposals, LIMIT).await.unwrap();
    let Forwarded::Answered(answers) = forwarded else { panic!("{forwarded:?}") };
    assert_eq!(answers.len(), 2);
    for answer in answers {
        assert!(matches!(answer, Answer::Decided { outcome: Outcome::Applied, .. }), "{answer:?}");
    }

    let third = 6 - leader - from;
    let forwarded = forwarder.propose(node_id(third), &proposals, LIMIT).await.unwrap();
    assert_eq!(forwarded, Forwarded::NotLeader { leader: Some(node_id(leader)) });

    let foreign = batch(&[tick(leader, u16::try_from(leader).unwrap(), 3)]);
    let refused = forwarder.propose(node_id(leader), &foreign, LIMIT).await.unwrap_err();
    assert!(matches!(refused, ForwardError::Refused { .. }), "{refused}");
    assert!(refused.to_string().contains("of region"), "{refused}");
}
