//! Nodes join, leave for ever, and know levels.

use exequatur_federation::{
    ledger::{
        AnnounceConfig, Command, ConfigScope, Fixed, Join, Leave, NODES_MAX, Objection, Outcome,
        RaiseLevel, RevokeRegion,
    },
    membership::{Build, LevelRange, NodeDescription, NodeTicket},
};

use super::world::{
    World, description, identity_pair, law, node, refused, region, sign, ticket, vouched,
};

fn join(ticket: NodeTicket) -> Command {
    Command::Join(Join { ticket })
}

fn leave(number: u16, place: u16) -> Command {
    Command::Leave(Leave { node: node(number, place) })
}

fn knowing(highest: u16, number: u16, place: u16) -> NodeTicket {
    let levels = LevelRange { lowest: 1, highest };
    vouched(NodeDescription { levels, ..description(number, place) })
}

#[test]
fn a_node_joins_by_its_regions_ticket_and_never_again_after_it_left() {
    let mut world = World::new(3, 1);
    // Any region may bring the ticket: its own has signed it.
    assert_eq!(world.propose(1, join(ticket(2, 1))), Outcome::Applied);
    assert_eq!(world.propose(2, join(ticket(2, 1))), Outcome::Duplicate);
    assert_eq!(world.ledger.member(node(2, 1)).unwrap().region, region(2));
    assert_eq!(world.propose(2, leave(2, 1)), Outcome::Applied);
    assert!(world.ledger.is_tombstone(node(2, 1)));
    assert_eq!(world.propose(2, leave(2, 1)), Outcome::Duplicate);
    assert_eq!(world.propose(2, join(ticket(2, 1))), refused(Objection::Tombstone));
    assert_eq!(world.propose(2, leave(2, 7)), refused(Objection::Unknown));
    let late = world.make_of(2, 1, leave(2, 0));
    assert_eq!(world.apply(&late), refused(Objection::UnknownNode));
}

#[test]
fn a_ticket_that_its_region_did_not_sign_for_this_federation_is_refused() {
    let mut world = World::new(3, 1);
    let said = description(2, 1);
    let forged =
        NodeTicket { description: said, signature: sign(&identity_pair(1), &said.signing_bytes()) };
    assert_eq!(world.propose(1, join(forged)), refused(Objection::Signature));
    let elsewhere = vouched(NodeDescription { federation: Fixed([1; 32]), ..said });
    assert_eq!(world.propose(2, join(elsewhere)), refused(Objection::Invalid));
    let stranger = vouched(NodeDescription { region: region(9), ..said });
    assert_eq!(world.propose(2, join(stranger)), refused(Objection::Unknown));
    let levels = LevelRange { lowest: 2, highest: 2 };
    let later = vouched(NodeDescription { levels, ..said });
    assert_eq!(world.propose(2, join(later)), refused(Objection::Level));
    // The id or the key of a member.
    let same_id = vouched(NodeDescription { node: node(2, 0), ..said });
    assert_eq!(world.propose(2, join(same_id)), refused(Objection::Conflict));
    let same_key = vouched(NodeDescription { key: description(1, 0).key, ..said });
    assert_eq!(world.propose(2, join(same_key)), refused(Objection::Conflict));
    let moved = vouched(NodeDescription { region: region(1), ..description(2, 0) });
    assert_eq!(world.propose(1, join(moved)), refused(Objection::Conflict));
    for number in [1, 3] {
        let end = Command::RevokeRegion(RevokeRegion { region: region(2) });
        world.propose(number, end);
    }
    assert_eq!(world.propose(1, join(ticket(2, 1))), refused(Objection::NotAuthorised));
}

#[test]
fn there_is_room_for_so_many_nodes() {
    let mut world = World::new(3, 1);
    for place in 1..=u16::try_from(NODES_MAX).unwrap() - 3 {
        assert_eq!(world.propose(1, join(ticket(1, place))), Outcome::Applied);
    }
    assert_eq!(world.propose(2, join(ticket(2, 1))), refused(Objection::TableFull));
    assert_eq!(world.propose(1, leave(1, 1)), Outcome::Applied);
    assert_eq!(world.propose(2, join(ticket(2, 1))), Outcome::Applied);
}

#[test]
fn two_others_remove_a_node() {
    let mut world = World::new(3, 2);
    assert_eq!(world.propose(1, leave(3, 0)), Outcome::Pending);
    assert!(world.ledger.member(node(3, 0)).is_some());
    assert_eq!(world.propose(2, leave(3, 0)), Outcome::Applied);
    assert!(world.ledger.member(node(3, 0)).is_none());
    // A node may take itself out, and says nothing after that.
    assert_eq!(world.propose(2, leave(2, 0)), Outcome::Applied);
    assert_eq!(world.propose(2, leave(2, 1)), refused(Objection::UnknownNode));
}

#[test]
fn the_level_rises_by_one_when_every_member_knows_it() {
    let mut world = World::new(3, 1);
    let raise = |level| Command::RaiseLevel(RaiseLevel { level });
    assert_eq!(world.propose(1, raise(1)), Outcome::Duplicate);
    assert_eq!(world.propose(1, raise(3)), refused(Objection::WrongState));
    assert_eq!(world.propose(1, raise(0)), refused(Objection::WrongState));
    assert_eq!(world.propose(1, raise(2)), refused(Objection::NotReady));
    assert_eq!(world.propose(1, join(knowing(2, 1, 0))), Outcome::Applied);
    // Only its own region says that a node knows more.
    assert_eq!(world.propose(1, join(knowing(2, 2, 0))), refused(Objection::NotAuthorised));
    assert_eq!(world.propose(2, join(knowing(2, 2, 0))), Outcome::Applied);
    assert_eq!(world.propose(1, raise(2)), refused(Objection::NotReady));
    let announce = |lowest, highest| {
        Command::AnnounceConfig(AnnounceConfig {
            law: law(1),
            scope: ConfigScope::Region,
            levels: LevelRange { lowest, highest },
        })
    };
    assert_eq!(world.propose(3, announce(2, 2)), refused(Objection::Level));
    assert_eq!(world.propose(3, announce(1, 2)), Outcome::Applied);
    assert_eq!(world.propose(1, raise(2)), Outcome::Applied);
    assert_eq!(world.ledger.level(), 2);
    // This program knows level 1 only: it has no rules for level 2 and refuses everything.
    let old = world.make(1, raise(3));
    assert_eq!(world.apply(&old), refused(Objection::Level));
    let mut new = world.make(1, raise(3));
    new.header.level = 2;
    assert_eq!(world.apply(&new), refused(Objection::Level));
}

#[test]
fn a_newer_ticket_tells_a_newer_build() {
    let mut world = World::new(3, 1);
    let build = Build { major: 0, minor: 2, patch: 0 };
    let newer = vouched(NodeDescription { build, ..description(2, 0) });
    assert_eq!(world.propose(2, join(newer)), Outcome::Applied);
    assert_eq!(world.ledger.member(node(2, 0)).unwrap().build, build);
}
