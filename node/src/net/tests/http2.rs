//! HTTP/2 over the serve loop, by prior knowledge, with frames written by hand (RFC 9113).

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;

use super::harness::{Running, SHORT, patient, until};
use crate::net::limits::Limits;
use crate::net::serve::Drained;

const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const GOAWAY: u8 = 0x7;
const CONTINUATION: u8 = 0x9;
const END_STREAM: u8 = 0x1;
const END_STREAM_AND_HEADERS: u8 = 0x5;
const ENHANCE_YOUR_CALM: u32 = 0xb;

/// `GET http://a/` in HPACK: three entries of the static table and a literal `:authority`.
const GET: &[u8] = b"\x82\x86\x84\x41\x01a";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The error code of the GOAWAY frame that ends the connection, if there is one.
async fn goaway(io: &mut (impl tokio::io::AsyncRead + Unpin)) -> Option<u32> {
    let mut head = [0; 9];
    while io.read_exact(&mut head).await.is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        io.read_exact(&mut payload).await.ok()?;
        if head[3] == GOAWAY {
            return Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
    }
    None
}

#[tokio::test]
async fn streams_reset_before_they_are_served_end_the_connection() {
    // Fewer than the HTTP library's own limit of 20, so that ours is seen.
    let server = Running::plain(Limits { reset_streams_max: 4, ..patient() }).await;
    let mut stream = server.connect().await;
    let mut bytes = hello(&[]);
    for id in (1..=31).step_by(2) {
        bytes.extend(frame(HEADERS, END_STREAM_AND_HEADERS, id, GET));
        bytes.extend(frame(RST_STREAM, 0, id, &8_u32.to_be_bytes()));
    }
    // The server may stop reading before the end.
    let _sent = stream.write_all(&bytes).await;
    assert_eq!(goaway(&mut stream).await, Some(ENHANCE_YOUR_CALM));
    until(|| server.meters.open.get() == 0).await;
}

/// The preface and `settings`, with which each connection begins.
fn hello(settings: &[u8]) -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, settings)].concat()
}

#[tokio::test]
async fn a_header_block_without_end_ends_the_connection() {
    let server = Running::plain(patient()).await;
    let mut stream = server.connect().await;
    let mut bytes = hello(&[]);
    bytes.extend(frame(HEADERS, END_STREAM, 1, GET));
    for _ in 0..10_000 {
        bytes.extend(frame(CONTINUATION, 0, 1, b"\x00\x01x\x01y"));
    }
    // The server may stop reading before the end.
    let _sent = stream.write_all(&bytes).await;
    assert!(goaway(&mut stream).await.is_some_and(|error| error != 0));
    until(|| server.meters.open.get() == 0).await;
}

#[tokio::test]
async fn an_answer_that_may_not_be_sent_does_not_hold_the_connection() {
    const INITIAL_WINDOW_SIZE_0: &[u8] = &[0, 4, 0, 0, 0, 0];
    let server = Running::plain(Limits { idle: SHORT, ..patient() }).await;
    let mut stream = server.connect().await;
    let mut bytes = hello(INITIAL_WINDOW_SIZE_0);
    bytes.extend(frame(HEADERS, END_STREAM_AND_HEADERS, 1, GET));
    stream.write_all(&bytes).await.unwrap();
    until(|| server.meters.open.get() == 1).await;
    until(|| server.meters.open.get() == 0).await;
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_the_stop() {
    let mut server = Running::plain(patient()).await;
    let mut tasks = JoinSet::new();
    let mut sender = connect(&server, &mut tasks).await;
    let get = Request::get("http://eu.example/").body(Empty::new()).unwrap();
    assert_eq!(sender.send_request(get).await.unwrap().status(), StatusCode::OK);
    server.stop();
    assert_eq!(server.ended().await, Drained { cut: 0 });
}

async fn connect(server: &Running, tasks: &mut JoinSet<()>) -> http2::SendRequest<Empty<Bytes>> {
    let io = TokioIo::new(server.connect().await);
    let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tasks.spawn(async move {
        let _ended = connection.await;
    });
    sender
}

#[tokio::test]
async fn requests_of_one_connection_are_answered_side_by_side() {
    let server = Running::plain(patient()).await;
    let mut tasks = JoinSet::new();
    let mut sender = connect(&server, &mut tasks).await;
    let get = || Request::get("http://eu.example/").body(Empty::new()).unwrap();
    let (one, two) = (sender.send_request(get()), sender.send_request(get()));
    let (one, two) = tokio::join!(one, two);
    for answer in [one.unwrap(), two.unwrap()] {
        assert_eq!(answer.status(), StatusCode::OK);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "eu.example 0");
    }
}

#[tokio::test]
async fn a_header_list_over_the_limit_is_refused() {
    // Shorter than the HTTP library's own limit of 16 KiB, so that ours is seen.
    let server = Running::plain(Limits { header_bytes_max: 8 * 1024, ..patient() }).await;
    let mut tasks = JoinSet::new();
    let mut sender = connect(&server, &mut tasks).await;
    let mut request = Request::get("http://eu.example/");
    for index in 0..10 {
        request = request.header(format!("x-{index}"), "a".repeat(1_000));
    }
    let answer = sender.send_request(request.body(Empty::new()).unwrap()).await;
    let refused = answer.map(|answer| answer.status());
    assert_eq!(refused.unwrap(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
}

#[tokio::test]
async fn a_connection_without_streams_is_closed_when_idle() {
    let server = Running::plain(Limits { idle: SHORT, ..patient() }).await;
    let mut tasks = JoinSet::new();
    let mut sender = connect(&server, &mut tasks).await;
    let get = Request::get("http://eu.example/").body(Empty::new()).unwrap();
    assert_eq!(sender.send_request(get).await.unwrap().status(), StatusCode::OK);
    tasks.join_next().await.unwrap().unwrap();
    assert_eq!(server.meters.timeouts.get(), 0);
}
