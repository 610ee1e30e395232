//! Tickets, genesis and invites that people hand over: every wrong one is named, and pins nothing.

use std::fs;
use std::sync::Arc;

use exequatur_federation::jose::{Algorithm, sha256};
use exequatur_federation::ledger::{Fixed, List};
use exequatur_federation::membership::{Invitation, NodeId, NodeTicket};
use exequatur_federation::region::{RegionId, RegionNumber};
use exequatur_federation::time::UnixTime;
use exequatur_node::entropy::SystemEntropy;
use exequatur_node::hsm::software::{SoftwareConfig, SoftwareKeyStore};
use exequatur_node::hsm::{KeyStore as _, Purpose};
use exequatur_node::identity::make_invite;

use crate::founding::Federation;

const FAR_FUTURE: u64 = 4_000_000_000;

/// Bootstraps with these tickets, and says why not.
#[track_caller]
fn refused(federation: &Federation, tickets: &[String]) -> String {
    let mut arguments = vec!["cluster", "bootstrap", "--ticket"];
    arguments.extend(tickets.iter().map(String::as_str));
    let told = federation.run(0, &arguments).failed(1).to_owned();
    assert!(!federation.path(0, "cluster/genesis").exists(), "{told}");
    federation.without_directory(&told)
}

fn tickets(federation: &Federation) -> [String; 3] {
    [0, 1, 2].map(|region| federation.file(region, "cluster/node.ticket"))
}

fn ticket(path: &str) -> NodeTicket {
    NodeTicket::open(&fs::read(path).unwrap()).unwrap()
}

/// An invite of a region of a federation that was founded, for a node.
fn invite(federation: &Federation, inviting: usize, node: NodeId, expires_at: u64) -> Vec<u8> {
    let config = SoftwareConfig {
        region: RegionId::new(["eu-central", "us-east", "ap-southeast"][inviting]).unwrap(),
        key_file: federation.path(inviting, "keys.sealed"),
        passphrase_file: federation.path(inviting, "passphrase"),
    };
    let store = SoftwareKeyStore::open(config, Arc::new(SystemEntropy::default())).unwrap();
    let signer = store.find(Purpose::Identity, Algorithm::Es256).unwrap().unwrap();
    let genesis = fs::read(federation.path(0, "cluster/genesis")).unwrap();
    let invitation = Invitation {
        cluster: Fixed([1; 16]),
        epoch: 0,
        genesis: Fixed(sha256(&genesis)),
        node,
        region: RegionNumber::new(u16::try_from(inviting).unwrap() + 1).unwrap(),
        expires_at: UnixTime::from_seconds(expires_at),
        members: List::empty(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(make_invite(signer.as_ref(), invitation)).unwrap().seal()
}

#[test]
fn tickets_that_are_missing_twice_or_no_tickets_found_nothing() {
    let federation = Federation::initialised("test");
    let [eu, us, ap] = tickets(&federation);
    let node = |path: &str| ticket(path).description.node;
    let told = refused(&federation, &[eu.clone(), us.clone()]);
    let missing =
        format!("error: the tickets of these voters of federation.toml are missing: {}", node(&ap));
    assert_eq!(told.trim_end(), missing);
    let told = refused(&federation, &[eu.clone(), us.clone(), ap.clone(), us.clone()]);
    assert_eq!(told, format!("error: the ticket of node {} was given twice\n", node(&us)));
    let told = refused(&federation, &[us, ap.clone()]);
    let absent = format!("error: this node, {}, is not among the founders", node(&eu));
    assert!(told.starts_with(&absent), "{told}");
    let told = refused(&federation, &[eu.clone(), federation.file(0, "region.toml")]);
    assert!(
        told.starts_with("error: `DIR/eu-central/region.toml`: it is no node ticket: "),
        "{told}"
    );
    let told = refused(&federation, &[eu.clone(), federation.file(0, "nowhere")]);
    assert!(told.starts_with("error: `DIR/eu-central/nowhere` cannot be read: "), "{told}");
    let mut damaged = fs::read(&ap).unwrap();
    damaged[30] ^= 1;
    fs::write(federation.path(0, "damaged"), damaged).unwrap();
    let told = refused(&federation, &[eu, federation.file(0, "damaged")]);
    assert!(told.contains("it is no node ticket: the checksum does not fit"), "{told}");
}

#[test]
fn tickets_of_another_federation_region_or_key_found_nothing() {
    let federation = Federation::initialised("test");
    let [eu, us, _] = tickets(&federation);
    let other = Federation::initialised("other");
    let [_, _, foreign] = tickets(&other);
    let told = refused(&federation, &[eu.clone(), us.clone(), foreign]);
    assert!(told.contains("is one of another federation than `test`"), "{told}");
    // The same federation to look at, but the region's key is another one.
    let impostor = Federation::initialised("test");
    let [_, _, forged] = tickets(&impostor);
    let told = refused(&federation, &[eu.clone(), us.clone(), forged]);
    assert!(
        told.contains("not signed by the identity key that federation.toml has for `ap-southeast`"),
        "{told}"
    );
    // A second node of a region, which federation.toml does not have.
    fs::rename(federation.path(1, "cluster"), federation.path(1, "cluster.old")).unwrap();
    fs::rename(federation.path(1, "anchor"), federation.path(1, "anchor.old")).unwrap();
    federation.run(1, &["init"]).done();
    let told = refused(&federation, &[eu, us]);
    assert!(told.contains("does not stand in federation.toml under region `us-east`"), "{told}");
}

#[test]
fn a_ticket_of_a_region_that_is_not_pinned_founds_nothing() {
    let federation = Federation::initialised("test");
    let tickets = tickets(&federation);
    let path = federation.path(0, "federation.toml");
    let text = fs::read_to_string(&path).unwrap();
    let (before, us) = text.split_once("number = 2").unwrap();
    let (names, identity) = us.split_once("identity = ").unwrap();
    let (_, after) = identity.split_once('\n').unwrap();
    fs::write(&path, format!("{before}number = 2{names}{after}")).unwrap();
    let told = refused(&federation, &tickets);
    assert!(
        told.contains("is one of region 2, which has no `identity` in federation.toml"),
        "{told}"
    );
}

#[test]
fn a_federation_is_founded_and_joined_once() {
    let federation = Federation::initialised("test");
    federation.bootstrap().done();
    let first = fs::read(federation.path(0, "cluster/genesis")).unwrap();
    let told = federation.bootstrap().failed(1).to_owned();
    assert!(told.starts_with("error: the node has pinned the genesis "), "{told}");
    let genesis = federation.file(0, "cluster/genesis");
    let join = ["cluster", "join", "--genesis", genesis.as_str()];
    federation.run(1, &join).done();
    for region in [0, 1] {
        let told = federation.run(region, &join).failed(1).to_owned();
        assert!(told.contains("belongs to one federation for ever"), "{told}");
    }
    assert_eq!(fs::read(federation.path(0, "cluster/genesis")).unwrap(), first);
}

#[test]
fn a_genesis_of_another_federation_or_law_is_not_pinned() {
    let federation = Federation::initialised("test");
    federation.bootstrap().done();
    let other = Federation::initialised("other");
    other.bootstrap().done();
    let foreign = other.file(0, "cluster/genesis");
    let told = federation.run(1, &["cluster", "join", "--genesis", &foreign]).failed(1).to_owned();
    assert!(told.contains("is refused: node ") && told.contains("another federation"), "{told}");
    let genesis = federation.file(0, "cluster/genesis");
    let path = federation.path(1, "federation.toml");
    let text = fs::read_to_string(&path).unwrap();
    let newer = text.replace("name = \"test\"", "name = \"test\"\nversion = 2");
    fs::write(&path, newer).unwrap();
    let told = federation.run(1, &["cluster", "join", "--genesis", &genesis]).failed(1).to_owned();
    assert!(told.contains("it was made under version 1 of federation.toml"), "{told}");
    assert!(told.contains("this node goes by version 2"), "{told}");
    fs::write(&path, text.replace("18445", "28445")).unwrap();
    federation.run(1, &["cluster", "join", "--genesis", &genesis]).done();
}

#[test]
fn an_invite_is_pinned_by_its_node_until_it_expires() {
    let federation = Federation::initialised("test");
    federation.bootstrap().done();
    let node = ticket(&federation.file(2, "cluster/node.ticket")).description.node;
    let write = |name: &str, bytes: Vec<u8>| {
        fs::write(federation.path(2, name), bytes).unwrap();
        federation.file(2, name)
    };
    let join = |path: &str| federation.run(2, &["cluster", "join", "--invite", path]);
    let expired = write("expired", invite(&federation, 1, node, 1_000));
    let told = join(&expired).failed(1).to_owned();
    assert!(told.contains("is refused: it expired "), "{told}");
    let strange = NodeId::new(1).unwrap();
    let strange = write("strange", invite(&federation, 1, strange, FAR_FUTURE));
    let told = join(&strange).failed(1).to_owned();
    assert!(
        told.contains(&format!("it is for node 0000000000000001, and this is node {node}")),
        "{told}"
    );
    let other = Federation::initialised("test");
    other.bootstrap().done();
    let forged = write("forged", invite(&other, 1, node, FAR_FUTURE));
    let told = join(&forged).failed(1).to_owned();
    assert!(told.contains("it is forged, or one of another federation"), "{told}");
    assert!(!federation.path(2, "cluster/invite").exists());
    let good = write("good", invite(&federation, 1, node, FAR_FUTURE));
    let joined = join(&good).done();
    assert!(joined.starts_with(&format!("node {node} belongs to genesis ")), "{joined}");
    let told = join(&good).failed(1).to_owned();
    assert!(told.contains("has pinned the genesis"), "{told}");
}

#[test]
fn join_takes_exactly_one_document() {
    let federation = Federation::initialised("test");
    federation.run(0, &["cluster", "join"]).failed(1);
    let both = ["cluster", "join", "--genesis", "a", "--invite", "b"];
    federation.run(0, &both).failed(1);
}

#[test]
fn a_ticket_can_be_made_again_and_is_as_good() {
    let federation = Federation::initialised("test");
    let before = ticket(&federation.file(0, "cluster/node.ticket"));
    let told = federation.run(0, &["cluster", "ticket"]).done();
    assert!(told.contains(" of region `eu-central`\n"), "{told}");
    assert_eq!(ticket(&federation.file(0, "cluster/node.ticket")).description, before.description);
    federation.bootstrap().done();
}
