//! Stopping: what is under way ends well, what hangs is cut, and errors do not stop the loop.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncWriteExt as _, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::harness::{Running, SHORT, ask, echo, metrics, patient, read_to_close};
use crate::net::limits::Limits;
use crate::net::listener::{Listener, Origin};
use crate::net::serve::{Drained, Server};
use crate::net::tls::Tls;

/// A handler that says when it begins and ends when it is told.
fn gated() -> (Router, Arc<Semaphore>, Arc<Semaphore>) {
    let (begun, may_end) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (begins, ends) = (Arc::clone(&begun), Arc::clone(&may_end));
    let handler = move || async move {
        begins.add_permits(1);
        let _permit = ends.acquire().await.unwrap();
        "done"
    };
    (Router::new().route("/", get(handler)), begun, may_end)
}

#[tokio::test]
async fn a_request_under_way_is_answered_before_the_server_ends() {
    let (router, begun, may_end) = gated();
    let mut server = Running::start(patient(), Tls::Plain, router).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let _begun = begun.acquire().await.unwrap();
    server.stop();
    while TcpStream::connect(server.address).await.is_ok() {}
    may_end.add_permits(1);
    let answer = read_to_close(&mut stream).await;
    assert!(answer.ends_with("done"), "{answer}");
    assert_eq!(server.ended().await, Drained { cut: 0 });
}

#[tokio::test]
async fn idle_and_silent_connections_do_not_hold_up_the_stop() {
    let mut server = Running::plain(patient()).await;
    let mut idle = server.connect().await;
    assert!(ask(&mut idle).await.contains("200 OK"));
    let mut silent = server.connect().await;
    // The silent connection is known to be accepted once a later one was served.
    assert!(ask(&mut server.connect().await).await.contains("200 OK"));
    server.stop();
    assert_eq!(server.ended().await, Drained { cut: 0 });
    assert_eq!(read_to_close(&mut idle).await, "");
    assert_eq!(read_to_close(&mut silent).await, "");
}

#[tokio::test]
async fn a_request_that_hangs_is_cut_when_the_drain_time_is_over() {
    let (router, begun, _never) = gated();
    let mut server = Running::start(Limits { drain: SHORT, ..patient() }, Tls::Plain, router).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let _begun = begun.acquire().await.unwrap();
    server.stop();
    assert_eq!(server.ended().await, Drained { cut: 1 });
    assert_eq!(read_to_close(&mut stream).await, "");
}

/// A listener without sockets: results in order, then silence.
struct Scripted(VecDeque<io::Result<DuplexStream>>);

impl Listener for Scripted {
    type Io = DuplexStream;

    async fn accept(&mut self) -> io::Result<(DuplexStream, Origin)> {
        match self.0.pop_front() {
            Some(result) => Ok((result?, Origin::Network(SocketAddr::from(([192, 0, 2, 1], 443))))),
            None => std::future::pending().await,
        }
    }
}

#[tokio::test]
async fn accept_errors_do_not_stop_the_loop() {
    const EMFILE: i32 = 24;
    let (mut client, server_end) = tokio::io::duplex(4_096);
    let listener = Scripted(VecDeque::from([
        Err(io::Error::from_raw_os_error(EMFILE)),
        Err(io::ErrorKind::ConnectionAborted.into()),
        Err(io::Error::from_raw_os_error(EMFILE)),
        Ok(server_end),
    ]));
    let meters = metrics().connections("test");
    let server = Server { service: echo(), tls: Tls::Plain, limits: patient(), meters };
    let mut servers = JoinSet::new();
    servers.spawn(server.serve(listener, std::future::pending()));
    assert!(ask(&mut client).await.contains("200 OK"));
}
