//! Calls that no honest node makes.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use exequatur_federation::{
    ledger::{LogEntry, Vote},
    membership::NodeId,
};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::task::JoinSet;
use tonic::{
    Code,
    transport::{Channel, Endpoint, Uri},
};

use crate::{
    consensus::convert::proto::{self, peer_client::PeerClient},
    peer::testing::{TestNode, node_id},
};

/// A client without any of the checks that ours has, on an honest connection of `node`.
pub(super) fn client(node: &TestNode, to: NodeId) -> PeerClient<Channel> {
    let dialer = Arc::new(node.dialer());
    let connector = tower::service_fn(move |_: Uri| {
        let dialer = Arc::clone(&dialer);
        async move { dialer.dial(to).await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://node").connect_with_connector_lazy(connector);
    PeerClient::new(channel).max_encoding_message_size(64 * 1024 * 1024)
}

pub(super) fn vote(term: u64, node: u64, committed: bool) -> Bytes {
    Vote { term, node: node_id(node), committed }.seal().into()
}

/// An append of the leader `node` without a previous entry.
pub(super) fn append(term: u64, node: u64, entries: &[LogEntry]) -> proto::AppendRequest {
    proto::AppendRequest {
        vote: vote(term, node, true),
        previous: None,
        entries: entries.iter().map(|entry| entry.seal().into()).collect(),
        committed: None,
    }
}

pub(super) fn ballot(term: u64, node: u64) -> proto::VoteRequest {
    let last = proto::LogId { term: term - 1, leader: node, index: 1_000_000 };
    proto::VoteRequest {
        vote: vote(term, node, false),
        last: Some(last),
        leadership_transfer: true,
    }
}

/// One message as gRPC frames it.
pub(super) fn framed(compressed: bool, message: &[u8]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(compressed.into());
    bytes.put_u32(u32::try_from(message.len()).unwrap());
    bytes.put_slice(message);
    bytes.freeze()
}

/// Posts bytes to a method; the gRPC code, or the HTTP status if there is none, or `None` if the
/// stream broke.
pub(super) async fn post(
    node: &TestNode,
    to: NodeId,
    path: &str,
    (headers, body): (HeaderMap, Bytes),
) -> Option<Result<Code, u16>> {
    let io = node.dialer().dial(to).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .handshake(TokioIo::new(io))
        .await
        .unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async {
        let _ended = connection.await;
    });
    let mut request = Request::post(format!("http://node{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(body))
        .unwrap();
    request.headers_mut().extend(headers);
    let answer = sender.send_request(request).await.ok()?;
    let status = answer.status().as_u16();
    let in_head = answer.headers().get("grpc-status").cloned();
    let body = answer.into_body().collect().await.ok()?;
    let in_trailers = body.trailers().and_then(|trailers| trailers.get("grpc-status")).cloned();
    Some(match in_head.or(in_trailers) {
        Some(code) => Ok(Code::from_bytes(code.as_bytes())),
        None => Err(status),
    })
}
