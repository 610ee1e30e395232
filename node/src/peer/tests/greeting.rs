//! Whom the greeting lets in, once TLS has, and for how long.

use std::sync::Arc;

use exequatur_federation::{
    ledger::Fixed,
    membership::{HELLO_BYTES_MAX, HelloRefused},
};
use tokio::io::AsyncWriteExt as _;

use super::wire::{Calls, Stranger, channel, greet, hello, verdict, whoami};
use crate::peer::{
    DialError, GreetError,
    limits::PeerLimits,
    testing::{Known, Serving, TestNode, World, node_id, until},
};

async fn two() -> (World, TestNode, TestNode, Serving) {
    let mut world = World::new();
    let server = world.node(2).await;
    let serving = server.serve(PeerLimits::default(), whoami()).await;
    world.settle(2, serving.address);
    let client = world.node(1).await;
    (world, client, server, serving)
}

/// What a change at the client makes of a connection to the server.
async fn refusal(change: impl FnOnce(&mut Known)) -> HelloRefused {
    let (_world, client, _server, _serving) = two().await;
    client.standpoint.change(change);
    refused(&client).await
}

async fn refused(client: &TestNode) -> HelloRefused {
    let error = client.dialer().dial(node_id(2)).await.unwrap_err();
    let DialError::Greet { source: GreetError::RefusedByPeer(refused), .. } = error else {
        panic!("{error:?}");
    };
    refused
}

#[tokio::test]
async fn another_cluster_epoch_genesis_law_or_level_is_refused() {
    assert_eq!(refusal(|k| k.own.cluster = Fixed([9; 16])).await, HelloRefused::Cluster);
    assert_eq!(refusal(|k| k.own.epoch = 1).await, HelloRefused::Cluster);
    assert_eq!(refusal(|k| k.own.genesis = Fixed([9; 32])).await, HelloRefused::Genesis);
    assert_eq!(refusal(|k| k.own.law = Fixed([9; 32])).await, HelloRefused::Law);
    assert_eq!(
        refusal(|k| (k.own.levels.lowest, k.own.levels.highest) = (2, 3)).await,
        HelloRefused::Level
    );
}

#[tokio::test]
async fn a_certificate_of_one_node_and_the_greeting_of_another_are_refused() {
    assert_eq!(refusal(|k| k.own.node = node_id(3)).await, HelloRefused::Certificate);
    let region = exequatur_federation::region::RegionNumber::new(3).unwrap();
    assert_eq!(refusal(|k| k.own.region = region).await, HelloRefused::Certificate);
}

#[tokio::test]
async fn a_node_that_is_no_member_or_has_another_key_is_refused() {
    let (world, client, server, _serving) = two().await;
    server.standpoint.change(|known| {
        known.members.remove(&node_id(1));
    });
    assert_eq!(refused(&client).await, HelloRefused::Member);
    let other = world.members[&node_id(3)].key;
    server.standpoint.change(|known| {
        let mut member = world.members[&node_id(1)];
        member.key = other;
        known.members.insert(node_id(1), member);
    });
    assert_eq!(refused(&client).await, HelloRefused::Proof);
}

#[tokio::test]
async fn the_client_judges_the_server_by_the_same_rules() {
    let (_world, client, _server, _serving) = two().await;
    client.standpoint.change(|known| {
        known.members.remove(&node_id(2));
    });
    let error = client.dialer().dial(node_id(2)).await.unwrap_err();
    let refused =
        matches!(error, DialError::Greet { source: GreetError::Refused(HelloRefused::Member), .. });
    assert!(refused, "{error:?}");
}

#[tokio::test]
async fn a_greeting_that_was_recorded_on_another_connection_is_refused() {
    let (world, client, server, serving) = two().await;
    let stranger = || Stranger::with(world.authority(1).sign(&[&World::uri(1, 1)], |_| ()));
    let mut first = stranger().connect(&serving).await.unwrap();
    let recorded = hello(&client, &server, &channel(&first)).seal();
    let answer = greet(&mut first, &recorded).await.unwrap();
    assert_eq!(verdict(&answer), Ok(()));
    let mut second = stranger().connect(&serving).await.unwrap();
    let answer = greet(&mut second, &recorded).await.unwrap();
    assert_eq!(verdict(&answer), Err(HelloRefused::Proof));
}

#[tokio::test]
async fn what_is_no_greeting_is_not_answered() {
    let (world, client, server, serving) = two().await;
    let stranger = || Stranger::with(world.authority(1).sign(&[&World::uri(1, 1)], |_| ()));
    let good = hello(&client, &server, &Fixed([0; 32])).seal();
    let mut flipped = good.clone();
    flipped[20] ^= 1;
    for frame in [&[][..], &good[..good.len() - 1], &flipped, &vec![0; HELLO_BYTES_MAX + 1]] {
        let mut io = stranger().connect(&serving).await.unwrap();
        assert_eq!(greet(&mut io, frame).await, None, "{} bytes", frame.len());
    }
    // HTTP/2 without a greeting: its preface is read as a length and refused.
    let mut io = stranger().connect(&serving).await.unwrap();
    io.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    until("counted", || serving.meters.handshake_failures.get() == 5).await;
}

#[tokio::test]
async fn a_node_that_forgot_what_it_held_or_runs_twice_is_refused() {
    let (_world, client, server, _serving) = two().await;
    client.standpoint.change(|known| (known.own.starts, known.own.flushed) = (4, 10));
    client.dialer().dial(node_id(2)).await.unwrap();
    server.greeter.witness.held(node_id(1), 10);
    client.dialer().dial(node_id(2)).await.unwrap();
    client.standpoint.change(|known| known.own.flushed = 9);
    assert_eq!(refused(&client).await, HelloRefused::RolledBack);
    client.standpoint.change(|known| (known.own.starts, known.own.flushed) = (3, 10));
    assert_eq!(refused(&client).await, HelloRefused::RolledBack);
}

#[tokio::test]
async fn the_live_connection_of_a_removed_node_is_cut() {
    let (_world, client, server, _serving) = two().await;
    let mut calls = Calls::over(client.dialer().dial(node_id(2)).await.unwrap()).await;
    calls.call().await.unwrap();
    server.standpoint.change(|known| {
        known.members.remove(&node_id(1));
    });
    calls.ended().await;
    assert!(calls.call().await.is_err());
    assert_eq!(refused(&client).await, HelloRefused::Member);
    drop(Arc::clone(&server.greeter));
}
