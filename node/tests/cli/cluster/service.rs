//! A region whose operator's service runs inside the test, on a thread of its own.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use exequatur_federation::ledger::{
    Batch, Command, EntryPayload, Fixed, Header, IdentityKey, List, LogEntry, LogId, Mode,
    Proposal, Revoke, StatusTarget, Target,
};
use exequatur_federation::membership::{
    Build, Invitation, Invite, LEVELS, NodeDescription, NodeId, NodeTicket,
};
use exequatur_federation::operator::{Operator, Role, Roles};
use exequatur_federation::region::{RegionId, RegionNumber};
use exequatur_federation::revocation::ListId;
use exequatur_federation::time::UnixTime;
use exequatur_node::admin::{
    AdminEndpoint, AdminListener, AdminParts, AdminService, RequestId, Revocation, RevokeError,
    Revoker, Revoking,
};
use exequatur_node::audit::{CountedRefusals, open_log};
use exequatur_node::clock::{Clock as _, SystemClock};
use exequatur_node::consensus::control::{
    Acting, Cluster, ClusterStatus, ControlError, NodeState, NodeStatus, ViewState, ViewStatus,
};
use exequatur_node::entropy::SystemEntropy;
use exequatur_node::net::certificate::PairFiles;
use exequatur_node::node::log_binding;
use exequatur_node::store::{Access, Location, open};
use exequatur_node::telemetry::metrics::Metrics;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::Answer;
use crate::region::{REGION, Region};

const OPERATOR: &str = "spiffe://test/operator/alice";
const VIEWER: &str = "spiffe://test/operator/audit";

/// The line that the region's file gets.
const LISTEN: &str = "admin      = \"unix:admin.sock\"\nplain_http = true";

/// A cluster that answers what it is told to, and notes what it is asked.
pub(crate) struct MemoryCluster {
    pub(crate) status: Mutex<ClusterStatus>,
    asked: Mutex<Vec<String>>,
    failures: Mutex<VecDeque<ControlError>>,
}

/// A running service; it ends with this value.
pub(crate) struct Service {
    pub(crate) region: Region,
    pub(crate) cluster: Arc<MemoryCluster>,
    /// `localhost:port`, or empty for a socket.
    pub(crate) address: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    /// On the socket that the region's file names.
    pub(crate) fn local() -> Self {
        Self::start(|region| AdminEndpoint::Unix(region.path("admin.sock")))
    }

    /// On TCP; `alice` and `audit` are certificates in the directory.
    pub(crate) fn remote() -> Self {
        Self::start(|region| {
            certificates(region);
            AdminEndpoint::Tcp {
                address: "127.0.0.1:0".parse().unwrap(),
                certificate: PairFiles {
                    certificates: region.path("server.pem"),
                    key: region.path("server.key"),
                },
                client_ca: region.path("ca.pem"),
            }
        })
    }

    fn start(endpoint: impl FnOnce(&Region) -> AdminEndpoint) -> Self {
        let region = region();
        region.run(&["init"]).done();
        let endpoint = endpoint(&region);
        let cluster = Arc::new(MemoryCluster {
            status: Mutex::new(status()),
            asked: Mutex::default(),
            failures: Mutex::default(),
        });
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let (database, served) = (region.path("region.db"), Arc::clone(&cluster));
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve(endpoint, database, served, (tell, stopped)));
        });
        let address = told.recv().unwrap();
        Self { region, cluster, address, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Answer {
        self.region.run(&[&["cluster"], arguments].concat())
    }

    /// Runs a command at the TCP address with the certificate of `who`.
    pub(crate) fn run_as(&self, who: &str, arguments: &[&str]) -> Answer {
        let file = |name: String| self.region.path(&name).display().to_string();
        let (certificate, key) = (file(format!("{who}.pem")), file(format!("{who}.key")));
        let ca = file("ca.pem".to_owned());
        let connection = ["--address", &self.address, "--tls-certificate", &certificate];
        let connection = [&connection[..], &["--tls-key", &key, "--ca", &ca]].concat();
        crate::exequatur([&["cluster"], arguments, &connection].concat())
    }

    /// The public parts of the region's audit records.
    pub(crate) fn records(&self) -> Vec<Value> {
        let shown = self.region.run(&["audit", "show", "--output", "json"]).json();
        let records = shown["records"].as_array().unwrap();
        records.iter().map(|shown| shown["record"].clone()).collect()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))));
    }
}

/// A region whose file names the socket; nothing runs.
pub(crate) fn region() -> Region {
    Region::with(&REGION.replace("plain_http = true", LISTEN))
}

/// These tests are about the federation; what is revoked is tested where regions serve clients.
struct NothingToRevoke;

impl Revoker for NothingToRevoke {
    fn revoke<'a>(&'a self, _: &'a Operator, _: RequestId, _: &'a Revocation) -> Revoking<'a> {
        Box::pin(async { Err(RevokeError::UnknownToken) })
    }
}

async fn serve(
    endpoint: AdminEndpoint,
    database: PathBuf,
    cluster: Arc<MemoryCluster>,
    (tell, stopped): (std::sync::mpsc::Sender<String>, oneshot::Receiver<()>),
) {
    let entropy = Arc::new(SystemEntropy::default());
    let clock = Arc::new(SystemClock::start());
    let binding = log_binding(&RegionId::new("eu-central").unwrap());
    let store = open(&Location::Sqlite { path: database }, &binding, Access::Write).await.unwrap();
    let (audit, writer) = open_log(Arc::clone(&store), entropy.clone()).await.unwrap();
    let roles = [(OPERATOR.to_owned(), Role::Operator), (VIEWER.to_owned(), Role::Viewer)];
    let (service, worker) = AdminService::new(AdminParts {
        cluster,
        revoker: Arc::new(NothingToRevoke),
        audit,
        counted: Arc::new(CountedRefusals::default()),
        clock: clock.clone(),
        roles: Roles::new(roles),
    });
    let metrics = Arc::new(Metrics::new());
    let listener =
        AdminListener::bind(endpoint, (clock, entropy.as_ref()), &metrics).await.unwrap();
    let address = listener.address().map(|address| format!("localhost:{}", address.port()));
    tell.send(address.unwrap_or_default()).unwrap();
    // An error means that the test is over, which is the same.
    let serving = listener.serve(service, async { drop(stopped.await) });
    let (_, (), written) = tokio::join!(serving, worker.run(), writer.run());
    written.unwrap();
    store.close().await;
}

impl MemoryCluster {
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn fail(&self, error: ControlError) {
        self.failures.lock().unwrap().push_back(error);
    }

    fn note<T: Send + 'static>(&self, what: String, result: T) -> Acting<'_, T> {
        self.asked.lock().unwrap().push(what);
        let failure = self.failures.lock().unwrap().pop_front();
        Box::pin(std::future::ready(failure.map_or(Ok(result), Err)))
    }
}

impl Cluster for MemoryCluster {
    fn status(&self) -> ClusterStatus {
        self.status.lock().unwrap().clone()
    }

    fn invite(&self, ticket: NodeTicket) -> Acting<'_, Invite> {
        self.note(format!("invite {}", ticket.description.node), invite())
    }

    fn promote(&self, node: NodeId, replacing: Option<NodeId>, accept: bool) -> Acting<'_, ()> {
        let replaced = replacing.map_or_else(String::new, |old| format!(" replacing {old}"));
        self.note(format!("promote {node}{replaced} {accept}"), ())
    }

    fn demote(&self, node: NodeId, accept: bool) -> Acting<'_, ()> {
        self.note(format!("demote {node} {accept}"), ())
    }

    fn remove(&self, node: NodeId, accept: bool) -> Acting<'_, ()> {
        self.note(format!("remove {node} {accept}"), ())
    }

    fn transfer_leader(&self, to: Option<NodeId>) -> Acting<'_, ()> {
        self.note(format!("transfer_leader {to:?}"), ())
    }

    fn drain(&self) -> Acting<'_, ()> {
        self.note("drain".to_owned(), ())
    }

    fn snapshot(&self) -> Acting<'_, ()> {
        self.note("snapshot".to_owned(), ())
    }

    fn entry(&self, index: Option<u64>) -> Acting<'_, LogEntry> {
        self.note(format!("entry {index:?}"), revocation(index.unwrap_or(118)))
    }
}

pub(crate) fn node(bits: u64) -> NodeId {
    NodeId::new(bits).unwrap()
}

fn member(bits: u64, region: &str, matched_index: Option<u64>) -> NodeStatus {
    NodeStatus {
        node: node(bits),
        region: region.to_owned(),
        voter: true,
        address: Some(format!("{region}.example:8445")),
        matched_index,
        last_seen_ms: Some(140),
        build: Some(Build { major: 0, minor: 1, patch: 0 }),
        levels: Some(LEVELS),
    }
}

fn status() -> ClusterStatus {
    let unknown = NodeStatus {
        voter: false,
        address: None,
        last_seen_ms: None,
        build: None,
        levels: None,
        ..member(4, "ap-south", None)
    };
    ClusterStatus {
        cluster: "000102030405060708090a0b0c0d0e0f".to_owned(),
        epoch: 1,
        node: node(1),
        region: "eu-central".to_owned(),
        state: NodeState::Leader,
        term: 7,
        leader: Some(node(1)),
        level: 1,
        last_log_index: Some(120),
        committed_index: Some(119),
        applied_index: Some(118),
        snapshot_index: Some(100),
        purged_index: None,
        replicated_time: SystemClock::start().now(),
        state_digest: Fixed([3; 32]),
        law: Fixed([4; 32]),
        nodes: vec![
            member(3, "us-west", Some(80)),
            member(1, "eu-central", None),
            member(2, "us-east", Some(120)),
            unknown,
        ],
        survives_any_region: true,
        view: Some(ViewStatus {
            age_ms: Some(1_250),
            state: ViewState::Fresh,
            local_seconds_left: None,
        }),
        warnings: vec!["the clock of us-east is 31 s slow".to_owned()],
    }
}

pub(crate) fn ticket() -> NodeTicket {
    let description = NodeDescription {
        federation: Fixed([1; 32]),
        region: RegionNumber::new(2).unwrap(),
        node: node(9),
        key: IdentityKey::Ed25519(Fixed([5; 32])),
        levels: LEVELS,
        build: Build { major: 0, minor: 1, patch: 0 },
    };
    NodeTicket { description, signature: Fixed([6; 64]) }
}

pub(crate) fn invite() -> Invite {
    let invitation = Invitation {
        cluster: Fixed([7; 16]),
        epoch: 1,
        genesis: Fixed([8; 32]),
        node: node(9),
        region: RegionNumber::new(1).unwrap(),
        expires_at: UnixTime::from_seconds(1_800_000_000),
        members: List::empty(),
    };
    Invite { invitation, signature: Fixed([9; 64]) }
}

/// An authority, the service's certificate, an operator's and a viewer's.
fn certificates(region: &Region) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    region.file("ca.pem", &ca.self_signed(&ca_key).unwrap().pem());
    let issuer = Issuer::new(ca, ca_key);
    let uri = |uri: &str| SanType::URI(uri.try_into().unwrap());
    let localhost = SanType::DnsName("localhost".try_into().unwrap());
    for (name, san, usage) in [
        ("server", localhost, ExtendedKeyUsagePurpose::ServerAuth),
        ("alice", uri(OPERATOR), ExtendedKeyUsagePurpose::ClientAuth),
        ("audit", uri(VIEWER), ExtendedKeyUsagePurpose::ClientAuth),
    ] {
        let key = KeyPair::generate().unwrap();
        let mut leaf = CertificateParams::new(Vec::new()).unwrap();
        leaf.subject_alt_names = vec![san];
        leaf.extended_key_usages = vec![usage];
        region.file(&format!("{name}.pem"), &leaf.signed_by(&key, &issuer).unwrap().pem());
        region.file(&format!("{name}.key"), &key.serialize_pem());
    }
}

/// An entry with the revocation of one token.
fn revocation(index: u64) -> LogEntry {
    let region = RegionNumber::new(2).unwrap();
    let node = NodeId::new(2).unwrap();
    let proposed_at = UnixTime::from_seconds(1_700_000_000);
    let header = Header { region, node, serial: 9, level: 1, proposed_at };
    let target = Target::Status(StatusTarget { list: ListId::new(0xab), index: 7 });
    let revoke = Revoke { owner: region, target, mode: Mode::Cutoff, expires_at: proposed_at };
    let proposal = Proposal::unsigned(header, Command::Revoke(revoke)).unwrap();
    let payload = EntryPayload::Batch(Batch::of(&proposal).unwrap());
    LogEntry { id: LogId { term: 7, leader: node, index }, payload }
}
