//! Who may found a federation and who pins it: every way to be wrong by hand.

use std::sync::Arc;

use exequatur_federation::{
    config::{SourceFile, compile_federation},
    jose::{Algorithm, PublicKey},
    ledger::{IdentityKey, List},
    membership::Invitation,
};

use super::*;
use crate::{
    entropy::SystemEntropy,
    hsm::{
        KeyStore as _, Purpose,
        software::{SoftwareConfig, SoftwareKeyStore},
    },
    identity::{
        InviteError, NodeKey, build, check_invite, federation_digest, make_invite, make_ticket,
    },
};

/// A region with a node, as `init` leaves it.
struct Party {
    signer: Arc<dyn Signer>,
    identity: IdentityKey,
    description: NodeDescription,
}

struct Lab {
    parties: Vec<Party>,
    settings: FederationSettings,
}

const NAMES: [&str; 3] = ["eu", "us", "ap"];

fn region(index: usize) -> RegionNumber {
    RegionNumber::new(u16::try_from(index).unwrap() + 1).unwrap()
}

fn party(index: usize, federation: &str) -> Party {
    let place = tempfile::tempdir().unwrap();
    let config = SoftwareConfig {
        region: exequatur_federation::region::RegionId::new(NAMES[index]).unwrap(),
        key_file: place.path().join("keys"),
        passphrase_file: place.path().join("passphrase"),
    };
    let entropy = || Arc::new(SystemEntropy::default());
    SoftwareKeyStore::initialise(config.clone(), entropy()).unwrap();
    let store = SoftwareKeyStore::open(config, entropy()).unwrap();
    let signer = store.create(Purpose::Identity, Algorithm::Es256).unwrap();
    let public: &PublicKey = signer.public_key();
    let identity = IdentityKey::from_public(public).unwrap();
    let description = NodeDescription {
        federation: federation_digest(federation),
        region: region(index),
        node: NodeId::new(index as u64 + 1).unwrap(),
        key: NodeKey::generate().unwrap().0.public(),
        levels: LEVELS,
        build: build(),
    };
    Party { signer, identity, description }
}

impl Lab {
    fn new() -> Self {
        Self::of("test")
    }

    fn of(name: &str) -> Self {
        let parties: Vec<Party> = (0..3).map(|index| party(index, name)).collect();
        let settings = settings(name, &parties, "");
        Self { parties, settings }
    }

    async fn tickets(&self) -> Vec<NodeTicket> {
        let mut tickets = Vec::new();
        for party in &self.parties {
            tickets.push(make_ticket(party.signer.as_ref(), party.description).await.unwrap());
        }
        tickets
    }

    fn founding<'l>(&'l self, tickets: &'l [NodeTicket]) -> Founding<'l> {
        Founding {
            settings: &self.settings,
            tickets,
            here: self.parties[0].description,
            cluster: Fixed([6; 16]),
            now: UnixTime::from_seconds(1_800_000_000),
        }
    }

    async fn genesis(&self) -> Vec<u8> {
        let tickets = self.tickets().await;
        let command = self.founding(&tickets).command().unwrap();
        sign_command(self.parties[0].signer.as_ref(), Fixed([6; 16]), command).await.unwrap()
    }
}

/// The federation of these parties; `more` is added to the last region's table.
fn settings(name: &str, parties: &[Party], more: &str) -> FederationSettings {
    let mut text = format!("[federation]\nname = \"{name}\"\n");
    for (index, party) in parties.iter().enumerate() {
        let NodeDescription { node, region, .. } = party.description;
        let (name, identity) = (NAMES[index], party.identity);
        text += &format!(
            "[[region]]\nnumber = {region}\nname = \"{name}\"\njurisdiction = \"X\"\n\
             issuer = \"https://{name}.example\"\nidentity = \"{identity}\"\n\
             [[region.node]]\nid = \"{node}\"\naddress = \"{name}.example:8445\"\n"
        );
    }
    text += more;
    text += "[[upstream]]\nname = \"g\"\naudience = [\"a\"]\nhome_region = { fixed = \"eu\" }\n";
    let source = SourceFile { name: "federation.toml".to_owned(), text };
    compile_federation(&source).unwrap_or_else(|found| panic!("{found:#?}"))
}

#[tokio::test]
async fn every_founder_pins_the_genesis_that_one_of_them_made() {
    let lab = Lab::new();
    let frame = lab.genesis().await;
    for party in &lab.parties {
        let digest = check_genesis(&frame, &lab.settings, &party.description).unwrap();
        assert_eq!(digest, Fixed(sha256(&frame)));
    }
    let (proposal, _) = Proposal::open(&frame).unwrap();
    let Command::Genesis(genesis) = proposal.command else { panic!("{proposal:?}") };
    assert_eq!(
        (genesis.cluster, genesis.epoch, genesis.level),
        (Fixed([6; 16]), 0, LEVELS.highest)
    );
    assert_eq!((genesis.law, genesis.founders.items().len()), (lab.settings.law, 3));
}

#[tokio::test]
async fn the_order_of_the_tickets_does_not_matter() {
    let lab = Lab::new();
    let mut tickets = lab.tickets().await;
    let one = lab.founding(&tickets).command().unwrap();
    tickets.reverse();
    assert_eq!(lab.founding(&tickets).command().unwrap(), one);
}

#[tokio::test]
async fn tickets_that_do_not_fit_federation_toml_found_nothing() {
    let lab = Lab::new();
    let good = lab.tickets().await;
    let refused = |tickets: &[NodeTicket]| lab.founding(tickets).command().unwrap_err();
    let twice = refused(&[good[0], good[1], good[2], good[1]]);
    assert!(matches!(twice, FoundingError::Twice { node } if node.bits() == 2), "{twice}");
    let missing = refused(&good[..1]).to_string();
    assert!(missing.contains("0000000000000002, 0000000000000003"), "{missing}");
    let absent = refused(&good[1..]);
    assert!(matches!(absent, FoundingError::NotHere { .. }), "{absent}");
    let strange = Lab::of("another").tickets().await;
    let strange = refused(&[good[0], good[1], strange[2]]).to_string();
    assert!(strange.contains("another federation than `test`"), "{strange}");
    let forged = Lab::new().tickets().await;
    let forged = refused(&[good[0], good[1], forged[2]]);
    let by = |error: &FoundingError| {
        matches!(error, FoundingError::Ticket(TicketError::Signature { .. }))
    };
    assert!(by(&forged) && forged.to_string().contains("`ap`"), "{forged}");
    let mut changed = good.clone();
    changed[1].description.levels.highest += 1;
    assert!(by(&refused(&changed)));
}

#[tokio::test]
async fn a_ticket_of_a_node_or_region_that_is_not_listed_founds_nothing() {
    let lab = Lab::new();
    let tickets = lab.tickets().await;
    let mut fewer = Lab::new();
    fewer.settings = settings("test", &lab.parties, "");
    let us = exequatur_federation::region::RegionId::new("us").unwrap();
    let region = fewer.settings.regions.get_mut(&us).unwrap();
    region.nodes.clear();
    let unlisted = check_ticket(&tickets[1], &fewer.settings).unwrap_err();
    assert!(matches!(unlisted, TicketError::NotListed { .. }), "{unlisted}");
    fewer.settings.regions.get_mut(&us).unwrap().identity = None;
    let unpinned = check_ticket(&tickets[1], &fewer.settings).unwrap_err();
    assert!(matches!(unpinned, TicketError::RegionNotPinned { .. }), "{unpinned}");
}

#[tokio::test]
async fn a_node_that_is_not_to_vote_is_no_founder() {
    let mut lab = Lab::new();
    let mut learner = party(2, "test");
    learner.description.node = NodeId::new(9).unwrap();
    learner.signer = Arc::clone(&lab.parties[2].signer);
    let more = "[[region.node]]\nid = \"0000000000000009\"\naddress = \"ap9.example:1\"\n\
                voter = false\n";
    lab.settings = settings("test", &lab.parties, more);
    let mut tickets = lab.tickets().await;
    tickets.push(make_ticket(learner.signer.as_ref(), learner.description).await.unwrap());
    let refused = lab.founding(&tickets).command().unwrap_err();
    assert!(matches!(refused, FoundingError::NoVoter { node } if node.bits() == 9), "{refused}");
    assert!(lab.founding(&tickets[..3]).command().is_ok());
}

#[tokio::test]
async fn founders_of_whom_one_region_could_stop_all_found_nothing() {
    let mut lab = Lab::new();
    let us = exequatur_federation::region::RegionId::new("us").unwrap();
    // The check of the file refuses it before; the founding does not rely on that.
    lab.settings.regions.get_mut(&us).unwrap().nodes.clear();
    let tickets = lab.tickets().await;
    let refused = lab.founding(&[tickets[0], tickets[2]]).command().unwrap_err();
    let even = FoundingError::Voters(VoterFault::Even { count: 2 });
    assert_eq!(refused.to_string(), even.to_string());
}

#[tokio::test]
async fn the_ledger_begins_at_the_highest_level_that_all_founders_know() {
    let mut lab = Lab::new();
    let levels = |lowest, highest| LevelRange { lowest, highest };
    for (party, known) in lab.parties.iter_mut().zip([levels(1, 4), levels(2, 3), levels(1, 9)]) {
        party.description.levels = known;
    }
    let tickets = lab.tickets().await;
    assert_eq!(lab.founding(&tickets).command().unwrap().0.level, 3);
    lab.parties[2].description.levels = levels(4, 9);
    let tickets = lab.tickets().await;
    let refused = lab.founding(&tickets).command().unwrap_err();
    assert!(matches!(refused, FoundingError::Levels { node, level: 3, .. } if node.bits() == 3));
}

#[tokio::test]
async fn a_genesis_of_another_federation_law_or_key_is_not_pinned() {
    let lab = Lab::new();
    let here = lab.parties[1].description;
    let refused = |frame: &[u8]| check_genesis(frame, &lab.settings, &here).unwrap_err();
    let other = refused(&Lab::of("another").genesis().await).to_string();
    assert!(other.contains("another federation than `test`"), "{other}");
    let forged = refused(&Lab::new().genesis().await);
    assert!(matches!(forged, GenesisError::Founder(TicketError::Signature { .. })), "{forged}");
    let tickets = lab.tickets().await;
    let command = || lab.founding(&tickets).command().unwrap();
    // Made in the name of one region, signed by another.
    let wrong_key = sign_command(lab.parties[2].signer.as_ref(), Fixed([6; 16]), command()).await;
    let wrong_key = refused(&wrong_key.unwrap());
    assert!(matches!(wrong_key, GenesisError::Signature { region } if region.number() == 1));
    // Signed for one cluster, naming another.
    let moved = sign_command(lab.parties[0].signer.as_ref(), Fixed([7; 16]), command()).await;
    assert!(matches!(refused(&moved.unwrap()), GenesisError::Signature { .. }));
    let mut newer = Lab::new();
    newer.settings = lab.settings.clone();
    newer.settings.law.version = 2;
    let law = check_genesis(&lab.genesis().await, &newer.settings, &here).unwrap_err();
    assert!(matches!(law, GenesisError::OtherLaw { theirs: 1, ours: 2, .. }), "{law}");
}

#[tokio::test]
async fn only_a_founder_pins_a_genesis_and_only_a_genesis_is_one() {
    let lab = Lab::new();
    let frame = lab.genesis().await;
    let mut key = lab.parties[1].description;
    key.key = party(1, "test").description.key;
    let mut id = lab.parties[1].description;
    id.node = NodeId::new(77).unwrap();
    for stranger in [key, id] {
        let refused = check_genesis(&frame, &lab.settings, &stranger).unwrap_err();
        assert!(matches!(refused, GenesisError::NotAFounder { .. }), "{refused}");
    }
    let here = lab.parties[1].description;
    let ticket = lab.tickets().await[1].seal();
    let trailing = [frame.as_slice(), &[0]].concat();
    let mut flipped = frame.clone();
    flipped[40] ^= 1;
    for bytes in [&[][..], &ticket, &trailing, &flipped, &frame[..frame.len() - 1]] {
        let refused = check_genesis(bytes, &lab.settings, &here).unwrap_err();
        assert!(matches!(refused, GenesisError::Malformed { .. }), "{refused}");
    }
}

#[tokio::test]
async fn a_genesis_whose_founders_are_not_the_voters_here_is_not_pinned() {
    let lab = Lab::new();
    let frame = lab.genesis().await;
    let mut later = lab.settings.clone();
    let eu = exequatur_federation::region::RegionId::new("eu").unwrap();
    later.regions.get_mut(&eu).unwrap().nodes.values_mut().for_each(|node| node.voter = false);
    let refused = check_genesis(&frame, &later, &lab.parties[1].description).unwrap_err();
    assert!(matches!(refused, GenesisError::OtherFounders), "{refused}");
}

#[tokio::test]
async fn an_invite_is_for_one_node_until_it_expires() {
    let lab = Lab::new();
    let (node, now) = (NodeId::new(9).unwrap(), UnixTime::from_seconds(1_000));
    let invitation = Invitation {
        cluster: Fixed([6; 16]),
        epoch: 0,
        genesis: Fixed([1; 32]),
        node,
        region: region(1),
        expires_at: UnixTime::from_seconds(1_001),
        members: List::empty(),
    };
    let signer = lab.parties[1].signer.as_ref();
    let invite = make_invite(signer, invitation.clone()).await.unwrap();
    let frame = invite.seal();
    let check = |frame: &[u8], node, now| check_invite(frame, &lab.settings, node, now);
    assert_eq!(check(&frame, node, now), Ok(invite.clone()));
    let late = check(&frame, node, UnixTime::from_seconds(1_061));
    assert_eq!(late, Err(InviteError::Expired { seconds: 60 }));
    let here = NodeId::new(8).unwrap();
    assert_eq!(check(&frame, here, now), Err(InviteError::OtherNode { invited: node, here }));
    let mut extended = invite;
    extended.invitation.expires_at = UnixTime::from_seconds(9_999);
    let forged = Err(InviteError::Signature { region: region(1) });
    assert_eq!(check(&extended.seal(), node, now), forged);
    let other =
        make_invite(Lab::of("another").parties[1].signer.as_ref(), invitation.clone()).await;
    assert_eq!(check(&other.unwrap().seal(), node, now), forged);
    let strange = Invitation { region: region(8), ..invitation };
    let strange = make_invite(signer, strange).await.unwrap().seal();
    let unpinned = Err(InviteError::RegionNotPinned { region: region(8) });
    assert_eq!(check(&strange, node, now), unpinned);
    assert!(matches!(check(&frame[1..], node, now), Err(InviteError::Malformed { .. })));
}
