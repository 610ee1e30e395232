//! Framing, heads and bodies that are malformed, ambiguous or too large (reliability 5.3).

use tokio::io::AsyncWriteExt as _;

use super::harness::{Running, SHORT, patient, read_to_close};
use crate::net::limits::{HEADERS_MAX, Limits};

/// Writes `bytes`, ends the sending side, and returns all that comes back.
async fn send(server: &Running, bytes: &[u8]) -> String {
    let mut stream = server.connect().await;
    // The server may close before it has read everything; what it answered counts.
    let _sent = stream.write_all(bytes).await;
    read_to_close(&mut stream).await
}

/// Connections in these tests end by the server's own decision or by a short idle time.
fn limits() -> Limits {
    Limits { idle: SHORT, ..patient() }
}

fn statuses(answers: &str) -> Vec<&str> {
    answers.split("HTTP/1.").skip(1).map(|a| a.split(' ').nth(1).unwrap()).collect()
}

/// What is sent, with its name before it and the status of the answer after it.
const HEADS_AND_FRAMING: &[(&str, &str, &str)] = &[
    (
        "two lengths",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        "400",
    ),
    (
        "equal lengths",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nxx",
        "200",
    ),
    ("length list", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2, 2\r\n\r\nxx", "400"),
    ("negative length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", "400"),
    ("signed length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\nxx", "400"),
    (
        "length overflow",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "400",
    ),
    (
        "last coding not chunked",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
        "400",
    ),
    ("unknown coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "400"),
    (
        "coding in 1.0",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "400",
    ),
    (
        "chunked",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "200",
    ),
    (
        "bad chunk size",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
        "400",
    ),
    (
        "chunk overflow",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        "400",
    ),
    (
        "chunk without end",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcXX",
        "400",
    ),
    ("folded header", "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n", "400"),
    ("space before colon", "GET / HTTP/1.1\r\nHost: a\r\nX-A : b\r\n\r\n", "400"),
    ("NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n\r\n", "400"),
    ("bare CR in a value", "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\rc\r\n\r\n", "400"),
    ("bare LF, as RFC 9112 2.2 allows", "GET / HTTP/1.1\nHost: a\n\n", "200"),
    ("HTTP/0.9", "GET /\r\n\r\n", "400"),
    ("HTTP/3.0", "GET / HTTP/3.0\r\nHost: a\r\n\r\n", "400"),
    ("no host", "GET / HTTP/1.1\r\n\r\n", "400"),
    ("two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"),
    ("same host twice", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400"),
    ("host with user", "GET / HTTP/1.1\r\nHost: x@a\r\n\r\n", "400"),
    ("no host in 1.0", "GET / HTTP/1.0\r\n\r\n", "200"),
    (
        "upgrade to h2c is not taken",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
        "200",
    ),
];

#[tokio::test]
async fn malformed_requests_are_refused_and_well_formed_ones_served() {
    let server = Running::plain(limits()).await;
    for (name, request, status) in HEADS_AND_FRAMING {
        let answer = send(&server, request.as_bytes()).await;
        assert_eq!(statuses(&answer), [*status], "{name}: {answer}");
    }
}

#[tokio::test]
async fn a_request_with_length_and_coding_is_the_last_of_its_connection() {
    let server = Running::plain(patient()).await;
    for head in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
    ] {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
        );
        let answer = send(&server, request.as_bytes()).await;
        assert_eq!(statuses(&answer), ["200"], "{answer}");
        assert!(answer.ends_with("a 0"), "the coding counts, not the length: {answer}");
    }
}

#[tokio::test]
async fn an_absolute_target_names_the_addressee_and_host_does_not() {
    let server = Running::plain(limits()).await;
    let request = b"GET http://eu.example/ HTTP/1.1\r\nHost: us.example\r\n\r\n";
    assert!(send(&server, request).await.ends_with("eu.example 0"));
}

#[tokio::test]
async fn heads_over_the_limits_are_refused() {
    let server = Running::plain(limits()).await;
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX-A: {}\r\n\r\n", "a".repeat(100_000));
    assert_eq!(statuses(&send(&server, long.as_bytes()).await), ["431"]);
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(1_000));
    assert_eq!(statuses(&send(&server, many.as_bytes()).await), ["431"]);
    let exact = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(HEADERS_MAX - 1));
    assert_eq!(statuses(&send(&server, exact.as_bytes()).await), ["200"]);
    let target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(100_000));
    let answer = send(&server, target.as_bytes()).await;
    assert!(["414", "431"].contains(&statuses(&answer)[0]), "{answer}");
}

#[tokio::test]
async fn bodies_over_the_limit_are_refused_declared_or_not() {
    let server = Running::plain(Limits { body_bytes_max: 10, ..limits() }).await;
    for (name, rest, status) in [
        ("declared, nothing sent", "Content-Length: 11\r\n\r\n", "413"),
        ("declared and exact", "Content-Length: 10\r\n\r\n0123456789", "200"),
        (
            "chunked over",
            "Transfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n5\r\nabcde\r\n0\r\n\r\n",
            "413",
        ),
        (
            "chunked exact",
            "Transfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n4\r\nabcd\r\n0\r\n\r\n",
            "200",
        ),
    ] {
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{rest}");
        let answer = send(&server, request.as_bytes()).await;
        assert_eq!(statuses(&answer), [status], "{name}: {answer}");
    }
}

#[tokio::test]
async fn a_chunk_extension_of_a_megabyte_is_refused() {
    let server = Running::plain(limits()).await;
    let request = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x={}\r\nabc\r\n0\r\n\r\n",
        "a".repeat(1_000_000),
    );
    let answer = send(&server, request.as_bytes()).await;
    assert!(!statuses(&answer).contains(&"200"), "{answer}");
}
