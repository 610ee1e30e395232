//! Lanes: a node reaches another over one connection for each purpose, so that a heartbeat never
//! waits behind a snapshot. A lane connects when it is first used and again when it broke.

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use exequatur_federation::membership::NodeId;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;
use tonic::{
    Response, Status,
    transport::{Channel, Endpoint, Uri},
};

use crate::{
    consensus::convert::{WireError, proto::peer_client::PeerClient},
    peer::{
        Dialer,
        limits::{CONNECTION_WINDOW_BYTES, MESSAGE_BYTES_MAX, STREAM_WINDOW_BYTES},
        transport::PeerConnector,
    },
};

/// Time to connect: eight of the longest round trips, and two lost packets.
const CONNECT: Duration = Duration::from_secs(4);

/// A lane on which calls time out and none has succeeded for so long is built anew. It is longer
/// than connecting takes, or else a slow path would never be connected.
const SILENT_FOR: Duration = Duration::from_secs(5);

/// Where calls go is decided by the dialler; HTTP wants an address all the same.
const NOWHERE: &str = "http://node.exequatur.invalid";

/// What a lane is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    /// Heartbeats, votes, transfers and probes: small, and useless when late.
    Heartbeat,
    /// Entries.
    Append,
    /// Snapshots.
    Snapshot,
    /// Proposals to the leader.
    Forward,
}

/// All lanes of a node.
#[derive(Debug)]
pub(super) struct Lanes<C> {
    dialer: Arc<Dialer<C>>,
    lanes: Mutex<ByPurpose<C>>,
}

type ByPurpose<C> = BTreeMap<(NodeId, Purpose), Arc<Lane<C>>>;

/// One lane.
#[derive(Debug)]
pub(super) struct Lane<C> {
    dialer: Arc<Dialer<C>>,
    node: NodeId,
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    channel: Channel,
    alive_at: Instant,
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// None came in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The other node cannot be reached, or refuses the call.
    #[error("{}: {}{}", .0.code(), .0.message(), causes(.0))]
    Refused(Box<Status>),
    /// The answer is none.
    #[error(transparent)]
    Answer(#[from] WireError),
}

/// What lies behind a status of the transport, whose own text says nothing.
fn causes(status: &Status) -> String {
    let mut text = String::new();
    let mut cause = status.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl From<Status> for CallError {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

impl<C: PeerConnector> Lanes<C> {
    pub(super) fn new(dialer: Arc<Dialer<C>>) -> Self {
        Self { dialer, lanes: Mutex::default() }
    }

    /// The lane to a node, shared by all who use it for the purpose.
    pub(super) fn lane(&self, node: NodeId, purpose: Purpose) -> Arc<Lane<C>> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let dialer = Arc::clone(&self.dialer);
            Arc::new(Lane { dialer, node, open: Mutex::default() })
        };
        Arc::clone(lanes.entry((node, purpose)).or_insert_with(new))
    }
}

impl<C: PeerConnector> Lane<C> {
    /// A client on the lane's connection.
    pub(super) fn client(&self) -> PeerClient<Channel> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let open = open.get_or_insert_with(|| {
            let channel = channel(Arc::clone(&self.dialer), self.node);
            Open { channel, alive_at: Instant::now() }
        });
        PeerClient::new(open.channel.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// An answer came.
    pub(super) fn alive(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = &mut *open {
            open.alive_at = Instant::now();
        }
    }

    /// No answer came in time.
    pub(super) fn silent(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_some_and(|open| open.alive_at.elapsed() >= SILENT_FOR) {
            *open = None;
        }
    }

    /// Makes one call and waits at most `limit` for its answer.
    pub(super) async fn call<T, F>(
        &self,
        limit: Duration,
        call: impl FnOnce(PeerClient<Channel>) -> F,
    ) -> Result<T, CallError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let Ok(answer) = tokio::time::timeout(limit, call(self.client())).await else {
            self.silent();
            return Err(CallError::TimedOut(limit));
        };
        let answer = answer?;
        self.alive();
        Ok(answer.into_inner())
    }
}

fn channel<C: PeerConnector>(dialer: Arc<Dialer<C>>, node: NodeId) -> Channel {
    let limits = dialer.limits;
    let connector = tower::service_fn(move |_: Uri| {
        let dialer = Arc::clone(&dialer);
        async move { dialer.dial(node).await.map(TokioIo::new) }
    });
    Endpoint::from_static(NOWHERE)
        .connect_timeout(CONNECT)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX))
        .http2_keep_alive_interval(limits.ping_interval)
        .keep_alive_timeout(limits.ping_timeout)
        .keep_alive_while_idle(true)
        .connect_with_connector_lazy(connector)
}
