//! Serves connections of other nodes: secure, greet, then HTTP/2 until either end leaves, the node
//! stops, or the other end is no member any more.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    error::Error,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use exequatur_federation::membership::{Certified, NodeId, Standing};
use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};
use tower::{Service, ServiceExt as _};

use super::{
    greeter::{GreetError, Greeter},
    limits::{CONNECTION_WINDOW_BYTES, PeerLimits, STREAM_WINDOW_BYTES},
    transport::{PeerAcceptor, PeerIo},
};
use crate::{
    net::{
        listener::{Listener, Origin},
        serve::{Drained, OpenConnection, drain, next_connection, report_panic},
    },
    telemetry::{address::TruncatedAddress, metrics::ConnectionMeters},
};

/// Streams that the other end reset before they were served (rapid reset, CVE-2023-44487).
const RESET_STREAMS_MAX: usize = 20;
/// Streams that we reset because of the other end's errors (CVE-2025-8671).
const ERROR_STREAMS_MAX: usize = 64;

/// What answers the calls of other nodes; each carries the [`Certified`] that makes it.
pub trait Answers:
    Service<
        Request<Incoming>,
        Response = Response<Self::Body>,
        Error = Infallible,
        Future: Future<Output = Result<Response<Self::Body>, Infallible>> + Send + 'static,
    > + Clone
    + Send
    + Sync
    + 'static
{
    /// Bodies of answers.
    type Body: http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>>
        + Send
        + 'static;
}

impl<S, B> Answers for S
where
    S: Service<
            Request<Incoming>,
            Response = Response<B>,
            Error = Infallible,
            Future: Future<Output = Result<Response<B>, Infallible>> + Send + 'static,
        > + Clone
        + Send
        + Sync
        + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    type Body = B;
}

/// The server of a node's peers.
#[derive(Debug)]
pub struct PeerServer<A, S> {
    /// What secures connections.
    pub acceptor: A,
    /// What greets.
    pub greeter: Arc<Greeter>,
    /// What answers calls.
    pub service: S,
    /// What is accepted at most.
    pub limits: PeerLimits,
    /// Where it counts.
    pub meters: ConnectionMeters,
}

impl<A, S: Answers> PeerServer<A, S> {
    /// Serves connections of `listener` until `stop` resolves; then lets calls under way finish
    /// within the drain limit. Dropping it cuts everything.
    pub async fn serve<L>(self, mut listener: L, stop: impl Future<Output = ()>) -> Drained
    where
        L: Listener,
        A: PeerAcceptor<L::Io>,
    {
        let listening = self.limits.of_listener();
        let shared = Arc::new(Shared::new(self));
        let (stopping, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut stop = pin!(stop);
        loop {
            let (raw, origin) = tokio::select! {
                () = &mut stop => break,
                Some(ended) = connections.join_next() => {
                    report_panic(ended);
                    continue;
                }
                accepted = next_connection(&mut listener, &listening) => accepted,
            };
            let Ok(place) = Arc::clone(&shared.handshakes).try_acquire_owned() else {
                shared.server.meters.refused.inc();
                continue;
            };
            let open = OpenConnection::count(&shared.server.meters);
            let connection = Arc::clone(&shared).run(raw, origin, place, stopped.clone());
            connections.spawn(async move {
                connection.await;
                drop(open);
            });
        }
        drop(listener);
        // An error would mean that no connection listens, which is as good.
        let _told = stopping.send(true);
        drain(connections, &listening).await
    }
}

/// What all connections share.
struct Shared<A, S> {
    server: PeerServer<A, S>,
    http: http2::Builder<TokioExecutor>,
    handshakes: Arc<Semaphore>,
    open: Arc<Mutex<BTreeMap<NodeId, usize>>>,
}

/// A connection of a node, counted until dropped.
struct Counted {
    open: Arc<Mutex<BTreeMap<NodeId, usize>>>,
    node: NodeId,
}

impl Counted {
    fn one_of(
        open: &Arc<Mutex<BTreeMap<NodeId, usize>>>,
        node: NodeId,
        max: usize,
    ) -> Option<Self> {
        let mut counts = open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(node).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(Self { open: Arc::clone(open), node })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.node) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.node);
            }
        }
    }
}

impl<A, S: Answers> Shared<A, S> {
    fn new(server: PeerServer<A, S>) -> Self {
        let limits = &server.limits;
        let mut http = http2::Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX))
            .max_concurrent_streams(limits.streams_max)
            .max_pending_accept_reset_streams(RESET_STREAMS_MAX)
            .max_local_error_reset_streams(ERROR_STREAMS_MAX)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .keep_alive_interval(limits.ping_interval)
            .keep_alive_timeout(limits.ping_timeout);
        let handshakes = Arc::new(Semaphore::new(limits.handshakes_max));
        Self { server, http, handshakes, open: Arc::default() }
    }

    /// One connection, from its first byte to its end.
    async fn run<Raw>(
        self: Arc<Self>,
        raw: Raw,
        origin: Origin,
        place: OwnedSemaphorePermit,
        mut stop: watch::Receiver<bool>,
    ) where
        A: PeerAcceptor<Raw>,
    {
        let server = &self.server;
        let welcomed = tokio::time::timeout(server.limits.handshake, self.welcome(raw));
        let welcomed = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            welcomed = welcomed => welcomed,
        };
        let refused = |error: &(dyn Error + 'static)| {
            server.meters.handshake_failures.inc();
            let network = match origin {
                Origin::Network(address) => TruncatedAddress::of(address.ip()).to_string(),
                Origin::Local { .. } => "this machine".to_owned(),
            };
            let cause = error.source().map(ToString::to_string);
            if error.is::<GreetError>() {
                // A node of the federation: an operator has to do something.
                tracing::warn!(network, %error, cause, "a node was not let in");
            } else {
                // Anybody can cause this, and must not fill a disk with it.
                tracing::debug!(network, %error, cause, "a connection was not let in");
            }
        };
        let (io, certified) = match welcomed {
            Ok(Ok(welcomed)) => welcomed,
            Ok(Err(error)) => return refused(&*error),
            Err(slow) => return refused(&slow),
        };
        drop(place);
        let max = server.limits.connections_per_node_max;
        let Some(counted) = Counted::one_of(&self.open, certified.node, max) else {
            server.meters.refused.inc();
            tracing::warn!(node = %certified.node, max, "a node has too many connections");
            return;
        };
        self.serve(io, certified, stop).await;
        drop(counted);
    }

    async fn welcome<Raw>(
        &self,
        raw: Raw,
    ) -> Result<(A::Io, Certified), Box<dyn Error + Send + Sync>>
    where
        A: PeerAcceptor<Raw>,
    {
        let mut secured = self.server.acceptor.secure(raw).await?;
        self.server.greeter.respond(&mut secured).await?;
        Ok((secured.io, secured.certified))
    }

    async fn serve<Io: PeerIo>(
        &self,
        io: Io,
        certified: Certified,
        mut stop: watch::Receiver<bool>,
    ) {
        let service = self.server.service.clone();
        let answer = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(certified);
            service.clone().oneshot(request)
        });
        let mut connection = pin!(self.http.serve_connection(TokioIo::new(io), answer));
        let mut stopping = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        self.server.meters.protocol_errors.inc();
                        tracing::debug!(node = %certified.node, %error, "a peer's connection ended");
                    }
                    return;
                }
                _ = stop.wait_for(|stop| *stop), if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = tokio::time::sleep(self.server.limits.membership_look) => {
                    if self.server.greeter.standpoint.standing(certified.node) == Standing::Stranger {
                        tracing::warn!(node = %certified.node, "no member any more, connection cut");
                        return;
                    }
                }
            }
        }
    }
}
