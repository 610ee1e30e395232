//! Whom TLS lets in.

use rcgen::{ExtendedKeyUsagePurpose, date_time_ymd};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::wire::{Calls, Stranger, whoami};
use crate::peer::{
    DialError,
    limits::PeerLimits,
    testing::{Authority, Serving, TestNode, World, node_id, until},
};

/// Node 2 serves, node 1 calls.
async fn two() -> (World, TestNode, TestNode, Serving) {
    let mut world = World::new();
    let server = world.node(2).await;
    let serving = server.serve(PeerLimits::default(), whoami()).await;
    world.settle(2, serving.address);
    let client = world.node(1).await;
    (world, client, server, serving)
}

#[tokio::test]
async fn nodes_of_two_regions_speak_and_the_server_knows_who_calls() {
    let (_world, client, _server, mut serving) = two().await;
    let mut calls = Calls::over(client.dialer().dial(node_id(2)).await.unwrap()).await;
    assert_eq!(calls.call().await.unwrap(), "0000000000000001");
    assert_eq!(serving.meters.open.get(), 1);
    assert_eq!(serving.stop().await.cut, 0);
}

#[tokio::test]
async fn plain_text_is_not_answered() {
    let (_world, _client, _server, serving) = two().await;
    for text in ["GET / HTTP/1.1\r\nHost: node\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut stream = TcpStream::connect(serving.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ended = stream.read_to_end(&mut answer).await;
        // At most a TLS alert, never HTTP.
        assert!(answer.is_empty() || answer.first() == Some(&0x15), "{answer:?}");
    }
    until("counted", || serving.meters.handshake_failures.get() == 2).await;
}

#[tokio::test]
async fn strangers_with_any_other_certificate_are_not_answered() {
    let (world, client, server, serving) = two().await;
    let own = World::uri(1, 1);
    let other = Authority::new("somebody");
    let region = world.authority(1);
    let good = || region.sign(&[&own], |_| ());
    let usage = |usages: &[ExtendedKeyUsagePurpose]| {
        let usages = usages.to_vec();
        region.sign(&[&own], move |params| params.extended_key_usages = usages)
    };
    assert!(Stranger::with(good()).answered(&serving, &client, &server).await, "the control");

    let dns = |params: &mut rcgen::CertificateParams| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName("localhost".try_into().unwrap())];
    };
    let cases = [
        ("no certificate", None),
        ("other authority", Some(other.sign(&[&own], |_| ()))),
        ("authority of another region", Some(world.authority(2).sign(&[&own], |_| ()))),
        (
            "region without authority",
            Some(region.sign(&["spiffe://example/region/r9/node/0000000000000001"], |_| ())),
        ),
        (
            "other federation",
            Some(region.sign(&["spiffe://other/region/r1/node/0000000000000001"], |_| ())),
        ),
        ("no name", Some(region.sign(&[], |_| ()))),
        ("two names", Some(region.sign(&[&own, &World::uri(2, 3)], |_| ()))),
        (
            "client-facing",
            Some(region.sign(&[], |params| {
                dns(params);
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            })),
        ),
        ("server only", Some(usage(&[ExtendedKeyUsagePurpose::ServerAuth]))),
        ("no usage", Some(usage(&[]))),
        ("any usage", Some(usage(&[ExtendedKeyUsagePurpose::Any]))),
        ("expired", Some(region.sign(&[&own], |p| p.not_after = date_time_ymd(2020, 1, 1)))),
        ("not yet valid", Some(region.sign(&[&own], |p| p.not_before = date_time_ymd(2999, 1, 1)))),
    ];
    let count = cases.len() as u64;
    for (case, pair) in cases {
        let stranger = Stranger { pair, ..Stranger::with(good()) };
        assert!(!stranger.answered(&serving, &client, &server).await, "{case}");
    }
    until("counted", || serving.meters.handshake_failures.get() == count).await;
    assert_eq!(
        Calls::over(client.dialer().dial(node_id(2)).await.unwrap()).await.call().await.unwrap(),
        "0000000000000001"
    );
}

#[tokio::test]
async fn another_protocol_or_an_old_version_of_tls_is_not_answered() {
    let (world, client, server, serving) = two().await;
    let good = || world.authority(1).sign(&[&World::uri(1, 1)], |_| ());
    for protocols in [vec![], vec![b"h2".to_vec()], vec![b"exequatur-peer/2".to_vec()]] {
        let stranger = Stranger { protocols: protocols.clone(), ..Stranger::with(good()) };
        assert!(!stranger.answered(&serving, &client, &server).await, "{protocols:?}");
    }
    let old = Stranger { old: true, ..Stranger::with(good()) };
    assert!(old.connect(&serving).await.is_err());
}

#[tokio::test]
async fn who_answers_must_be_the_node_that_was_dialled() {
    let (mut world, _client, _server, serving) = two().await;
    // The address of node 3 leads to node 2.
    world.settle(3, serving.address);
    let client = world.node(1).await;
    let error = client.dialer().dial(node_id(3)).await.unwrap_err();
    assert!(matches!(error, DialError::Connect(_)), "{error}");
    let text = whole_text(&error);
    assert!(text.contains(&World::uri(2, 2)) && text.contains(&World::uri(3, 3)), "{text}");
}

#[tokio::test]
async fn a_node_does_not_dial_itself_or_one_without_an_address() {
    let (_world, client, _server, _serving) = two().await;
    let own = client.dialer().dial(node_id(1)).await.unwrap_err();
    assert!(matches!(own, DialError::Itself { .. }), "{own}");
    let unknown = client.dialer().dial(node_id(77)).await.unwrap_err();
    assert!(unknown.to_string().contains("`[[region.node]]`"), "{unknown}");
}

#[tokio::test]
async fn connections_that_never_greet_are_few_and_end() {
    let mut world = World::new();
    let server = world.node(2).await;
    let limits = PeerLimits {
        handshakes_max: 3,
        handshake: std::time::Duration::from_millis(300),
        ..PeerLimits::default()
    };
    let serving = server.serve(limits, whoami()).await;
    world.settle(2, serving.address);
    let mut silent = Vec::new();
    for _ in 0..5 {
        silent.push(TcpStream::connect(serving.address).await.unwrap());
    }
    until("two too many", || serving.meters.refused.get() == 2).await;
    until("three too slow", || serving.meters.handshake_failures.get() == 3).await;
    let client = world.node(1).await;
    client.dialer().dial(node_id(2)).await.unwrap();
}

#[tokio::test]
async fn a_node_has_only_so_many_connections() {
    let mut world = World::new();
    let server = world.node(2).await;
    let limits = PeerLimits { connections_per_node_max: 2, ..PeerLimits::default() };
    let serving = server.serve(limits, whoami()).await;
    world.settle(2, serving.address);
    let client = world.node(1).await;
    let dialer = client.dialer();
    let mut first = Calls::over(dialer.dial(node_id(2)).await.unwrap()).await;
    let _second = Calls::over(dialer.dial(node_id(2)).await.unwrap()).await;
    let mut third = Calls::over(dialer.dial(node_id(2)).await.unwrap()).await;
    third.ended().await;
    assert_eq!(first.call().await.unwrap(), "0000000000000001");
    drop(first);
    until("one went", || serving.meters.open.get() == 1).await;
    let mut fourth = Calls::over(dialer.dial(node_id(2)).await.unwrap()).await;
    assert_eq!(fourth.call().await.unwrap(), "0000000000000001");
}

fn whole_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
