//! What nodes owe the ledger: looked at and done until nothing is owed.

use exequatur_federation::{
    ledger::{
        AnnounceConfig, Bearer, Command, ConfigScope, Digest, Drift, Fixed, KeyPurpose, KeyState,
        Ledger, LedgerKey, List, Outcome, Own, OwnKey,
    },
    region::RegionNumber,
};

use super::world::{DAY, LEVELS, NOW, World, at, entries, kid, law, ledger_key, node, region};

fn own_key(number: u16, purpose: KeyPurpose) -> OwnKey {
    let key: LedgerKey = ledger_key(&format!("{purpose:?} of region {number}"));
    OwnKey { purpose, kid: kid(&key), key }
}

fn keys(number: u16) -> [OwnKey; 2] {
    [KeyPurpose::AccessToken, KeyPurpose::Response].map(|purpose| own_key(number, purpose))
}

fn due(world: &World, number: u16, configuration: Option<Digest>) -> Vec<Command> {
    let bearer = Bearer { region: region(number), node: node(number, 0) };
    let keys = keys(number);
    let own = Own { bearer, keys: &keys, configuration, levels: LEVELS, now: at(NOW) };
    world.ledger.due(&own)
}

fn digest(number: u16) -> Digest {
    Fixed([u8::try_from(number).unwrap(); 32])
}

fn state(world: &World, number: u16, purpose: KeyPurpose) -> Option<KeyState> {
    world.ledger.key(region(number), own_key(number, purpose).kid).map(|row| row.state)
}

/// Each region in turn does what it owes.
fn round(world: &mut World, regions: impl Iterator<Item = u16>) {
    for number in regions {
        for command in due(world, number, Some(digest(number))) {
            let outcome = world.propose(number, command.clone());
            assert_eq!(outcome, Outcome::Applied, "{command:?}");
        }
    }
}

#[test]
fn before_the_genesis_nothing_is_owed() {
    let mut world = World::new(3, 1);
    world.ledger = Ledger::new(world.ledger.genesis());
    assert_eq!(due(&world, 1, Some(digest(1))), []);
}

#[test]
fn keys_are_published_by_their_region_acknowledged_by_all_and_then_sign() {
    let mut world = World::new(3, 1);
    round(&mut world, 1..=3);
    // The last of three had all keys before it; the first had only its own.
    assert_eq!(state(&world, 1, KeyPurpose::AccessToken), Some(KeyState::Published));
    round(&mut world, 1..=3);
    round(&mut world, 1..=3);
    for number in 1..=3 {
        for purpose in [KeyPurpose::AccessToken, KeyPurpose::Response] {
            assert_eq!(state(&world, number, purpose), Some(KeyState::Active), "{number}");
        }
        assert_eq!(due(&world, number, Some(digest(number))), []);
    }
}

#[test]
fn what_regions_have_not_done_alike_is_drift() {
    let mut world = World::new(3, 1);
    let [one, two, three] = [1, 2, 3].map(region);
    let not_announced = [one, two, three].map(Drift::NotAnnounced);
    assert_eq!(world.ledger.drift(), not_announced);
    round(&mut world, 1..=2);
    let waits = |region| Drift::KeysWait { region, keys: 2 };
    assert_eq!(world.ledger.drift(), [waits(one), waits(two), Drift::NotAnnounced(three)]);
    round(&mut world, 1..=3);
    round(&mut world, 1..=3);
    round(&mut world, 1..=3);
    assert_eq!(world.ledger.drift(), []);
    let regions = List::new(entries(3)).unwrap();
    let scope = ConfigScope::Federation(regions);
    let announce = AnnounceConfig { law: law(2), scope, levels: LEVELS };
    assert_eq!(world.propose(2, Command::AnnounceConfig(announce)), Outcome::Applied);
    let not_staged = |region| Drift::NotStaged { region, version: 2 };
    let staged = Drift::Staged { region: two, version: 2 };
    assert_eq!(world.ledger.drift(), [not_staged(one), staged, not_staged(three)]);
}

#[test]
fn a_region_that_says_nothing_is_waited_for_and_not_for_ever() {
    let mut world = World::new(3, 1);
    round(&mut world, 1..=2);
    round(&mut world, 1..=2);
    round(&mut world, 1..=2);
    assert_eq!(state(&world, 1, KeyPurpose::AccessToken), Some(KeyState::Published));
    assert_eq!(due(&world, 1, Some(digest(1))), []);
    world.pass(DAY, 3);
    round(&mut world, 1..=2);
    assert_eq!(state(&world, 1, KeyPurpose::AccessToken), Some(KeyState::Active));
}

#[test]
fn a_configuration_is_announced_when_it_is_another_and_with_a_higher_version() {
    let mut world = World::new(3, 1);
    round(&mut world, 1..=1);
    round(&mut world, 1..=1);
    let own =
        |world: &World| world.ledger.config(RegionNumber::new(1).unwrap()).unwrap().own.unwrap();
    let first = own(&world);
    assert_eq!((first.digest, first.version), (digest(1), NOW));
    assert_eq!(due(&world, 1, None), [], "announced since the start");
    let [Command::AnnounceConfig(next)] = &due(&world, 1, Some(digest(9)))[..] else {
        panic!("{:?}", due(&world, 1, Some(digest(9))))
    };
    // The clock did not move: the version does.
    assert_eq!((next.law.digest, next.law.version), (digest(9), NOW + 1));
    let outcome = world.propose(1, Command::AnnounceConfig(next.clone()));
    assert_eq!(outcome, Outcome::Applied);
    assert_eq!(own(&world).digest, digest(9));
}
