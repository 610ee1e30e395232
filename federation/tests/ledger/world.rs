//! A federation of regions with keys that are known, so that everything that is signed here is the
//! same in every run.

use std::collections::BTreeMap;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use exequatur_federation::{
    jose::{PublicKey, from_base64url, sha256},
    ledger::{
        AcknowledgeKey, ActivateKey, Batch, BatchBuilder, Command, Digest, Fixed, Genesis, Header,
        IdentityKey, KeyPurpose, KeyThumbprint, LawVersion, Ledger, LedgerId, LedgerKey, List,
        Mode, Objection, Outcome, Proposal, PublishKey, RegionEntry, Revoke, Signature,
        SnapshotHead, Target, Tick,
    },
    membership::{Build, LevelRange, NodeDescription, NodeId, NodeTicket},
    region::RegionNumber,
    time::UnixTime,
};

pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const DAY: u64 = 86_400;
pub(crate) const LEDGER: LedgerId = LedgerId { cluster: Fixed([0xc1; 16]), epoch: 0 };
pub(crate) const LEVELS: LevelRange = LevelRange { lowest: 1, highest: 1 };

pub(crate) fn region(number: u16) -> RegionNumber {
    RegionNumber::new(number).unwrap()
}

/// The node `place` of a region: 0 is its first.
pub(crate) fn node(number: u16, place: u16) -> NodeId {
    NodeId::new(u64::from(number) << 16 | u64::from(place) | 1 << 63).unwrap()
}

pub(crate) const fn at(seconds: u64) -> UnixTime {
    UnixTime::from_seconds(seconds)
}

pub(crate) fn law(version: u64) -> LawVersion {
    LawVersion { digest: Fixed(sha256(format!("law {version}").as_bytes())), version }
}

/// A key pair that everybody can make.
pub(crate) fn pair(name: &str) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&sha256(name.as_bytes())).unwrap()
}

pub(crate) fn sign(pair: &Ed25519KeyPair, message: &[u8]) -> Signature {
    Fixed(pair.sign(message).as_ref().try_into().unwrap())
}

fn public(pair: &Ed25519KeyPair) -> Fixed<32> {
    Fixed(pair.public_key().as_ref().try_into().unwrap())
}

pub(crate) fn identity_pair(number: u16) -> Ed25519KeyPair {
    pair(&format!("identity of region {number}"))
}

pub(crate) fn identity(number: u16) -> IdentityKey {
    IdentityKey::Ed25519(public(&identity_pair(number)))
}

pub(crate) fn ledger_key(name: &str) -> LedgerKey {
    LedgerKey::Ed25519(public(&pair(name)))
}

pub(crate) fn kid(key: &LedgerKey) -> KeyThumbprint {
    thumbprint(&key.to_public().unwrap())
}

pub(crate) fn thumbprint(key: &PublicKey) -> KeyThumbprint {
    Fixed(from_base64url(key.thumbprint().as_str()).unwrap().try_into().unwrap())
}

pub(crate) fn publish(name: &str, purpose: KeyPurpose) -> PublishKey {
    let key = ledger_key(name);
    PublishKey { purpose, kid: kid(&key), key }
}

pub(crate) fn entry(number: u16, stand_ins: &[u16]) -> RegionEntry {
    RegionEntry {
        region: region(number),
        identity: identity(number),
        stand_ins: List::new(stand_ins.iter().map(|n| region(*n)).collect()).unwrap(),
        witness: true,
    }
}

/// Regions 1 to `count`; each names the next as its stand-in.
pub(crate) fn entries(count: u16) -> Vec<RegionEntry> {
    (1..=count)
        .map(|n| if count > 1 { entry(n, &[n % count + 1]) } else { entry(n, &[]) })
        .collect()
}

pub(crate) fn description(number: u16, place: u16) -> NodeDescription {
    NodeDescription {
        federation: Fixed(sha256(b"example")),
        region: region(number),
        node: node(number, place),
        key: IdentityKey::Ed25519(public(&pair(&format!("node {place} of region {number}")))),
        levels: LEVELS,
        build: Build { major: 0, minor: 1, patch: 0 },
    }
}

pub(crate) fn vouched(description: NodeDescription) -> NodeTicket {
    let signer = identity_pair(description.region.number());
    NodeTicket { description, signature: sign(&signer, &description.signing_bytes()) }
}

pub(crate) fn ticket(number: u16, place: u16) -> NodeTicket {
    vouched(description(number, place))
}

/// Founds a federation of `count` regions with `nodes` nodes each.
pub(crate) fn genesis(count: u16, nodes: u16) -> Genesis {
    let founders = (1..=count).flat_map(|n| (0..nodes).map(move |place| ticket(n, place)));
    Genesis {
        cluster: LEDGER.cluster,
        epoch: LEDGER.epoch,
        level: 1,
        law: law(1),
        regions: List::new(entries(count)).unwrap(),
        founders: List::new(founders.collect()).unwrap(),
    }
}

pub(crate) fn header(number: u16, serial: u64, proposed_at: u64) -> Header {
    Header {
        region: region(number),
        node: node(number, 0),
        serial,
        level: 1,
        proposed_at: at(proposed_at),
    }
}

pub(crate) fn signed(header: Header, command: Command, by: &Ed25519KeyPair) -> Proposal {
    let signature = sign(by, &Proposal::signing_bytes(LEDGER, &header, &command));
    Proposal { header, command, signature: Some(signature) }
}

/// A proposal as its region makes it.
pub(crate) fn proposal(header: Header, command: Command) -> Proposal {
    if command.is_signed() {
        signed(header, command, &identity_pair(header.region.number()))
    } else {
        Proposal::unsigned(header, command).unwrap()
    }
}

pub(crate) fn founding(genesis: Genesis) -> Proposal {
    proposal(header(1, 0, NOW), Command::Genesis(genesis))
}

pub(crate) fn digest_of(proposal: &Proposal) -> Digest {
    Fixed(sha256(&proposal.seal()))
}

pub(crate) fn batch(proposals: &[Proposal]) -> Batch {
    let mut builder = BatchBuilder::default();
    for proposal in proposals {
        assert!(builder.push(proposal));
    }
    // Whatever is applied was read from a log.
    Batch::open(builder.finish().sealed()).unwrap()
}

/// A ledger, with the clock and serials of those who write to it.
#[derive(Clone)]
pub(crate) struct World {
    pub ledger: Ledger,
    pub index: u64,
    /// The clock of everybody who does not say otherwise.
    pub now: u64,
    serials: BTreeMap<NodeId, u64>,
}

impl World {
    pub(crate) fn new(regions: u16, nodes: u16) -> Self {
        Self::founded(&founding(genesis(regions, nodes)))
    }

    pub(crate) fn founded(founding: &Proposal) -> Self {
        let ledger = Ledger::new(digest_of(founding));
        let mut world = Self { ledger, index: 0, now: NOW, serials: BTreeMap::new() };
        assert_eq!(world.apply(founding), Outcome::Applied);
        world
    }

    /// The next proposal of a region's first node.
    pub(crate) fn make(&mut self, number: u16, command: Command) -> Proposal {
        self.make_of(number, 0, command)
    }

    pub(crate) fn make_of(&mut self, number: u16, place: u16, command: Command) -> Proposal {
        let serial = self.serials.entry(node(number, place)).or_insert(0);
        *serial += 1;
        let header = Header { node: node(number, place), ..header(number, *serial, self.now) };
        proposal(header, command)
    }

    /// Applies one proposal in an entry of its own. `check` says the same before, and what is
    /// refused or known changes nothing that is asked again.
    #[track_caller]
    pub(crate) fn apply(&mut self, proposal: &Proposal) -> Outcome {
        let checked = self.ledger.check(proposal);
        let outcomes = self.ledger.apply(self.index, &batch(std::slice::from_ref(proposal)));
        self.index += 1;
        let &[outcome] = outcomes.as_slice() else { panic!("one proposal, {outcomes:?}") };
        let objected = match outcome {
            Outcome::Refused(objection) => Err(objection),
            Outcome::Applied | Outcome::Duplicate | Outcome::Pending => Ok(()),
        };
        assert_eq!(checked, objected, "check and apply agree on {proposal:?}");
        outcome
    }

    #[track_caller]
    pub(crate) fn propose(&mut self, number: u16, command: Command) -> Outcome {
        let proposal = self.make(number, command);
        self.apply(&proposal)
    }

    /// Every region tells the time, `seconds` later.
    pub(crate) fn pass(&mut self, seconds: u64, regions: u16) {
        self.now += seconds;
        for number in 1..=regions {
            self.propose(number, Command::Tick(Tick {}));
        }
    }

    pub(crate) fn snapshot(&self) -> Vec<u8> {
        self.ledger.snapshot(&SnapshotHead::default())
    }

    /// Publishes a key, acknowledged by all nodes, active.
    pub(crate) fn activate(&mut self, number: u16, name: &str, purpose: KeyPurpose) {
        let command = publish(name, purpose);
        let kid = command.kid;
        assert_eq!(self.propose(number, Command::PublishKey(command)), Outcome::Applied);
        self.acknowledge_all(number, kid);
        let outcome = self.propose(number, Command::ActivateKey(ActivateKey { kid }));
        assert_eq!(outcome, Outcome::Applied);
    }

    pub(crate) fn acknowledge_all(&mut self, number: u16, kid: KeyThumbprint) {
        let members: Vec<(NodeId, RegionNumber)> =
            self.ledger.members().map(|(node, row)| (node, row.region)).collect();
        for (node, of) in members {
            let command = AcknowledgeKey { region: region(number), kid, node };
            let outcome = self.propose(of.number(), Command::AcknowledgeKey(command));
            assert_eq!(outcome, Outcome::Applied);
        }
    }
}

pub(crate) fn revoke(owner: u16, target: Target, mode: Mode, expires_at: u64) -> Command {
    Command::Revoke(Revoke { owner: region(owner), target, mode, expires_at: at(expires_at) })
}

pub(crate) const fn refused(objection: Objection) -> Outcome {
    Outcome::Refused(objection)
}
