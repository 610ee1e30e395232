//! The composition root: builds the parts of a node, supervises them, and stops them in order.
//! Nothing else wires.

mod cluster;
mod duties;
mod facade;
mod identity;
mod keystore;
mod listen;
mod maintenance;
mod open;
mod parts;
mod revoking;
mod seal;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use exequatur_federation::{
    audit::{AuditRecord, Event},
    config::Compiled,
    jose::base64url,
    operator::Roles,
};
use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
};

use crate::{
    admin::{AdminListener, AdminParts, AdminService},
    audit::{AuditItem, AuditLog, AuditWriter, RecordError, Revoked, WriterStopped, open_log},
    clock::Clock,
    consensus::Consensus,
    entropy::Entropy,
    facade::Facade,
    hsm::KeyStore,
    revocation::{
        DrawnList, IssuedAt, Outbox, OutboxParts, OutboxSender, Publisher, SharedView, Teller,
        ViewAge,
    },
    store::{Access, Store},
    telemetry::{health::Health, metrics::Metrics},
};

use self::cluster::{ClusterPart, control::OperatorsView};
use self::facade::{Added, Prepared, draw_list, outbox_rows, revocation, revoked};
use self::revoking::OperatorsRevoker;

pub use cluster::{ClusterError, ClusterFault};
pub use identity::{
    IdentityError, MadeIdentity, Membership, OpenIdentity, initialise_identity, open_identity,
};
pub use keystore::{
    IDENTITY_ALGORITHM, NewPairwise, PAIRWISE, STATUS_LIST_KEY, examine_key_store,
    initialise_key_store, key_plan, open_key_store, token_keys,
};
pub use listen::ListenError;
pub use open::{StartError, location, log_binding, resolve};
pub use seal::{DIGEST, OFFERED, TRAILER, border, newest_version, next_version};

/// How long the last records may take to become durable when the node stops.
const LAST_WRITE_MAX: Duration = Duration::from_secs(5);

/// What a node is given from outside: the seams that a simulator replaces.
#[derive(Clone)]
pub struct Seams {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// A configuration with the directory that its relative paths start from.
#[derive(Clone, Debug)]
pub struct Configured {
    /// What the files say.
    pub compiled: Compiled,
    /// Directory of the region's file.
    pub directory: PathBuf,
    /// Directory of the federation's file.
    pub federation_directory: PathBuf,
}

/// A node that is built and bound, but does not serve yet.
pub struct Node {
    facade: Arc<Facade>,
    writer: AuditWriter,
    sender: Option<OutboxSender>,
    store: Arc<dyn Store>,
    keys: Arc<dyn KeyStore>,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    seams: Seams,
    listeners: listen::Listeners,
    cluster: Option<ClusterPart>,
    admin: Option<(AdminListener, Roles)>,
    publisher: Publisher,
}

/// What a node reads from its database before it serves.
struct Opened {
    audit: AuditLog,
    writer: AuditWriter,
    revocations: Arc<SharedView>,
    outbox: Option<(Outbox, OutboxSender)>,
    list: DrawnList,
}

impl Opened {
    async fn read(
        store: &Arc<dyn Store>,
        consensus: Option<&Arc<Consensus>>,
        (metrics, seams): (&Metrics, &Seams),
    ) -> Result<Self, StartError> {
        let (audit, writer) = open_log(Arc::clone(store), Arc::clone(&seams.entropy)).await?;
        let local = revoked(store.as_ref(), seams).await?;
        let revocations = Arc::new(match consensus {
            None => SharedView::alone(local),
            Some(consensus) => {
                SharedView::united(consensus.own().region, consensus.shared(), local)
            }
        });
        let view = Arc::clone(&revocations);
        let writer = writer.metered(metrics.audit.clone(), Arc::clone(&seams.clock)).telling(
            Box::new(move |all: Vec<Revoked>| {
                let rows = all.iter().flat_map(|revoked| &revoked.outbox);
                view.hold(rows.map(|row| (row.key, row.revoke)));
                let tokens: Vec<_> = all.iter().flat_map(|revoked| &revoked.tokens).collect();
                if !tokens.is_empty() {
                    view.mark(tokens.into_iter().map(revocation));
                }
            }),
        );
        let outbox = match consensus {
            None => {
                // What was agreed on in a federation that the region has left still holds here.
                let rows = outbox_rows(store.as_ref(), seams).await?;
                revocations.hold(rows.into_iter().map(|row| (row.key, row.revoke)));
                None
            }
            Some(consensus) => Some(
                OutboxSender::open(OutboxParts {
                    consensus: Arc::clone(consensus),
                    view: Arc::clone(&revocations),
                    store: Arc::clone(store),
                    clock: Arc::clone(&seams.clock),
                    entropy: Arc::clone(&seams.entropy),
                    pending: metrics.revocations_pending.clone(),
                    rejected: metrics.revocations_rejected.clone(),
                })
                .await?,
            ),
        };
        let list = draw_list(store.as_ref(), seams).await?;
        Ok(Self { audit, writer, revocations, outbox, list })
    }
}

/// A part of the node that must not end has ended.
#[derive(Debug, thiserror::Error)]
pub enum NodeFault {
    /// The audit writer gave up: what it wrote may be lost.
    #[error(transparent)]
    Audit(#[from] WriterStopped),
    /// The first record could not be written.
    #[error("the start of the node cannot be recorded")]
    StartRecord(#[from] RecordError),
    /// The node cannot take part in its federation any more.
    #[error(transparent)]
    Cluster(#[from] ClusterFault),
    /// A task panicked or ended.
    #[error("{part} ended, which it never should")]
    Ended {
        /// Which part.
        part: &'static str,
    },
}

impl Node {
    /// Builds a node: opens what `init` made, and binds its listeners.
    ///
    /// The database comes last, since opening it takes it over from whoever had it: a start that
    /// fails for another reason leaves a running node alone.
    ///
    /// # Errors
    /// See [`StartError`]. Nothing is left open.
    pub async fn start(configured: Configured, seams: Seams) -> Result<Self, StartError> {
        let Configured { compiled, directory, .. } = configured.clone();
        let Compiled { law, settings, .. } = compiled;
        let law = Arc::new(law);
        let keys = open_key_store(&law.region, &settings, &directory, &seams)?;
        let metrics = Arc::new(Metrics::new());
        let files = (&settings, directory.as_path());
        let prepared = Prepared::new(Arc::clone(&law), files, keys.as_ref(), &metrics, &seams)?;
        let listeners = listen::bind(&settings, &directory, &seams, &metrics).await?;
        let cluster = match &settings.cluster {
            Some(_) => Some(ClusterPart::start(&configured, &keys, (&seams, &metrics)).await?),
            None => None,
        };
        let admin = match &cluster {
            Some(_) => listen::admin(&settings, &directory, &seams, &metrics).await?,
            None => None,
        };
        let (location, binding) = (location(&settings, &directory), log_binding(&law.region));
        let store = crate::store::open(&location, &binding, Access::Write).await?;
        let consensus = cluster.as_ref().map(ClusterPart::consensus);
        let opened = match Opened::read(&store, consensus, (&metrics, &seams)).await {
            Ok(opened) => opened,
            Err(error) => {
                store.close().await;
                return Err(error);
            }
        };
        let Opened { audit, writer, revocations, outbox, list } = opened;
        let (outbox, sender) = outbox.unzip();
        let view_age = match &cluster {
            Some(cluster) => Arc::clone(cluster.view_age()),
            None => Arc::new(ViewAge::alone(Arc::clone(&seams.clock))),
        };
        let issued_at = IssuedAt::of(consensus.map(Arc::clone));
        let added = Added {
            audit,
            revocations,
            outbox,
            view_age,
            list,
            issued_at,
            store: Arc::clone(&store),
        };
        let (facade, publisher) = prepared.complete(added, &seams);
        let facade = Arc::new(facade);
        let health = Arc::new(Health::new());
        Ok(Self {
            facade,
            writer,
            sender,
            store,
            keys,
            health,
            metrics,
            seams,
            listeners,
            cluster,
            admin,
            publisher,
        })
    }

    /// Address of the public endpoints.
    #[must_use]
    pub const fn public_address(&self) -> SocketAddr {
        self.listeners.public_address()
    }

    /// Address of health and metrics.
    #[must_use]
    pub const fn operations_address(&self) -> SocketAddr {
        self.listeners.operations_address()
    }

    /// Address that other nodes connect to; `None` for a region alone.
    #[must_use]
    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.cluster.as_ref().map(ClusterPart::peer_address)
    }

    /// Consensus; `None` for a region alone.
    #[must_use]
    pub fn consensus(&self) -> Option<Arc<Consensus>> {
        self.cluster.as_ref().map(|cluster| Arc::clone(cluster.consensus()))
    }

    /// Serves until `stop` resolves, then lets requests under way finish, and closes the store.
    ///
    /// # Errors
    /// A part of the node failed in a way that only a restart mends.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send) -> Result<(), NodeFault> {
        let Self { facade, writer, store, keys, health, metrics, seams, listeners, .. } = self;
        let (mut cluster, admin, sender) = (self.cluster, self.admin, self.sender);
        let mut publisher = self.publisher;
        // Before anything is served, so that every list that lives is there.
        publisher.publish().await;
        // The writer ends by itself once every handle is gone, so it is not among the parts that
        // are cut off when the node stops.
        let mut writing = JoinSet::new();
        writing.spawn(writer.run());
        let mut parts = parts::of_region((&facade, &store), keys, &health, &seams);
        let list_key = publisher.own_key();
        let teller = Teller::new(Arc::clone(&facade.revocations), Arc::clone(&facade.feed));
        parts.spawn(async move { match teller.run().await {} });
        parts.spawn(async move { match publisher.run().await {} });
        let (stopping, stopped) = watch::channel(false);
        if let Some(cluster) = &cluster {
            let federation = (cluster.consensus(), list_key);
            parts::of_federation(&mut parts, &facade, federation, &health);
            if let Some(sender) = sender {
                parts.spawn(sender.run(health.condition("revocations")));
            }
            if let Some(admin) = admin {
                let view = Arc::new(operators_view(&facade, cluster));
                serve_operators(&mut parts, (&facade, admin), view, stopped);
            }
        }
        let leaving = cluster.as_ref().map(|cluster| Arc::clone(cluster.consensus()));
        let stop = async {
            stop.await;
            // Out of rotation and no leader any more, before anything is refused.
            if let Some(consensus) = leaving
                && let Err(error) = consensus.drain().await
            {
                tracing::warn!(%error, "no other node took over leadership");
            }
            stopping.send_replace(true);
            facade.feed.close();
        };
        let serving = Box::pin(async {
            record_start(&facade).await?;
            listeners.serve(&facade, health, metrics, stop).await;
            Ok(())
        });
        let outcome = tokio::select! {
            ended = writing.join_next() => Err(writer_fault(ended)),
            _ = parts.join_next() => Err(NodeFault::Ended { part: "upkeep" }),
            fault = cluster_failed(&mut cluster) => Err(fault.into()),
            served = serving => served,
        };
        parts.shutdown().await;
        if let Some(cluster) = cluster {
            cluster.stop().await;
        }
        maintenance::flush_counts(&facade).await;
        drop(facade);
        // What was queued last is still saved.
        let ended = tokio::time::timeout(LAST_WRITE_MAX, writing.join_next()).await;
        store.close().await;
        match (outcome, ended) {
            (Ok(()), Ok(Some(Ok(Ok(()))))) => Ok(()),
            (Ok(()), Ok(ended)) => Err(writer_fault(ended)),
            (Ok(()), Err(_)) => Err(NodeFault::Ended { part: "the last write of the audit log" }),
            (Err(fault), _) => Err(fault),
        }
    }
}

/// Resolves when the node's part in its federation fails; never for a region alone.
async fn cluster_failed(cluster: &mut Option<ClusterPart>) -> ClusterFault {
    match cluster {
        Some(cluster) => cluster.failed().await,
        None => std::future::pending().await,
    }
}

fn operators_view(facade: &Facade, cluster: &ClusterPart) -> OperatorsView {
    OperatorsView {
        consensus: Arc::clone(cluster.consensus()),
        view_age: Arc::clone(&facade.view_age),
        bounds: facade.law.freshness,
    }
}

/// Starts the operator's service; its parts end with the others.
fn serve_operators(
    parts: &mut JoinSet<()>,
    (facade, (listener, roles)): (&Arc<Facade>, (AdminListener, Roles)),
    view: Arc<OperatorsView>,
    mut stopped: watch::Receiver<bool>,
) {
    let (service, worker) = AdminService::new(AdminParts {
        revoker: Arc::new(OperatorsRevoker {
            facade: Arc::clone(facade),
            consensus: Arc::clone(&view.consensus),
        }),
        cluster: view,
        audit: facade.audit.clone(),
        counted: Arc::clone(&facade.counted),
        clock: Arc::clone(&facade.clock),
        roles,
    });
    parts.spawn(async move {
        worker.run().await;
        // It ends with the listener, which ends because the node stops: see below.
        std::future::pending::<()>().await;
    });
    parts.spawn(async move {
        let stop = async move {
            // An error means that the node is gone, which is the same.
            let _gone = stopped.wait_for(|stopped| *stopped).await.is_err();
        };
        listener.serve(service, stop).await;
        // It ended because the node stops, which the other listeners still do.
        std::future::pending::<()>().await;
    });
}

fn writer_fault(ended: Option<Result<Result<(), WriterStopped>, JoinError>>) -> NodeFault {
    match ended {
        Some(Ok(Err(stopped))) => stopped.into(),
        Some(Ok(Ok(())) | Err(_)) | None => NodeFault::Ended { part: "the audit writer" },
    }
}

async fn record_start(facade: &Facade) -> Result<(), RecordError> {
    let event = Event::NodeStarted {
        version: env!("CARGO_PKG_VERSION"),
        law_sha256: base64url(&facade.law.digest),
        kid: facade.issuer.key().clone(),
    };
    let record = AuditRecord::new(facade.clock.now(), None, event);
    let item = AuditItem::of(&record).map_err(|_| RecordError::Unavailable)?;
    facade.audit.record(item).await.map(|_| ())
}
