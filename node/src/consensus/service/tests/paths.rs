//! Paths that go silent or break, and what is replaced when they come back.

use std::time::Duration;

use exequatur_federation::ledger::Outcome;

use super::{
    federation::{Federation, batch, tick},
    proxy::Path,
};
use crate::{
    consensus::{Answer, Forwarded},
    peer::testing::{node_id, until},
};

#[tokio::test]
async fn connections_that_went_silent_are_replaced_and_everything_passes_after_healing() {
    let federation = Federation::start(&[1, 2, 3]).await;
    let index = federation.write(0).await;
    for number in 1..=3 {
        federation.applied(number, index).await;
    }
    let leader = federation.leader().await;
    let follower = if leader == 1 { 2 } else { 1 };
    let silent = &federation.members[&follower];
    silent.proxy.set(Path::Silent);
    let index = federation.write(1).await;
    until("the follower has noticed that its peers are gone", || {
        silent.serving.meters.protocol_errors.get() > 0
    })
    .await;
    silent.proxy.set(Path::Open);
    federation.applied(follower, index).await;
    let index = federation.write(2).await;
    federation.applied(follower, index).await;
}

#[tokio::test]
async fn a_call_on_a_silent_lane_ends_and_the_next_one_passes_after_healing() {
    let federation = Federation::start(&[1, 2, 3]).await;
    federation.write(0).await;
    let leader = federation.leader().await;
    let from = if leader == 1 { 2 } else { 1 };
    let region = u16::try_from(from).unwrap();
    let forwarder = &federation.members[&from].forwarder;
    let limit = Duration::from_secs(20);
    let handed = forwarder.propose(node_id(leader), &batch(&[tick(from, region, 1)]), limit).await;
    assert!(matches!(handed, Ok(Forwarded::Answered(_))), "{handed:?}");
    // Only who calls the leader passes its proxy, so that it goes on leading.
    federation.members[&leader].proxy.set(Path::Silent);
    let lost = forwarder.propose(node_id(leader), &batch(&[tick(from, region, 2)]), limit).await;
    assert!(lost.is_err(), "{lost:?}");
    federation.members[&leader].proxy.set(Path::Open);
    let mut serial = 3;
    let decided = loop {
        let proposals = batch(&[tick(from, region, serial)]);
        let at = node_id(federation.leader().await);
        if let Ok(Forwarded::Answered(decided)) = forwarder.propose(at, &proposals, limit).await {
            break decided;
        }
        serial += 1;
        assert!(serial < 100);
    };
    assert!(matches!(decided[0], Answer::Decided { outcome: Outcome::Applied, .. }));
}

#[tokio::test]
async fn connections_that_break_again_and_again_lose_nothing() {
    let federation = Federation::start(&[1, 2, 3]).await;
    federation.write(0).await;
    let mut index = 0;
    for serial in 1..=10 {
        for member in federation.members.values() {
            member.proxy.cut();
        }
        index = federation.write(serial).await;
    }
    for number in 1..=3 {
        federation.applied(number, index).await;
    }
}
