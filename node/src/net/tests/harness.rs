//! A server on loopback, and a client that writes what no library would.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::net::body::{BodyError, read_body};
use crate::net::limits::Limits;
use crate::net::serve::{Drained, Server};
use crate::net::target::authority;
use crate::net::tls::Tls;
use crate::telemetry::metrics::{ConnectionMeters, Metrics};

/// For limits that a test does not want to be hit.
pub(super) const LONG: Duration = Duration::from_secs(3_600);

/// For limits that a test waits for.
pub(super) const SHORT: Duration = Duration::from_millis(150);

/// A running server; it is cut when dropped.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    pub(super) meters: ConnectionMeters,
    stop: Option<oneshot::Sender<()>>,
    server: JoinSet<Drained>,
}

impl Running {
    pub(super) async fn start(limits: Limits, tls: Tls, router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let meters = Metrics::new().connections("test");
        let (stop, stopped) = oneshot::channel();
        let server = Server { service: router, tls, limits, meters: meters.clone() };
        let mut servers = JoinSet::new();
        servers.spawn(server.serve(listener, async {
            let _told = stopped.await;
        }));
        Self { address, meters, stop: Some(stop), server: servers }
    }

    pub(super) async fn plain(limits: Limits) -> Self {
        Self::start(limits, Tls::Plain, echo()).await
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    pub(super) fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    pub(super) async fn ended(&mut self) -> Drained {
        self.server.join_next().await.unwrap().unwrap()
    }
}

/// Limits of which only the sizes are hit.
pub(super) fn patient() -> Limits {
    Limits {
        handshake: LONG,
        header_read: LONG,
        body_read: LONG,
        idle: LONG,
        write_stall: LONG,
        ping_interval: LONG,
        ..Limits::public()
    }
}

/// Answers with the addressee and the number of body bytes, or with what is wrong with the body.
pub(super) fn echo() -> Router {
    Router::new().fallback(|request: Request| async {
        let (parts, body) = request.into_parts();
        let host = authority(&parts).map(|a| a.to_string()).unwrap_or_default();
        body_answer(&host, body).await
    })
}

async fn body_answer(host: &str, body: Body) -> Response {
    match read_body(body).await {
        Ok(bytes) => format!("{host} {}", bytes.len()).into_response(),
        Err(BodyError::TooLong { .. }) => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Err(BodyError::TooSlow { .. }) => StatusCode::REQUEST_TIMEOUT.into_response(),
        Err(BodyError::Broken(_)) => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// Everything that comes until the other side closes, cleanly or not.
pub(super) async fn read_to_close<Io: AsyncRead + Unpin>(io: &mut Io) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4_096];
    while let Ok(read @ 1..) = io.read(&mut buffer).await {
        bytes.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// One answer with a `Content-Length`, and nothing after it.
pub(super) async fn read_answer<Io: AsyncRead + Unpin>(io: &mut Io) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|l| l.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |l| l.parse().unwrap()) {
                return text;
            }
        }
        let byte = io.read_u8().await.unwrap_or_else(|e| panic!("{e} after `{text}`"));
        bytes.push(byte);
    }
}

/// Sends a request and reads its answer; the connection stays open.
pub(super) async fn ask<Io: AsyncRead + AsyncWrite + Unpin>(io: &mut Io) -> String {
    io.write_all(b"GET / HTTP/1.1\r\nHost: eu.example\r\n\r\n").await.unwrap();
    read_answer(io).await
}

/// Waits until `condition` holds; the test's own timeout ends it otherwise.
pub(super) async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A certificate for `localhost` signed by itself, with its key; both as PEM.
pub(super) fn self_signed() -> (String, String) {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (pair.cert.pem(), pair.signing_key.serialize_pem())
}

/// The metrics that a part wants and a test does not look at.
pub(super) fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new())
}
