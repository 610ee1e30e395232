//! Answers that go on for long: kept while they are taken, cut when they are not.

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    body::Body,
    response::{IntoResponse as _, Response},
    routing::get,
};
use bytes::Bytes;
use futures_util::stream::{repeat, unfold};
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinSet,
};

use super::harness::{Running, SHORT, patient, read_to_close, until};
use crate::net::{LongLived, limits::Limits, tls::Tls};

/// Pieces that come more slowly than a connection may be idle, and last longer than its farewell.
const PIECES: usize = 8;

fn slow_pieces() -> Body {
    let pieces = unfold(0, |count| async move {
        tokio::time::sleep(SHORT * 2).await;
        (count < PIECES).then(|| (Ok::<_, Infallible>(Bytes::from_static(b"piece;")), count + 1))
    });
    Body::from_stream(pieces)
}

fn without_end() -> Body {
    Body::from_stream(repeat(Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 4_096]))))
}

fn long_lived(body: Body) -> Response {
    let mut response = Response::new(body);
    response.extensions_mut().insert(LongLived);
    response
}

fn router() -> Router {
    Router::new()
        .route("/slow", get(async || Response::new(slow_pieces())))
        .route("/long", get(async || long_lived(slow_pieces())))
        .route("/endless", get(async || long_lived(without_end())))
        .route("/short", get(async || "short".into_response()))
}

async fn start(limits: Limits) -> Running {
    Running::start(limits, Tls::Plain, router()).await
}

#[tokio::test]
async fn a_long_answer_is_no_idle_connection() {
    let limits = Limits { idle: SHORT, header_read: Duration::from_millis(20), ..patient() };
    let server = start(limits).await;
    for (path, whole) in [("/long", true), ("/slow", false)] {
        let mut stream = server.connect().await;
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = read_to_close(&mut stream).await;
        // What is not marked is cut, as it always was; otherwise this would prove nothing.
        assert_eq!(answer.matches("piece;").count() == PIECES, whole, "{path}: {answer}");
    }
    until(|| server.meters.open.get() == 0).await;
}

#[tokio::test]
async fn a_peer_that_does_not_read_a_long_answer_is_cut() {
    let server = start(Limits { write_stall: SHORT, header_read: SHORT, ..patient() }).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    until(|| server.meters.timeouts.get() == 1).await;
    until(|| server.meters.open.get() == 0).await;
}

#[tokio::test]
async fn a_peer_that_reads_everything_but_a_long_answer_is_cut() {
    let server = start(Limits { write_stall: SHORT, header_read: SHORT, ..patient() }).await;
    let io = TokioIo::new(server.connect().await);
    let builder = http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = builder.handshake(io).await.unwrap();
    let mut driving = JoinSet::new();
    driving.spawn(async move { connection.await.is_err() });
    let ask = |path: &str| {
        let uri = format!("http://a{path}");
        Request::get(uri).body(Empty::<Bytes>::new()).unwrap()
    };
    let unread = sender.send_request(ask("/endless")).await.unwrap();
    // The connection is as busy as can be; its bytes all leave.
    while let Ok(answer) = sender.send_request(ask("/short")).await {
        let Ok(body) = answer.into_body().collect().await else { break };
        assert_eq!(body.to_bytes(), "short");
    }
    until(|| server.meters.open.get() == 0).await;
    assert_eq!(server.meters.timeouts.get(), 1);
    drop(unread);
}

#[tokio::test]
async fn a_long_answer_that_is_read_goes_on() {
    let limits = Limits { write_stall: SHORT, header_read: Duration::from_millis(20), ..patient() };
    let server = start(limits).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let began = std::time::Instant::now();
    let mut buffer = [0; 65_536];
    while began.elapsed() < SHORT * 4 {
        assert!(stream.read(&mut buffer).await.unwrap() > 0);
    }
    assert_eq!(server.meters.timeouts.get(), 0);
}
