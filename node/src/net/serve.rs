//! The serve loop, written once: accept, bound, hand to a task, and drain when told to stop.

use std::pin::pin;
use std::sync::Arc;

use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinError, JoinSet};

pub use crate::net::connection::Answers;
use crate::net::connection::{Shared, serve_connection};
use crate::net::limits::Limits;
use crate::net::listener::{Listener, Origin};
use crate::net::tls::Tls;
use crate::telemetry::metrics::ConnectionMeters;

/// One listener's server.
#[derive(Debug)]
pub struct Server<S> {
    /// What answers requests; each carries its [`Remote`](crate::net::listener::Remote).
    pub service: S,
    /// Whether it speaks TLS.
    pub tls: Tls,
    /// What it accepts at most.
    pub limits: Limits,
    /// Where it counts.
    pub meters: ConnectionMeters,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut because they did not end in time.
    pub cut: usize,
}

impl<S: Answers> Server<S> {
    /// Serves connections of `listener` until `stop` resolves; then lets requests under way finish
    /// within the drain limit. Never ends for another reason, and dropping it cuts everything.
    pub async fn serve<L: Listener>(
        self,
        mut listener: L,
        stop: impl Future<Output = ()>,
    ) -> Drained {
        let Self { service, tls, limits, meters } = self;
        let room = Arc::new(Semaphore::new(limits.connections_max));
        let shared = Arc::new(Shared::new(service, tls, limits, meters.clone()));
        let (stopping, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut stop = pin!(stop);
        loop {
            let (io, origin) = tokio::select! {
                () = &mut stop => break,
                Some(ended) = connections.join_next() => {
                    report_panic(ended);
                    continue;
                }
                accepted = next_connection(&mut listener, &limits) => accepted,
            };
            let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
                // Closed at once: a queue here would only hide that the node is full.
                meters.refused.inc();
                continue;
            };
            let connection = serve_connection(Arc::clone(&shared), io, origin, stopped.clone());
            let open = OpenConnection::count(&meters);
            connections.spawn(async move {
                connection.await;
                drop((open, place));
            });
        }
        drop(listener);
        // An error would mean that no connection listens, which is as good.
        let _told = stopping.send(true);
        drain(connections, &limits).await
    }
}

/// Waits for the next connection, whatever happens to those before it.
pub(crate) async fn next_connection<L: Listener>(
    listener: &mut L,
    limits: &Limits,
) -> (L::Io, Origin) {
    let mut told = false;
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                // Out of file descriptors or memory; it passes when connections end.
                if !told {
                    tracing::error!(%error, "connections cannot be accepted, trying again");
                    told = true;
                }
                tokio::time::sleep(limits.accept_pause).await;
            }
        }
    }
}

/// Whether the error concerns a connection that went away, not the listener.
fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::Interrupted
            | Kind::InvalidInput
            | Kind::NotConnected
    )
}

pub(crate) async fn drain(mut connections: JoinSet<()>, limits: &Limits) -> Drained {
    let all_ended = async {
        while let Some(ended) = connections.join_next().await {
            report_panic(ended);
        }
    };
    if tokio::time::timeout(limits.drain, all_ended).await.is_ok() {
        return Drained { cut: 0 };
    }
    let cut = connections.len();
    tracing::warn!(cut, "connections did not end in time and are cut");
    connections.shutdown().await;
    Drained { cut }
}

pub(crate) fn report_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!("a connection's task panicked");
    }
}

/// Counts a connection as open, until dropped.
pub(crate) struct OpenConnection(ConnectionMeters);

impl OpenConnection {
    pub(crate) fn count(meters: &ConnectionMeters) -> Self {
        meters.open.inc();
        Self(meters.clone())
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open.dec();
    }
}
