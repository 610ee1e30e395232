//! Peers that are slow on purpose, and too many of them (reliability 5.3).

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::io::AsyncWriteExt as _;

use super::harness::{LONG, Running, SHORT, ask, patient, read_answer, read_to_close, until};
use crate::net::limits::Limits;
use crate::net::tls::Tls;

/// Bytes that no loopback socket buffers.
const MORE_THAN_SOCKETS_HOLD: usize = 32 * 1024 * 1024;

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let server = Running::plain(Limits { header_read: SHORT, ..patient() }).await;
    assert_eq!(read_to_close(&mut server.connect().await).await, "");
    until(|| server.meters.open.get() == 0).await;
    assert_eq!(server.meters.timeouts.get(), 1);
}

#[tokio::test]
async fn half_a_head_is_cut_even_before_http2_can_be_told_from_http1() {
    let server = Running::plain(Limits { header_read: SHORT, ..patient() }).await;
    for half in ["GET / HTTP/1.1\r\nHost: eu.exa", "PRI * HTTP/2.0\r\n\r\nSM", "P"] {
        let mut stream = server.connect().await;
        stream.write_all(half.as_bytes()).await.unwrap();
        assert_eq!(read_to_close(&mut stream).await, "", "{half}");
    }
    assert_eq!(server.meters.timeouts.get(), 3);
}

#[tokio::test]
async fn a_head_sent_byte_by_byte_is_cut() {
    let server = Running::plain(Limits { header_read: SHORT, ..patient() }).await;
    let (mut reading, mut writing) = server.connect().await.into_split();
    let trickle = async {
        writing.write_all(b"GET / HTTP/1.1\r\nX-Slow: ").await.unwrap();
        while writing.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let (answer, ()) = tokio::join!(read_to_close(&mut reading), trickle);
    assert_eq!(answer, "");
}

#[tokio::test]
async fn a_second_head_has_the_same_deadline_as_the_first() {
    let limits = Limits { header_read: SHORT, idle: LONG, ..patient() };
    let server = Running::plain(limits).await;
    let mut stream = server.connect().await;
    assert!(ask(&mut stream).await.contains("200 OK"));
    stream.write_all(b"GET / HT").await.unwrap();
    assert_eq!(read_to_close(&mut stream).await, "");
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_not_counted_as_slow() {
    let server = Running::plain(Limits { idle: SHORT, ..patient() }).await;
    let mut stream = server.connect().await;
    assert!(ask(&mut stream).await.contains("200 OK"));
    assert_eq!(read_to_close(&mut stream).await, "");
    until(|| server.meters.open.get() == 0).await;
    assert_eq!(server.meters.timeouts.get(), 0);
}

#[tokio::test]
async fn a_body_that_does_not_arrive_in_time_gets_408_and_the_connection_ends() {
    let server = Running::plain(Limits { body_read: SHORT, ..patient() }).await;
    let (mut reading, mut writing) = server.connect().await.into_split();
    let trickle = async {
        writing
            .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n")
            .await
            .unwrap();
        while writing.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let (answer, ()) = tokio::join!(read_to_close(&mut reading), trickle);
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn a_peer_that_does_not_read_its_answer_is_cut() {
    let body = vec![b'x'; MORE_THAN_SOCKETS_HOLD];
    let router = Router::new().route("/", get(move || async move { body }));
    let limits = Limits { write_stall: SHORT, header_read: SHORT, ..patient() };
    let server = Running::start(limits, Tls::Plain, router).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    until(|| server.meters.timeouts.get() == 1).await;
    assert!(read_to_close(&mut stream).await.len() < MORE_THAN_SOCKETS_HOLD);
}

#[tokio::test]
async fn a_full_listener_closes_new_connections_and_serves_again_when_there_is_room() {
    let server = Running::plain(Limits { connections_max: 1, ..patient() }).await;
    let mut first = server.connect().await;
    assert!(ask(&mut first).await.contains("200 OK"));
    let mut second = server.connect().await;
    assert_eq!(read_to_close(&mut second).await, "");
    assert_eq!(server.meters.refused.get(), 1);
    assert!(ask(&mut first).await.contains("200 OK"), "the first is not disturbed");
    drop(first);
    until(|| server.meters.open.get() == 0).await;
    assert!(ask(&mut server.connect().await).await.contains("200 OK"));
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Running::plain(patient()).await;
    let mut stream = server.connect().await;
    let two = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: b\r\n\r\n";
    stream.write_all(two).await.unwrap();
    assert!(read_answer(&mut stream).await.ends_with("a 0"));
    assert!(read_answer(&mut stream).await.ends_with("b 0"));
}
