//! What no command line of ours would send.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use tokio::{io::AsyncReadExt as _, net::UnixStream, task::JoinSet};

use super::{
    super::{AdminClient, Target, wire},
    cluster::ticket,
    lab::{Lab, id},
};

/// What came of one raw request: HTTP's status, gRPC's status, the cause.
#[derive(Debug, PartialEq, Eq)]
struct Raw {
    http: u16,
    grpc: Option<String>,
    cause: Option<String>,
}

struct Asker {
    sender: http2::SendRequest<Full<Bytes>>,
    _tasks: JoinSet<()>,
}

impl Asker {
    async fn new(lab: &Lab) -> Self {
        let io = TokioIo::new(UnixStream::connect(lab.path("admin.sock")).await.unwrap());
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async { drop(connection.await) });
        Self { sender, _tasks: tasks }
    }

    async fn send(&mut self, request: http::Request<Full<Bytes>>) -> Result<Raw, hyper::Error> {
        let (parts, body) = self.sender.send_request(request).await?.into_parts();
        let collected = body.collect().await?;
        let find = |name: &str| {
            let trailers = collected.trailers().and_then(|t| t.get(name));
            let found = parts.headers.get(name).or(trailers)?;
            Some(found.to_str().unwrap().to_owned())
        };
        let (grpc, cause) = (find("grpc-status"), find("exequatur-cause"));
        Ok(Raw { http: parts.status.as_u16(), grpc, cause })
    }

    /// The outcome of a gRPC call with these bytes as its message.
    async fn call(&mut self, method: &str, message: &[u8]) -> Raw {
        let mut body = vec![0];
        body.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
        body.extend_from_slice(message);
        self.send(request(&format!("/exequatur.admin.v1.Admin/{method}"), body)).await.unwrap()
    }
}

fn request(path: &str, body: Vec<u8>) -> http::Request<Full<Bytes>> {
    http::Request::post(format!("http://node{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::from(body))
        .unwrap()
}

const INVALID_ARGUMENT: &str = "3";
const OUT_OF_RANGE: &str = "11";
const UNIMPLEMENTED: &str = "12";
const INTERNAL: &str = "13";

#[tokio::test]
async fn messages_that_are_none_are_refused_and_recorded() {
    let lab = Lab::local().await;
    let mut asker = Asker::new(&lab).await;
    let request_id = id().to_bytes();
    let invite = |ticket: Bytes| wire::InviteRequest { request_id: request_id.clone(), ticket };
    let mut cut = ticket().seal();
    cut.pop();
    let remove = wire::RemoveRequest { node: 3, ..Default::default() };
    let promote = wire::PromoteRequest {
        request_id: request_id.clone(),
        node: 3,
        replacing: Some(3),
        ..Default::default()
    };
    let cases = [
        ("Invite", invite(Bytes::new()).encode_to_vec()),
        ("Invite", invite(cut.into()).encode_to_vec()),
        ("Invite", invite(Bytes::from_static(&[0xff; 300])).encode_to_vec()),
        ("Promote", promote.encode_to_vec()),
        ("Promote", wire::PromoteRequest { replacing: Some(0), ..promote }.encode_to_vec()),
        ("Remove", remove.encode_to_vec()),
        (
            "Remove",
            wire::RemoveRequest { request_id: request_id.slice(1..), ..remove.clone() }
                .encode_to_vec(),
        ),
        ("Remove", wire::RemoveRequest { request_id, node: 0, ..remove }.encode_to_vec()),
        ("Drain", Vec::new()),
    ];
    let count = cases.len();
    for (method, message) in cases {
        let raw = asker.call(method, &message).await;
        assert_eq!(raw.grpc.as_deref(), Some(INVALID_ARGUMENT), "{method} {message:x?}");
        assert_eq!(raw.cause.as_deref(), Some("malformed"));
    }
    assert!(lab.cluster.asked().is_empty());
    let records = lab.records().await;
    assert_eq!(records.len(), count);
    for record in records {
        assert_eq!(
            (&record["event"], &record["cause"]),
            (&"operator_refused".into(), &"malformed".into())
        );
    }
}

#[tokio::test]
async fn bytes_that_are_no_message_reach_no_handler() {
    let lab = Lab::local().await;
    let mut asker = Asker::new(&lab).await;
    for garbage in [&[0xff; 10][..], &[0x0a, 0x7f], &[0x11, 1, 2, 3], &[0x80; 64]] {
        let raw = asker.call("Remove", garbage).await;
        assert_eq!(raw.grpc.as_deref(), Some(INTERNAL), "{garbage:x?}");
        assert_eq!(raw.cause, None);
    }
    // The length before the message promises more, or the flag says it is compressed.
    for body in [vec![0, 0, 0, 0, 9, 1], vec![1, 0, 0, 0, 1, 0], vec![0xff; 5], vec![0]] {
        let raw = asker.send(request("/exequatur.admin.v1.Admin/Drain", body)).await.unwrap();
        assert!(raw.grpc.is_some_and(|status| status != "0"));
    }
    assert!(lab.cluster.asked().is_empty() && lab.records().await.is_empty());
}

#[tokio::test]
async fn messages_and_heads_have_a_limit() {
    let lab = Lab::local().await;
    let mut asker = Asker::new(&lab).await;
    let raw = asker.call("Invite", &[0; 5_000]).await;
    assert_eq!(raw.grpc.as_deref(), Some(OUT_OF_RANGE));
    let raw = asker.call("Invite", &[0; 1_000_000]).await;
    assert_ne!(raw.grpc.as_deref(), Some("0"));
    let mut asker = Asker::new(&lab).await;
    let mut long = request("/exequatur.admin.v1.Admin/Drain", vec![0; 5]);
    long.headers_mut().insert("x-long", "x".repeat(64 * 1024).parse().unwrap());
    match asker.send(long).await {
        Ok(raw) => assert_eq!(raw.http, 431),
        Err(error) => assert!(!error.is_user(), "{error:?}"),
    }
    assert!(lab.cluster.asked().is_empty());
    // The service is not impressed.
    lab.on_socket().await.status().await.unwrap();
}

#[tokio::test]
async fn there_is_nothing_but_the_service() {
    let lab = Lab::local().await;
    let mut asker = Asker::new(&lab).await;
    assert_eq!(asker.call("Shutdown", &[]).await.grpc.as_deref(), Some(UNIMPLEMENTED));
    for path in [
        "/",
        "/metrics",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.health.v1.Health/Check",
        "/exequatur.admin.v2.Admin/Drain",
        "/exequatur.peer.v1.Peer/Append",
    ] {
        let raw = asker.send(request(path, vec![0; 5])).await.unwrap();
        assert_eq!(raw.grpc.as_deref(), Some(UNIMPLEMENTED), "{path}");
    }
    assert!(lab.cluster.asked().is_empty());
}

#[tokio::test]
async fn what_a_browser_can_send_is_refused() {
    let lab = Lab::local().await;
    let mut asker = Asker::new(&lab).await;
    for media in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let mut request = request("/exequatur.admin.v1.Admin/Drain", vec![0; 5]);
        request.headers_mut().insert("content-type", media.parse().unwrap());
        assert_eq!(asker.send(request).await.unwrap().http, 415, "{media}");
    }
    let io = TokioIo::new(UnixStream::connect(lab.path("admin.sock")).await.unwrap());
    let (mut sender, connection) = http1::handshake(io).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async { drop(connection.await) });
    let mut old = request("/exequatur.admin.v1.Admin/Drain", vec![0; 5]);
    old.headers_mut().insert("host", "node".parse().unwrap());
    assert_eq!(sender.send_request(old).await.unwrap().status().as_u16(), 505);
    assert!(lab.cluster.asked().is_empty());
}

#[tokio::test]
async fn connections_have_a_limit() {
    let lab = Lab::local().await;
    let mut open = Vec::new();
    // More than fit, and some of them are closed at once.
    for _ in 0..80 {
        open.push(UnixStream::connect(lab.path("admin.sock")).await.unwrap());
    }
    let mut closed = 0;
    for stream in open.iter_mut().rev().take(16) {
        closed += usize::from(stream.read_u8().await.is_err());
    }
    assert_eq!(closed, 16);
    open.truncate(10);
    loop {
        // Room comes as soon as the service has noticed.
        let target = Target::Unix(lab.path("admin.sock"));
        if let Ok(mut client) = AdminClient::connect(&target).await
            && client.status().await.is_ok()
        {
            break;
        }
    }
}

#[tokio::test]
async fn a_deadline_of_the_client_changes_nothing() {
    let lab = Lab::local().await;
    let mut asker = Asker::new(&lab).await;
    for timeout in ["1n", "99999999H", "x", "-1S", ""] {
        let message = wire::SnapshotRequest { request_id: id().to_bytes() }.encode_to_vec();
        let mut body = vec![0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
        body.extend_from_slice(&message);
        let mut request = request("/exequatur.admin.v1.Admin/Snapshot", body);
        request.headers_mut().insert("grpc-timeout", timeout.parse().unwrap());
        let raw = asker.send(request).await.unwrap();
        assert_eq!(raw.grpc.as_deref(), Some("0"), "{timeout}");
    }
}
