//! The node's part in the federation: consensus on a runtime of its own, the peer port, and what
//! stops them. The operator's service acts on it; the façade only asks it.

mod anchor;
pub(super) mod control;
mod standpoint;
mod start;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    sync::watch,
    task::JoinSet,
};

use self::start::{Assembled, assemble};
use super::{Configured, IdentityError, ListenError, Seams};
use crate::{
    consensus::{
        Consensus, FaultSignal, OlderThanLedger, OpenLogError, StartError as MachineError,
        StartRaftError,
    },
    hsm::KeyStore,
    identity::{DirectoryError, StartRefused},
    net::certificate::POLL_INTERVAL,
    peer::{CredentialError, PeerServer, limits::PeerLimits},
    revocation::{Diverged, Prober, ViewAge},
    telemetry::{health::Condition, metrics::Metrics},
};

/// Threads that consensus runs on, apart from requests, so that a flood of requests cannot starve a
/// heartbeat. What it does is waiting, and what takes long (disk, snapshots) has threads of its own:
/// a second one makes a proposal a tenth slower, since tasks then wake each other across cores.
const THREADS: usize = 1;
/// How often the anchor is told how far the log is: what a backup may be behind and pass unnoticed.
const ANCHOR_INTERVAL: Duration = Duration::from_secs(1);
/// How often it is looked whether consensus still runs, and how it is.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long calls of other nodes may take to end when the node stops.
const STOP_MAX: Duration = Duration::from_secs(5);

/// Why the node does not take part in its federation. Each names what is wrong and the way out.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Certificates between nodes cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// The directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The node has no identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The address is not free.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The log cannot be written.
    #[error("the log of consensus cannot be written")]
    Log(#[source] io::Error),
    /// The log cannot be opened.
    #[error(transparent)]
    LogOpen(#[from] OpenLogError),
    /// The state cannot be made from snapshot and log.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// No federation is pinned.
    #[error(
        "this node has pinned no federation yet: found one with `exequatur cluster bootstrap`, or \
         pin one with `exequatur cluster join`"
    )]
    NotPinned,
    /// Consensus does not start.
    #[error(transparent)]
    Raft(#[from] StartRaftError),
    /// The directory is not the one that the node left.
    #[error(transparent)]
    Refused(#[from] StartRefused),
    /// The operating system has no thread or runtime left.
    #[error("no thread can be started for consensus")]
    Thread(#[source] io::Error),
    /// The start broke off.
    #[error("the start of consensus broke off")]
    BrokeOff,
    /// TLS cannot be set up.
    #[error("TLS between nodes cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// Why a node must stop taking part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClusterFault {
    /// The disk failed, or an entry cannot be applied. A restart does not mend it.
    #[error("{0}")]
    Storage(String),
    /// The ledger is of a later release.
    #[error(transparent)]
    Older(OlderThanLedger),
    /// The ledger is not what the others have.
    #[error(transparent)]
    Diverged(Diverged),
    /// Consensus stopped.
    #[error("consensus has stopped: {0}")]
    Consensus(String),
    /// A part that must not end has ended.
    #[error("{0} ended, which it never should")]
    Ended(&'static str),
}

/// Consensus that runs.
pub(super) struct ClusterPart {
    consensus: Arc<Consensus>,
    runtime: Option<Runtime>,
    parts: JoinSet<&'static str>,
    stop: watch::Sender<bool>,
    fault: FaultSignal,
    older: watch::Receiver<Option<OlderThanLedger>>,
    diverged: watch::Receiver<Option<Diverged>>,
    view_age: Arc<ViewAge>,
    peer: SocketAddr,
}

impl ClusterPart {
    /// Starts consensus and listens to other nodes.
    pub(super) async fn start(
        configured: &Configured,
        keys: &Arc<dyn KeyStore>,
        (seams, metrics): (&Seams, &Arc<Metrics>),
    ) -> Result<Self, ClusterError> {
        let peer = configured.compiled.settings.listen.peer.ok_or(ClusterError::NotPinned)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("consensus")
            .enable_all()
            .build()
            .map_err(ClusterError::Thread)?;
        let (seams, metrics) = (seams.clone(), Arc::clone(metrics));
        let view = (
            Arc::new(ViewAge::of_member(Arc::clone(&seams.clock))),
            Duration::from_secs(u64::from(configured.compiled.law.staleness_min().seconds())),
        );
        let assembling =
            assemble(configured.clone(), Arc::clone(keys), (seams, Arc::clone(&metrics)));
        let started = async move {
            // The port first: a node that cannot be reached has no business to vote.
            let failed = |source| ListenError::Bind { key: "peer", address: peer, source };
            let listener = TcpListener::bind(peer).await.map_err(failed)?;
            let address = listener.local_addr().map_err(failed)?;
            Ok((listener, address, assembling.await?))
        };
        let started = runtime.spawn(started).await.unwrap_or(Err(ClusterError::BrokeOff));
        match started {
            Ok((listener, address, assembled)) => {
                Ok(Self::run(assembled, (listener, address), (runtime, view), &metrics))
            }
            Err(error) => {
                runtime.shutdown_background();
                Err(error)
            }
        }
    }

    fn run(
        assembled: Assembled,
        (listener, peer): (TcpListener, SocketAddr),
        (runtime, (view_age, max_staleness)): (Runtime, (Arc<ViewAge>, Duration)),
        metrics: &Arc<Metrics>,
    ) -> Self {
        let Assembled { running, greeter, acceptor, watch: credentials, fault } = assembled;
        let (stop, mut stopped) = watch::channel(false);
        let server = PeerServer {
            acceptor,
            greeter,
            service: running.calls,
            limits: PeerLimits::default(),
            meters: metrics.connections("peer"),
        };
        let consensus = running.consensus;
        let mut parts = JoinSet::new();
        let handle = runtime.handle();
        for (name, task) in running.tasks {
            let named = async move {
                task.await;
                name
            };
            parts.spawn_on(named, handle);
        }
        let (told, diverged) = watch::channel(None);
        let prober = Prober {
            leader: Arc::<Consensus>::clone(&consensus),
            published: consensus.published(),
            age: Arc::clone(&view_age),
            max_staleness,
            metrics: Arc::clone(metrics),
            diverged: told,
        };
        let probing = async move {
            prober.run().await;
            "the probe of the leader"
        };
        parts.spawn_on(probing, handle);
        let anchored = Arc::clone(&consensus);
        let anchoring = async move {
            let mut due = tokio::time::interval(ANCHOR_INTERVAL);
            loop {
                due.tick().await;
                if let Err(error) = anchored.anchor().await {
                    tracing::warn!(%error, "the anchor was not told how far the log is");
                }
            }
        };
        parts.spawn_on(anchoring, handle);
        let reloading = async move {
            credentials.watch(POLL_INTERVAL).await;
            "the reload of certificates"
        };
        parts.spawn_on(reloading, handle);
        let serving = async move {
            let stopped = async move {
                // An error means that the node is gone, which is the same.
                let _gone = stopped.wait_for(|stop| *stop).await.is_err();
            };
            server.serve(listener, stopped).await;
            "the peer port"
        };
        parts.spawn_on(serving, handle);
        let (older, runtime) = (running.older, Some(runtime));
        Self { consensus, runtime, parts, stop, fault, older, diverged, view_age, peer }
    }

    pub(super) const fn consensus(&self) -> &Arc<Consensus> {
        &self.consensus
    }

    /// How old the view of revocations is.
    pub(super) const fn view_age(&self) -> &Arc<ViewAge> {
        &self.view_age
    }

    pub(super) const fn peer_address(&self) -> SocketAddr {
        self.peer
    }

    /// Resolves when the node must stop.
    pub(super) async fn failed(&mut self) -> ClusterFault {
        let mut storage = self.fault.watch();
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        loop {
            tokio::select! {
                Ok(fault) = storage.wait_for(Option::is_some) => {
                    let told = fault.as_ref().map(ToString::to_string).unwrap_or_default();
                    return ClusterFault::Storage(told);
                }
                Ok(older) = self.older.wait_for(Option::is_some) => {
                    if let Some(older) = older.clone() {
                        return ClusterFault::Older(older);
                    }
                }
                Ok(diverged) = self.diverged.wait_for(Option::is_some) => {
                    if let Some(diverged) = *diverged {
                        return ClusterFault::Diverged(diverged);
                    }
                }
                Some(ended) = self.parts.join_next() => {
                    return ClusterFault::Ended(ended.unwrap_or("a part of consensus"));
                }
                _ = look.tick() => {
                    if let Some(failure) = self.consensus.failure() {
                        return ClusterFault::Consensus(failure);
                    }
                }
            }
        }
    }

    /// Leaves: hands over, lets calls under way end, stops consensus, closes the log.
    pub(super) async fn stop(mut self) {
        if let Err(error) = self.consensus.drain().await {
            tracing::warn!(%error, "no other node took over leadership");
        }
        self.stop.send_replace(true);
        let consensus = Arc::clone(&self.consensus);
        if let Some(runtime) = &self.runtime {
            let stopping = runtime.spawn(async move { consensus.stop().await });
            if tokio::time::timeout(STOP_MAX, stopping).await.is_err() {
                tracing::warn!("consensus did not stop in time");
            }
        }
        self.parts.abort_all();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Tells `/readyz` how consensus is.
    pub(super) async fn report(consensus: Arc<Consensus>, condition: Condition) {
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        loop {
            look.tick().await;
            if consensus.is_draining() {
                condition.not_ready("this node is drained: restart it to take part again");
            } else if consensus.present_leader().is_none() {
                condition.degraded("no leader is known: too few voters can be reached");
            } else if consensus.ledger().id().is_none() {
                condition.degraded("the ledger has not begun yet");
            } else {
                condition.ready();
            }
        }
    }
}

impl Drop for ClusterPart {
    fn drop(&mut self) {
        // A runtime must not be waited for where tasks run.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
