//! Certificates and authorities that are replaced while nodes speak.

use std::{fs, sync::Arc};

use rcgen::date_time_ymd;

use super::wire::{Calls, Stranger, whoami};
use crate::peer::{
    CredentialError, CredentialWatch,
    limits::PeerLimits,
    testing::{Authority, Serving, TestNode, World, clock, node_id},
};

async fn two() -> (World, TestNode, TestNode, Serving) {
    let mut world = World::new();
    let server = world.node(2).await;
    let serving = server.serve(PeerLimits::default(), whoami()).await;
    world.settle(2, serving.address);
    let client = world.node(1).await;
    (world, client, server, serving)
}

#[tokio::test]
async fn a_new_certificate_is_used_by_new_connections_and_the_old_ones_stay() {
    let (world, mut client, mut server, serving) = two().await;
    let mut calls = Calls::over(client.dialer().dial(node_id(2)).await.unwrap()).await;
    calls.call().await.unwrap();
    for (node, region) in [(1, 1), (2, 2)] {
        let pair = world.authority(region).sign(&[&World::uri(region, node)], |params| {
            params.not_after = date_time_ymd(2100, 1, 1);
        });
        world.certify(node, &pair);
    }
    let before = server.metrics.peer_certificate_not_after_seconds.get();
    assert!(server.credentials.reload_if_changed().await.unwrap());
    assert!(client.credentials.reload_if_changed().await.unwrap());
    assert!(!client.credentials.reload_if_changed().await.unwrap());
    assert_ne!(server.metrics.peer_certificate_not_after_seconds.get(), before);
    assert_eq!(server.metrics.peer_certificate_not_after_seconds.get(), 4_102_444_800);

    assert_eq!(calls.call().await.unwrap(), "0000000000000001", "the old connection");
    let mut new = Calls::over(client.dialer().dial(node_id(2)).await.unwrap()).await;
    assert_eq!(new.call().await.unwrap(), "0000000000000001");
    assert_eq!(serving.meters.handshake_failures.get(), 0);
}

#[tokio::test]
async fn an_authority_follows_another_without_a_connection_lost() {
    let (world, mut client, mut server, serving) = two().await;
    let mut calls = Calls::over(client.dialer().dial(node_id(2)).await.unwrap()).await;
    let next = Authority::new("r1 next");
    let both = format!("{}{}", world.authority(1).pem, next.pem);
    let old_pair = world.authority(1).sign(&[&World::uri(1, 1)], |_| ());
    let new_pair = next.sign(&[&World::uri(1, 1)], |_| ());

    // Both authorities everywhere, then the new certificate, then the new authority alone.
    fs::write(world.path("r1-ca.pem"), both).unwrap();
    assert!(server.credentials.reload_if_changed().await.unwrap());
    assert!(client.credentials.reload_if_changed().await.unwrap());
    world.certify(1, &new_pair);
    assert!(client.credentials.reload_if_changed().await.unwrap());
    Calls::over(client.dialer().dial(node_id(2)).await.unwrap()).await.call().await.unwrap();
    let old = Stranger::with(old_pair.clone());
    assert!(old.answered(&serving, &client, &server).await, "both are trusted");

    fs::write(world.path("r1-ca.pem"), &next.pem).unwrap();
    assert!(server.credentials.reload_if_changed().await.unwrap());
    assert!(client.credentials.reload_if_changed().await.unwrap());
    Calls::over(client.dialer().dial(node_id(2)).await.unwrap()).await.call().await.unwrap();
    let old = Stranger::with(old_pair);
    assert!(!old.answered(&serving, &client, &server).await, "the old one is not trusted");
    assert_eq!(calls.call().await.unwrap(), "0000000000000001", "the first connection");
}

#[tokio::test]
async fn files_that_other_nodes_would_refuse_are_not_taken_and_the_old_go_on() {
    let (world, mut client, _server, _serving) = two().await;
    let region = world.authority(1);
    let uri = World::uri(1, 1);
    let expired = region.sign(&[&uri], |params| params.not_after = date_time_ymd(2020, 1, 1));
    let foreign = Authority::new("somebody").sign(&[&uri], |_| ());
    let misnamed = region.sign(&[&World::uri(1, 9)], |_| ());
    let unmeant = region.sign(&[&uri], |params| params.extended_key_usages.truncate(1));
    for (pair, named) in [
        (expired, "the certificate of this node"),
        (foreign, "would be refused by the other nodes"),
        (misnamed, "would be refused by the other nodes"),
        (unmeant, "would be refused by the other nodes"),
    ] {
        world.certify(1, &pair);
        let error = client.credentials.reload_if_changed().await.unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }
    let good = region.sign(&[&uri], |_| ());
    world.certify(1, &good);
    let leaf = region.sign(&[&uri], |_| ()).0;
    for bytes in [String::new(), "no PEM".to_owned(), leaf] {
        fs::write(world.path("r2-ca.pem"), bytes).unwrap();
        let error = client.credentials.reload_if_changed().await.unwrap_err();
        assert!(matches!(error, CredentialError::NoAuthority { .. }), "{error}");
        assert!(error.to_string().contains("`r2`"), "{error}");
    }
    fs::remove_file(world.path("r2-ca.pem")).unwrap();
    let error = client.credentials.reload_if_changed().await.unwrap_err();
    assert!(matches!(error, CredentialError::Authority { .. }), "{error}");
    Calls::over(client.dialer().dial(node_id(2)).await.unwrap()).await.call().await.unwrap();
}

#[tokio::test]
async fn a_node_does_not_start_with_a_certificate_of_another_node() {
    let world = World::new();
    world.certify(1, &world.authority(2).sign(&[&World::uri(2, 2)], |_| ()));
    let files = world.credential_files(1);
    let metrics = Arc::new(crate::telemetry::metrics::Metrics::new());
    let error = CredentialWatch::open(files, clock(), metrics).await.unwrap_err();
    assert!(error.to_string().contains(&World::uri(1, 1)), "{error}");
}
