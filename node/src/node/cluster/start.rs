//! From what `init` and `cluster bootstrap` or `join` left to consensus that runs.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use exequatur_federation::{
    config::FederationSettings,
    ledger::{Batch, Bearer, Command, Member, Proposal},
    membership::{NodeId, thumbprint},
};

use super::{
    ClusterError,
    anchor::Remembering,
    standpoint::{Listed, LocalKey, LocalStandpoint},
};
use crate::{
    consensus::{
        ConsensusParts, DataDirectory, DiskThread, FaultSignal, FederationMap, LogParts, LogStore,
        Network, OpenLogError, Opened, RaftId, RaftMember, Running, Snapshots, StateMachine,
        StateMachineParts, start,
    },
    hsm::KeyStore,
    identity::{Anchors, Change, DirectoryFacts, NodeIdentity, Pin},
    net::certificate::PairFiles,
    node::{Configured, Membership, OpenIdentity, Seams, identity::open_identity_with, resolve},
    peer::{
        CredentialFiles, CredentialWatch, Dialer, Directory, Greeter, NodeEntry, PeerName,
        Standpoint, TlsAcceptor, TlsConnector, Witness, limits::PeerLimits,
    },
    telemetry::metrics::Metrics,
};

/// What is opened before anything runs.
pub(super) struct Assembled {
    pub(super) running: Running,
    pub(super) greeter: Arc<Greeter>,
    pub(super) acceptor: TlsAcceptor,
    pub(super) watch: CredentialWatch,
    pub(super) fault: FaultSignal,
}

/// The node's place in the federation, as its files have it.
struct Place {
    own: Bearer,
    pin: Pin,
    genesis: Option<Proposal>,
    pinned: BTreeMap<NodeId, Member>,
}

/// Opens everything and starts consensus on the runtime that this is called on.
pub(super) async fn assemble(
    configured: Configured,
    keys: Arc<dyn KeyStore>,
    (seams, metrics): (Seams, Arc<Metrics>),
) -> Result<Assembled, ClusterError> {
    let membership = Membership::of(&configured)?;
    let federation = membership.federation();
    let identity = open_identity_with(&membership, keys.as_ref())?;
    let place = place(&membership, &identity)?;
    let OpenIdentity { directory, node, anchors, region: signer, .. } = identity;
    let fault = FaultSignal::default();
    let Disk { store, snapshots, machine, starts } =
        open_disk((&node, directory.path()), anchors, &place, &fault)?;
    let standpoint: Arc<dyn Standpoint> = Arc::new(LocalStandpoint {
        own: place.own,
        ledger: place.pin.ledger,
        genesis: place.pin.genesis,
        law: federation.law.digest,
        starts,
        pinned: place.pinned.clone(),
        listed: listed(federation),
        shared: machine.shared(),
        log: store.reader(),
    });
    let files = credential_files(&configured, federation, place.own.node)?;
    let watch = CredentialWatch::open(files, Arc::clone(&seams.clock), metrics).await?;
    let greeter = Arc::new(Greeter {
        standpoint: Arc::clone(&standpoint),
        key: Arc::new(LocalKey(node.key)),
        witness: Arc::new(Witness::default()),
    });
    let connector = TlsConnector::new(
        Arc::new(peer_directory(federation)),
        watch.current(),
        Arc::clone(&seams.clock),
    );
    let dialer = Dialer { connector, greeter: Arc::clone(&greeter), limits: PeerLimits::default() };
    let acceptor = TlsAcceptor::new(watch.current(), Arc::clone(&seams.clock))?;
    let running = start(ConsensusParts {
        own: place.own,
        ledger: place.pin.ledger,
        founders: place.founders(),
        genesis: place.genesis.as_ref().and_then(Batch::of),
        starts,
        signer,
        clock: Arc::clone(&seams.clock),
        timing: federation.timing(),
        map: map(federation),
        log: store,
        snapshots,
        machine,
        network: Network::new(place.own.node, dialer),
        standpoint,
    })
    .await?;
    Ok(Assembled { running, greeter, acceptor, watch, fault })
}

/// What rests on this node's disk, opened and loaded.
struct Disk {
    store: LogStore,
    snapshots: Snapshots,
    machine: StateMachine,
    starts: u64,
}

/// Opens the log, holds it against the anchors, counts the start, loads the state.
fn open_disk(
    (node, directory): (&NodeIdentity, &Path),
    anchors: Anchors,
    place: &Place,
    fault: &FaultSignal,
) -> Result<Disk, ClusterError> {
    let data = Arc::new(DataDirectory::new(directory));
    let disk = |name| DiskThread::start(name).map(Arc::new).map_err(ClusterError::Thread);

    let unstarted = facts(node, &place.pin, None);
    let remembering = Arc::new(Remembering::new(anchors, unstarted));
    let parts = LogParts {
        disk: Arc::<DataDirectory>::clone(&data),
        executor: disk("raft-log")?,
        anchor: Arc::<Remembering>::clone(&remembering),
        fault: fault.clone(),
    };
    let opened = match LogStore::open(parts.clone()) {
        Err(OpenLogError::Missing { .. }) => {
            // A log is made once, for a node that has never started; the anchor knows whether it
            // has.
            remembering.examine(&unstarted)?;
            LogStore::create(data.as_ref(), place.own.node)?;
            LogStore::open(parts)?
        }
        opened => opened?,
    };
    let Opened { store, facts: found, .. } = opened;
    let present = facts(node, &place.pin, Some(found));
    remembering.examine(&present)?;
    store.pin_genesis(place.pin.genesis).map_err(ClusterError::Log)?;
    let starts = store.begin_start().map_err(ClusterError::Log)?;
    // The directory first, then the anchor: see `identity::rejoin`.
    remembering
        .change(Change::Promise, |facts| *facts = DirectoryFacts { starts, ..present })
        .map_err(ClusterError::Log)?;

    let snapshots = Snapshots::new(data, disk("raft-snapshots")?, place.pin.genesis);
    let machine = StateMachine::open(StateMachineParts {
        log: store.reader(),
        space: store.space(),
        snapshots: snapshots.clone(),
        genesis: place.pin.genesis,
        fault: fault.clone(),
    })?;
    Ok(Disk { store, snapshots, machine, starts })
}

fn place(membership: &Membership<'_>, identity: &OpenIdentity) -> Result<Place, ClusterError> {
    let pin = identity.pin.ok_or(ClusterError::NotPinned)?;
    let node = identity.node.ticket.description.node;
    if membership.federation().node(node).is_none() {
        tracing::warn!(%node,
            "this node does not stand in federation.toml: nodes with the same file cannot call it");
    }
    let genesis = identity.directory.genesis()?;
    let mut pinned = BTreeMap::new();
    if let Some(Command::Genesis(genesis)) = genesis.as_ref().map(|p| &p.command) {
        for ticket in genesis.founders.items() {
            let described = &ticket.description;
            let key = thumbprint(&described.key).ok_or(ClusterError::NotPinned)?;
            pinned.insert(described.node, Member { region: described.region, key });
        }
    }
    if let Some(invite) = identity.directory.invite()? {
        pinned.extend(invite.invitation.members.items().iter().copied());
    }
    Ok(Place { own: Bearer { region: membership.number, node }, pin, genesis, pinned })
}

impl Place {
    /// The founders, for the one node that writes them down.
    fn founders(&self) -> Option<Vec<(RaftId, RaftMember)>> {
        let members = self.pinned.iter().map(|(node, m)| (RaftId(*node), RaftMember(*m)));
        self.pin.initialises.then(|| members.collect())
    }
}

/// What the directory says of itself, in the words of the anchor.
fn facts(node: &NodeIdentity, pin: &Pin, found: Option<DirectoryFacts>) -> DirectoryFacts {
    let own = node.ticket.description.node;
    let genesis = Some(pin.genesis);
    let Some(found) = found else {
        return DirectoryFacts { node: own, starts: 0, genesis, vote: None, last: None };
    };
    // A log that was made and not yet pinned belongs to the federation that the node pinned.
    DirectoryFacts { genesis: found.genesis.or(genesis), ..found }
}

fn credential_files(
    configured: &Configured,
    federation: &FederationSettings,
    node: NodeId,
) -> Result<CredentialFiles, ClusterError> {
    let (settings, law) = (&configured.compiled.settings, &configured.compiled.law);
    let cluster = settings.cluster.as_ref().ok_or(ClusterError::NotPinned)?;
    let mut authorities = BTreeMap::new();
    for (name, region) in &federation.regions {
        if let (Some(number), Some(ca)) = (region.number, &region.ca) {
            let file = resolve(&configured.federation_directory, ca);
            authorities.insert(name.clone(), (number, file));
        }
    }
    Ok(CredentialFiles {
        federation: federation.name.clone(),
        own: PeerName { region: law.region.clone(), node },
        pair: PairFiles {
            certificates: resolve(&configured.directory, &cluster.tls.certificate),
            key: resolve(&configured.directory, &cluster.tls.private_key),
        },
        authorities,
    })
}

fn peer_directory(federation: &FederationSettings) -> Directory {
    let mut directory = Directory { federation: federation.name.clone(), ..Directory::default() };
    for (name, region) in &federation.regions {
        directory.regions.extend(region.number.map(|number| (name.clone(), number)));
        for (node, settings) in &region.nodes {
            let entry = NodeEntry { region: name.clone(), address: settings.address.clone() };
            directory.nodes.insert(*node, entry);
        }
    }
    directory
}

fn map(federation: &FederationSettings) -> FederationMap {
    let mut map = FederationMap::default();
    for (name, region) in &federation.regions {
        map.regions.extend(region.number.map(|number| (number, name.to_string())));
        for (node, settings) in &region.nodes {
            map.addresses.insert(*node, settings.address.clone());
            if region.prefer_leader && settings.voter {
                map.preferred.push(*node);
            }
        }
    }
    map
}

fn listed(federation: &FederationSettings) -> BTreeMap<NodeId, Listed> {
    let numbered = federation.regions.values().filter_map(|r| Some((r.number?, &r.nodes)));
    let listed = numbered.flat_map(|(region, nodes)| {
        nodes.iter().map(move |(node, s)| (*node, Listed { region, voter: s.voter }))
    });
    listed.collect()
}
