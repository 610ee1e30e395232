//! A running service with its audit log, and authorities whose certificates it believes or not.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use exequatur_federation::operator::{Role, Roles};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinSet};

use super::{
    super::{
        AdminClient, AdminEndpoint, AdminListener, AdminParts, AdminService, ConnectError,
        Credentials, RequestId, Target,
    },
    cluster::MemoryCluster,
};
use crate::{
    audit::{AuditLog, CountedRefusals, faulty::FaultyStore, open_log},
    clock::SystemClock,
    entropy::SystemEntropy,
    net::{certificate::PairFiles, serve::Drained},
    store::Store,
    telemetry::metrics::Metrics,
};

pub(super) const OPERATOR: &str = "spiffe://test/operator/alice";
pub(super) const VIEWER: &str = "spiffe://test/operator/audit";
pub(super) const NODE: &str = "spiffe://test/region/eu-central/node/0000000000000001";

pub(super) struct Lab {
    pub(super) cluster: Arc<MemoryCluster>,
    pub(super) store: Arc<FaultyStore>,
    pub(super) audit: AuditLog,
    pub(super) counted: Arc<CountedRefusals>,
    pub(super) directory: TempDir,
    pub(super) authority: Authority,
    /// `localhost:port`, or empty.
    address: String,
    stop: Option<oneshot::Sender<()>>,
    server: JoinSet<Drained>,
    _tasks: JoinSet<()>,
}

/// Who certifies operators, and the service.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(super) pem: String,
}

impl Lab {
    /// On a Unix socket.
    pub(super) async fn local() -> Self {
        Self::start(|directory, _| AdminEndpoint::Unix(directory.join("admin.sock"))).await
    }

    /// On TCP, for [`OPERATOR`] and [`VIEWER`].
    pub(super) async fn remote() -> Self {
        Self::start(|directory, authority| {
            let (certificate, key) = authority.issue(&[], |server| {
                server.subject_alt_names = vec![SanType::DnsName("localhost".try_into().unwrap())];
                server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            });
            std::fs::write(directory.join("server.pem"), certificate).unwrap();
            std::fs::write(directory.join("server.key"), key).unwrap();
            std::fs::write(directory.join("clients.pem"), &authority.pem).unwrap();
            AdminEndpoint::Tcp {
                address: "127.0.0.1:0".parse().unwrap(),
                certificate: PairFiles {
                    certificates: directory.join("server.pem"),
                    key: directory.join("server.key"),
                },
                client_ca: directory.join("clients.pem"),
            }
        })
        .await
    }

    async fn start(endpoint: impl FnOnce(&Path, &Authority) -> AdminEndpoint) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        std::fs::write(directory.path().join("ca.pem"), &authority.pem).unwrap();
        let endpoint = endpoint(directory.path(), &authority);
        let store = FaultyStore::new().await;
        let as_store = || Arc::clone(&store) as Arc<dyn Store>;
        let (audit, writer) =
            open_log(as_store(), Arc::new(SystemEntropy::default())).await.unwrap();
        let cluster = Arc::new(MemoryCluster::new(as_store()));
        let counted = Arc::new(CountedRefusals::default());
        let clock = Arc::new(SystemClock::start());
        let roles = [(OPERATOR.to_owned(), Role::Operator), (VIEWER.to_owned(), Role::Viewer)];
        let (service, worker) = AdminService::new(AdminParts {
            cluster: Arc::clone(&cluster) as _,
            revoker: Arc::clone(&cluster) as _,
            audit: audit.clone(),
            counted: Arc::clone(&counted),
            clock: Arc::clone(&clock) as _,
            roles: Roles::new(roles),
        });
        let metrics = Arc::new(Metrics::new());
        let seams = (clock as _, &SystemEntropy::default() as _);
        let listener = AdminListener::bind(endpoint, seams, &metrics).await.unwrap();
        let address = listener.address().map(|address| format!("localhost:{}", address.port()));
        let mut tasks = JoinSet::new();
        tasks.spawn(worker.run());
        tasks.spawn(async { writer.run().await.unwrap() });
        let (stop, stopped) = oneshot::channel();
        let mut server = JoinSet::new();
        server.spawn(listener.serve(service, async { drop(stopped.await) }));
        Self {
            cluster,
            store,
            audit,
            counted,
            directory,
            authority,
            address: address.unwrap_or_default(),
            stop: Some(stop),
            server,
            _tasks: tasks,
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The service's port, as a client is told it.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) async fn on_socket(&self) -> AdminClient {
        AdminClient::connect(&Target::Unix(self.path("admin.sock"))).await.unwrap()
    }

    /// A connection with a certificate of the operators' authority for this SAN URI.
    pub(super) async fn as_holder_of(&self, uri: &str) -> AdminClient {
        let pair = self.authority.issue(&[uri], |_| {});
        self.with(&pair).await.unwrap()
    }

    /// A connection with this certificate. TLS 1.3 tells a client only later that it is refused.
    pub(super) async fn with(&self, pair: &(String, String)) -> Result<AdminClient, ConnectError> {
        let credentials = Credentials {
            certificate: self.path("client.pem"),
            private_key: self.path("client.key"),
            ca: self.path("ca.pem"),
        };
        std::fs::write(&credentials.certificate, &pair.0).unwrap();
        std::fs::write(&credentials.private_key, &pair.1).unwrap();
        AdminClient::connect(&Target::Tcp { address: self.address.clone(), credentials }).await
    }

    /// Tells the service to stop.
    pub(super) fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    pub(super) async fn ended(&mut self) -> Drained {
        self.server.join_next().await.unwrap().unwrap()
    }

    /// Every record that is durable.
    pub(super) async fn records(&self) -> Vec<Value> {
        let page = self.store.audit_page(0, 512).await.unwrap();
        page.iter().map(|stored| serde_json::from_slice(&stored.sealed.record).unwrap()).collect()
    }
}

impl Authority {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.distinguished_name.push(DnType::CommonName, "authority of one test");
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let pem = ca.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(ca, key), pem }
    }

    /// A client's certificate for these SAN URIs, changed in some way, and its key; both as PEM.
    pub(super) fn issue(
        &self,
        uris: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut leaf = CertificateParams::new(Vec::new()).unwrap();
        let uri = |uri: &&str| SanType::URI((*uri).try_into().unwrap());
        leaf.subject_alt_names = uris.iter().map(uri).collect();
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut leaf);
        (leaf.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// For a certificate that was good until some years ago.
pub(super) fn expired(leaf: &mut CertificateParams) {
    leaf.not_before = date_time_ymd(2020, 1, 1);
    leaf.not_after = date_time_ymd(2021, 1, 1);
}

pub(super) fn id() -> RequestId {
    RequestId::draw(&SystemEntropy::default()).unwrap()
}
