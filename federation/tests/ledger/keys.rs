//! Keys: published, acknowledged, active, retired, revoked.

use exequatur_federation::ledger::{
    ACTIVATION_WAIT, AcknowledgeKey, ActivateKey, Command, Fixed, KEY_LIFETIME_MAX,
    KEYS_PER_REGION_MAX, KeyPurpose, KeyState, KeyThumbprint, LedgerKey, Objection, Outcome,
    PURGE_MARGIN, PublishKey, RetireKey, RevokeKey, RevokeRegion,
};

use super::{
    regions::evacuate,
    world::{World, at, kid, ledger_key, node, publish, refused, region},
};

const PURPOSE: KeyPurpose = KeyPurpose::AccessToken;

fn activate(kid: KeyThumbprint) -> Command {
    Command::ActivateKey(ActivateKey { kid })
}

fn acknowledge(number: u16, kid: KeyThumbprint, by: (u16, u16)) -> Command {
    let node = node(by.0, by.1);
    Command::AcknowledgeKey(AcknowledgeKey { region: region(number), kid, node })
}

fn retire(kid: KeyThumbprint, until: u64) -> Command {
    Command::RetireKey(RetireKey { kid, verifies_until: at(until) })
}

fn revoke(number: u16, kid: KeyThumbprint) -> Command {
    Command::RevokeKey(RevokeKey { region: region(number), kid })
}

fn state(world: &World, number: u16, kid: KeyThumbprint) -> KeyState {
    world.ledger.key(region(number), kid).unwrap().state
}

fn published(world: &mut World, number: u16, name: &str) -> KeyThumbprint {
    let command = publish(name, PURPOSE);
    let kid = command.kid;
    assert_eq!(world.propose(number, Command::PublishKey(command)), Outcome::Applied);
    kid
}

#[test]
fn nothing_is_signed_before_every_node_of_every_active_region_knows_the_key() {
    let mut world = World::new(3, 2);
    let kid = published(&mut world, 1, "a");
    let nodes: Vec<(u16, u16)> = (1..=3).flat_map(|n| [(n, 0), (n, 1)]).collect();
    for by in nodes {
        assert_eq!(world.propose(1, activate(kid)), refused(Objection::NotReady));
        assert_eq!(world.propose(by.0, acknowledge(1, kid, by)), Outcome::Applied);
        assert_eq!(world.propose(by.0, acknowledge(1, kid, by)), Outcome::Duplicate);
    }
    assert_eq!(world.propose(1, activate(kid)), Outcome::Applied);
    assert_eq!(state(&world, 1, kid), KeyState::Active);
    assert_eq!(world.propose(1, activate(kid)), Outcome::Duplicate);
}

#[test]
fn a_region_that_has_gone_is_not_waited_for_and_a_new_node_is() {
    let mut world = World::new(3, 1);
    let kid = published(&mut world, 1, "a");
    world.propose(1, acknowledge(1, kid, (1, 0)));
    world.propose(2, acknowledge(1, kid, (2, 0)));
    assert_eq!(world.propose(1, activate(kid)), refused(Objection::NotReady));
    evacuate(&mut world, 3);
    let join = exequatur_federation::ledger::Join { ticket: super::world::ticket(2, 1) };
    world.propose(2, Command::Join(join));
    assert_eq!(world.propose(1, activate(kid)), refused(Objection::NotReady));
    world.propose(2, acknowledge(1, kid, (2, 1)));
    assert_eq!(world.propose(1, activate(kid)), Outcome::Applied);
}

#[test]
fn after_a_quarter_of_an_hour_a_majority_of_regions_is_enough() {
    let mut world = World::new(3, 1);
    let kid = published(&mut world, 1, "a");
    world.propose(1, acknowledge(1, kid, (1, 0)));
    world.pass(u64::from(ACTIVATION_WAIT.seconds()), 3);
    assert_eq!(world.propose(1, activate(kid)), refused(Objection::NotReady));
    world.propose(2, acknowledge(1, kid, (2, 0)));
    assert_eq!(world.propose(1, activate(kid)), Outcome::Applied);
    let mut world = World::new(3, 1);
    let kid = published(&mut world, 1, "a");
    world.propose(1, acknowledge(1, kid, (1, 0)));
    world.propose(2, acknowledge(1, kid, (2, 0)));
    world.pass(u64::from(ACTIVATION_WAIT.seconds()) - 1, 3);
    assert_eq!(world.propose(1, activate(kid)), refused(Objection::NotReady));
}

#[test]
fn after_a_revocation_a_majority_is_enough_at_once_unless_another_key_signs() {
    let mut world = World::new(3, 1);
    world.activate(1, "first", PURPOSE);
    let first = kid(&ledger_key("first"));
    let second = published(&mut world, 1, "second");
    world.propose(1, acknowledge(1, second, (1, 0)));
    world.propose(2, acknowledge(1, second, (2, 0)));
    assert_eq!(world.propose(1, activate(second)), refused(Objection::NotReady));
    assert_eq!(world.propose(1, revoke(1, first)), Outcome::Applied);
    assert_eq!(world.propose(1, activate(second)), Outcome::Applied);
    // One signs again: no hurry any more.
    let third = published(&mut world, 1, "third");
    world.propose(1, acknowledge(1, third, (1, 0)));
    world.propose(2, acknowledge(1, third, (2, 0)));
    assert_eq!(world.propose(1, activate(third)), refused(Objection::NotReady));
    // Nor is there for another purpose.
    let other = publish("other", KeyPurpose::Response);
    world.propose(1, Command::PublishKey(other.clone()));
    world.propose(1, acknowledge(1, other.kid, (1, 0)));
    world.propose(2, acknowledge(1, other.kid, (2, 0)));
    assert_eq!(world.propose(1, activate(other.kid)), refused(Objection::NotReady));
}

#[test]
fn a_region_acknowledges_for_its_own_nodes_only() {
    let mut world = World::new(3, 1);
    let kid = published(&mut world, 1, "a");
    assert_eq!(world.propose(2, acknowledge(1, kid, (3, 0))), refused(Objection::NotAuthorised));
    assert_eq!(world.propose(2, acknowledge(1, kid, (2, 7))), refused(Objection::UnknownNode));
    assert_eq!(
        world.propose(2, acknowledge(2, kid, (2, 0))),
        refused(Objection::Unknown),
        "the key of another region"
    );
    world.propose(1, retire(kid, world_now(&world)));
    assert_eq!(world.propose(2, acknowledge(1, kid, (2, 0))), refused(Objection::WrongState));
}

fn world_now(world: &World) -> u64 {
    world.now
}

#[test]
fn a_key_is_published_under_its_thumbprint_for_what_it_suits_and_by_one_region() {
    let mut world = World::new(3, 1);
    let good = publish("a", PURPOSE);
    let wrong = PublishKey { kid: Fixed([1; 32]), ..good.clone() };
    assert_eq!(world.propose(1, Command::PublishKey(wrong)), refused(Objection::Invalid));
    let no_point = LedgerKey::P256(Fixed([2; 33]));
    let broken = PublishKey { key: no_point, ..good.clone() };
    assert_eq!(world.propose(1, Command::PublishKey(broken)), refused(Objection::Invalid));
    let mut modulus = [0xa5; 256];
    modulus[255] |= 1;
    let rsa = LedgerKey::Rsa2048(Box::new(Fixed(modulus)));
    let rsa = |purpose| PublishKey { purpose, kid: kid(&rsa), key: rsa.clone() };
    for purpose in [KeyPurpose::Audit, KeyPurpose::BorderGrant, KeyPurpose::Response] {
        assert_eq!(
            world.propose(1, Command::PublishKey(rsa(purpose))),
            refused(Objection::Invalid)
        );
    }
    assert_eq!(world.propose(1, Command::PublishKey(rsa(PURPOSE))), Outcome::Applied);
    assert_eq!(world.propose(1, Command::PublishKey(good.clone())), Outcome::Applied);
    assert_eq!(world.propose(1, Command::PublishKey(good.clone())), Outcome::Duplicate);
    assert_eq!(world.propose(2, Command::PublishKey(good.clone())), refused(Objection::Conflict));
    let other = PublishKey { purpose: KeyPurpose::Audit, ..good };
    assert_eq!(world.propose(1, Command::PublishKey(other)), refused(Objection::Conflict));
}

#[test]
fn a_retired_key_verifies_until_its_end_which_is_only_put_off() {
    let mut world = World::new(3, 1);
    world.activate(1, "a", PURPOSE);
    let kid = kid(&ledger_key("a"));
    let now = world.now;
    assert_eq!(world.propose(1, retire(kid, now - 1)), refused(Objection::Expired));
    assert_eq!(world.propose(1, retire(kid, now + 600)), Outcome::Applied);
    assert_eq!(world.propose(1, retire(kid, now + 500)), Outcome::Duplicate);
    assert_eq!(world.propose(1, retire(kid, now + 700)), Outcome::Applied);
    assert_eq!(state(&world, 1, kid), KeyState::Retired(at(now + 700)));
    assert_eq!(world.propose(1, activate(kid)), refused(Objection::WrongState));
    let verifies = |world: &World, seconds| {
        world.ledger.verifying_keys(region(1), at(seconds)).any(|(other, _)| other == kid)
    };
    assert!(verifies(&world, now + 700) && !verifies(&world, now + 701));
    world.pass(700 + u64::from(PURGE_MARGIN.seconds()), 3);
    assert!(world.ledger.key(region(1), kid).is_some());
    world.pass(60, 3);
    assert!(world.ledger.key(region(1), kid).is_none(), "forgotten");
    // However far its end was put.
    let far = published(&mut world, 1, "far");
    world.propose(1, retire(far, u64::MAX));
    let end = world.now + u64::from(KEY_LIFETIME_MAX.seconds());
    assert_eq!(state(&world, 1, far), KeyState::Retired(at(end)));
}

#[test]
fn a_revoked_key_verifies_nothing_and_never_returns() {
    let mut world = World::new(3, 1);
    world.activate(1, "a", PURPOSE);
    let kid = kid(&ledger_key("a"));
    assert_eq!(world.propose(1, revoke(1, kid)), Outcome::Applied);
    assert_eq!(world.propose(1, revoke(1, kid)), Outcome::Duplicate);
    assert_eq!(world.ledger.verifying_keys(region(1), at(world.now)).count(), 0);
    let again = Command::PublishKey(publish("a", PURPOSE));
    assert_eq!(world.propose(1, again), refused(Objection::Conflict));
    assert_eq!(world.propose(1, retire(kid, world.now)), refused(Objection::WrongState));
    world.pass(1_000 * 86_400, 3);
    world.pass(60, 3);
    assert!(matches!(state(&world, 1, kid), KeyState::Revoked(_)));
}

#[test]
fn two_others_revoke_a_key_and_one_does_not() {
    let mut world = World::new(3, 1);
    world.activate(1, "a", PURPOSE);
    let kid = kid(&ledger_key("a"));
    assert_eq!(world.propose(2, revoke(1, kid)), Outcome::Pending);
    assert_eq!(world.propose(2, revoke(1, kid)), Outcome::Duplicate);
    assert_eq!(state(&world, 1, kid), KeyState::Active);
    assert_eq!(world.propose(3, revoke(1, kid)), Outcome::Applied);
    assert!(matches!(state(&world, 1, kid), KeyState::Revoked(_)));
    assert_eq!(world.propose(2, revoke(1, Fixed([0; 32]))), refused(Objection::Unknown));
}

#[test]
fn the_keys_of_a_revoked_region_verify_nothing() {
    let mut world = World::new(3, 1);
    world.activate(1, "a", PURPOSE);
    for number in [2, 3] {
        world.propose(number, Command::RevokeRegion(RevokeRegion { region: region(1) }));
    }
    assert_eq!(world.ledger.verifying_keys(region(1), at(world.now)).count(), 0);
}

#[test]
fn a_region_has_room_for_so_many_keys() {
    let mut world = World::new(3, 1);
    for n in 0..KEYS_PER_REGION_MAX {
        let command = publish(&format!("key {n}"), PURPOSE);
        assert_eq!(world.propose(1, Command::PublishKey(command)), Outcome::Applied);
    }
    let one_more = || Command::PublishKey(publish("one more", PURPOSE));
    assert_eq!(world.propose(1, one_more()), refused(Objection::TableFull));
    assert_eq!(world.propose(2, one_more()), Outcome::Applied);
}
