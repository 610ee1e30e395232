//! A federation on loopback for tests: authorities, certificates, nodes with keys and standpoints.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use exequatur_federation::{
    ledger::{Digest, Fixed, IdentityKey, Member, Signature},
    membership::{Build, Greeting, LEVELS, NodeId, Standing, thumbprint},
    region::{RegionId, RegionNumber},
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinSet};

use super::{
    Answers, CredentialFiles, CredentialWatch, CurrentCredentials, Dialer, Directory, Greeter,
    NodeEntry, NodeKey, NodeKeyError, PeerName, PeerServer, Standpoint, TlsAcceptor, TlsConnector,
    Witness, limits::PeerLimits,
};
use crate::{
    clock::{Clock, SystemClock},
    net::{certificate::PairFiles, serve::Drained},
    telemetry::metrics::{ConnectionMeters, Metrics},
};

pub(crate) const FEDERATION: &str = "example";

pub(crate) fn node_id(number: u64) -> NodeId {
    NodeId::new(number).unwrap()
}

/// A certificate authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate with the URIs, changed as the test wants it, and its key.
    pub(crate) fn sign(
        &self,
        uris: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "node of one test");
        params.subject_alt_names =
            uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// What a test's node knows; a test may change it at any time.
pub(crate) struct TestStandpoint {
    pub(crate) known: Mutex<Known>,
    /// Index of the last durable entry, where there is a log.
    pub(crate) flushed: OnceLock<Box<dyn Fn() -> u64 + Send + Sync>>,
}

pub(crate) struct Known {
    pub(crate) own: Greeting,
    pub(crate) level: u16,
    pub(crate) announced: BTreeSet<Digest>,
    pub(crate) members: BTreeMap<NodeId, Member>,
    pub(crate) voters: BTreeSet<NodeId>,
}

impl TestStandpoint {
    pub(crate) fn change(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.lock().unwrap());
    }
}

impl Standpoint for TestStandpoint {
    fn greeting(&self, to: NodeId) -> Greeting {
        let own = self.known.lock().unwrap().own;
        let flushed = self.flushed.get().map_or(own.flushed, |flushed| flushed());
        Greeting { to, flushed, ..own }
    }

    fn level(&self) -> u16 {
        self.known.lock().unwrap().level
    }

    fn is_announced(&self, law: &Digest) -> bool {
        self.known.lock().unwrap().announced.contains(law)
    }

    fn standing(&self, node: NodeId) -> Standing {
        let known = self.known.lock().unwrap().members.get(&node).copied();
        known.map_or(Standing::Stranger, Standing::from)
    }

    fn is_voter(&self, node: NodeId) -> bool {
        self.known.lock().unwrap().voters.contains(&node)
    }
}

/// A node's key in memory.
pub(crate) struct TestKey(pub(crate) Ed25519KeyPair);

impl NodeKey for TestKey {
    fn identity(&self) -> IdentityKey {
        IdentityKey::Ed25519(Fixed(self.0.public_key().as_ref().try_into().unwrap()))
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, NodeKeyError> {
        Ok(Fixed(self.0.sign(message).as_ref().try_into().unwrap()))
    }
}

/// Authorities of three regions and the directory that all nodes share.
pub(crate) struct World {
    pub(crate) files: TempDir,
    pub(crate) authorities: BTreeMap<RegionId, Authority>,
    pub(crate) directory: Directory,
    pub(crate) members: BTreeMap<NodeId, Member>,
    keys: BTreeMap<NodeId, Arc<TestKey>>,
}

/// One node of a world.
pub(crate) struct TestNode {
    pub(crate) id: NodeId,
    pub(crate) standpoint: Arc<TestStandpoint>,
    pub(crate) greeter: Arc<Greeter>,
    pub(crate) credentials: CredentialWatch,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) directory: Arc<Directory>,
}

/// A node's server; it is cut when dropped.
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    pub(crate) meters: ConnectionMeters,
    stop: Option<oneshot::Sender<()>>,
    server: JoinSet<Drained>,
}

impl World {
    /// Regions `r1`, `r2`, `r3`, and the nodes 1, 2, 3, one in each; addresses are given later.
    pub(crate) fn new() -> Self {
        let mut world = Self {
            files: TempDir::new().unwrap(),
            authorities: BTreeMap::new(),
            directory: Directory { federation: FEDERATION.to_owned(), ..Directory::default() },
            members: BTreeMap::new(),
            keys: BTreeMap::new(),
        };
        for number in 1..=3_u16 {
            let region = RegionId::new(&format!("r{number}")).unwrap();
            world.directory.regions.insert(region.clone(), RegionNumber::new(number).unwrap());
            let authority = Authority::new(region.as_str());
            fs::write(world.path(&format!("{region}-ca.pem")), &authority.pem).unwrap();
            world.authorities.insert(region.clone(), authority);
            world.enlist(number.into(), number);
        }
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    pub(crate) fn authority(&self, region: u16) -> &Authority {
        &self.authorities[&RegionId::new(&format!("r{region}")).unwrap()]
    }

    pub(crate) fn uri(region: u16, node: u64) -> String {
        let region = RegionId::new(&format!("r{region}")).unwrap();
        PeerName { region, node: node_id(node) }.uri(FEDERATION)
    }

    /// Makes a node a member of a region, with a key and a certificate.
    pub(crate) fn enlist(&mut self, node: u64, region: u16) {
        let id = node_id(node);
        let key = Arc::new(TestKey(Ed25519KeyPair::generate().unwrap()));
        let member = Member {
            region: RegionNumber::new(region).unwrap(),
            key: thumbprint(&key.identity()).unwrap(),
        };
        self.members.insert(id, member);
        self.keys.insert(id, key);
        let region_id = RegionId::new(&format!("r{region}")).unwrap();
        let entry = NodeEntry { region: region_id, address: "127.0.0.1:1".to_owned() };
        self.directory.nodes.insert(id, entry);
        self.certify(node, &self.authority(region).sign(&[&Self::uri(region, node)], |_| ()));
    }

    /// Installs a certificate and key for a node.
    pub(crate) fn certify(&self, node: u64, (certificate, key): &(String, String)) {
        fs::write(self.path(&format!("{node}.pem")), certificate).unwrap();
        fs::write(self.path(&format!("{node}.key")), key).unwrap();
    }

    /// Where a node listens.
    pub(crate) fn settle(&mut self, node: u64, address: SocketAddr) {
        self.directory.nodes.get_mut(&node_id(node)).unwrap().address = address.to_string();
    }

    pub(crate) fn credential_files(&self, node: u64) -> CredentialFiles {
        let region = self.directory.nodes[&node_id(node)].region.clone();
        CredentialFiles {
            federation: FEDERATION.to_owned(),
            own: PeerName { region, node: node_id(node) },
            pair: PairFiles {
                certificates: self.path(&format!("{node}.pem")),
                key: self.path(&format!("{node}.key")),
            },
            authorities: self
                .directory
                .regions
                .iter()
                .map(|(name, number)| {
                    (name.clone(), (*number, self.path(&format!("{name}-ca.pem"))))
                })
                .collect(),
        }
    }

    /// A node as the world is now; every member votes.
    pub(crate) async fn node(&self, node: u64) -> TestNode {
        let id = node_id(node);
        let metrics = Arc::new(Metrics::new());
        let files = self.credential_files(node);
        let credentials =
            CredentialWatch::open(files, clock(), Arc::clone(&metrics)).await.unwrap();
        let own = Greeting {
            cluster: Fixed([1; 16]),
            epoch: 0,
            genesis: Fixed([2; 32]),
            law: Fixed([3; 32]),
            region: self.members[&id].region,
            node: id,
            to: id,
            levels: LEVELS,
            build: Build { major: 0, minor: 1, patch: 0 },
            starts: 1,
            flushed: 0,
        };
        let known = Known {
            own,
            level: 1,
            announced: BTreeSet::new(),
            members: self.members.clone(),
            voters: self.members.keys().copied().collect(),
        };
        let standpoint =
            Arc::new(TestStandpoint { known: Mutex::new(known), flushed: OnceLock::new() });
        let greeter = Arc::new(Greeter {
            standpoint: Arc::clone(&standpoint) as Arc<dyn Standpoint>,
            key: Arc::clone(&self.keys[&id]) as Arc<dyn NodeKey>,
            witness: Arc::new(Witness::default()),
        });
        let directory = Arc::new(self.directory.clone());
        TestNode { id, standpoint, greeter, credentials, metrics, directory }
    }
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::start())
}

impl TestNode {
    pub(crate) fn current(&self) -> Arc<CurrentCredentials> {
        self.credentials.current()
    }

    pub(crate) fn connector(&self) -> TlsConnector {
        TlsConnector::new(Arc::clone(&self.directory), self.current(), clock())
    }

    pub(crate) fn dialer(&self) -> Dialer<TlsConnector> {
        Dialer {
            connector: self.connector(),
            greeter: Arc::clone(&self.greeter),
            limits: PeerLimits::default(),
        }
    }

    pub(crate) async fn serve<S: Answers>(&self, limits: PeerLimits, service: S) -> Serving {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.serve_on(listener, limits, service)
    }

    pub(crate) fn serve_on<S: Answers>(
        &self,
        listener: TcpListener,
        limits: PeerLimits,
        service: S,
    ) -> Serving {
        let address = listener.local_addr().unwrap();
        let meters = self.metrics.connections("peer");
        let acceptor = TlsAcceptor::new(self.current(), clock()).unwrap();
        let greeter = Arc::clone(&self.greeter);
        let server = PeerServer { acceptor, greeter, service, limits, meters: meters.clone() };
        let (stop, stopped) = oneshot::channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(server.serve(listener, async {
            let _told = stopped.await;
        }));
        Serving { address, meters, stop: Some(stop), server: tasks }
    }
}

impl Serving {
    pub(crate) async fn stop(&mut self) -> Drained {
        self.stop.take().unwrap().send(()).unwrap();
        self.server.join_next().await.unwrap().unwrap()
    }
}

/// Waits until something holds; the test fails if it does not within a long time.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..3_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within 30 s: {what}");
}
