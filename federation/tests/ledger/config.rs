//! The law changes at one entry, when all have staged it and two have asked.

use exequatur_federation::{
    ledger::{
        ActivateConfig, AnnounceConfig, Command, ConfigScope, IdentityKey, LawVersion, Leave, List,
        Objection, Outcome, RegionEntry, RegionState, RevokeRegion, Tick,
    },
    membership::LevelRange,
};

use super::{
    regions::{evacuate, set},
    world::{
        LEVELS, World, entries, entry, identity, identity_pair, law, node, refused, region, signed,
        ticket,
    },
};

fn stage(law: LawVersion, regions: Vec<RegionEntry>) -> Command {
    let scope = ConfigScope::Federation(List::new(regions).unwrap());
    Command::AnnounceConfig(AnnounceConfig { law, scope, levels: LEVELS })
}

fn own(law: LawVersion) -> Command {
    Command::AnnounceConfig(AnnounceConfig { law, scope: ConfigScope::Region, levels: LEVELS })
}

fn activate(law: LawVersion) -> Command {
    Command::ActivateConfig(ActivateConfig { law })
}

fn switch(world: &mut World, by: &[u16], version: u64, regions: &[RegionEntry]) {
    for number in by {
        let outcome = world.propose(*number, stage(law(version), regions.to_vec()));
        assert_eq!(outcome, Outcome::Applied);
    }
    assert_eq!(world.propose(by[0], activate(law(version))), Outcome::Pending);
    assert_eq!(world.propose(by[1], activate(law(version))), Outcome::Applied);
}

#[test]
fn every_active_region_stages_and_two_ask() {
    let mut world = World::new(3, 1);
    assert_eq!(world.propose(1, activate(law(2))), refused(Objection::NotReady));
    for number in 1..=3 {
        assert_eq!(world.propose(1, activate(law(2))), refused(Objection::NotReady));
        assert_eq!(world.propose(number, stage(law(2), entries(3))), Outcome::Applied);
        assert_eq!(world.propose(number, stage(law(2), entries(3))), Outcome::Duplicate);
    }
    assert!(world.ledger.is_announced(&law(2).digest));
    assert_eq!(world.propose(1, activate(law(2))), Outcome::Pending);
    assert_eq!(world.propose(1, activate(law(2))), Outcome::Duplicate);
    assert_eq!(world.ledger.law(), law(1));
    assert_eq!(world.propose(3, activate(law(2))), Outcome::Applied);
    assert_eq!(world.ledger.law(), law(2));
    assert!(!world.ledger.is_announced(&law(1).digest));
    assert_eq!(world.propose(3, activate(law(2))), Outcome::Duplicate);
    assert_eq!(world.propose(3, activate(law(1))), refused(Objection::WrongState));
    assert_eq!(world.ledger.config(region(1)).unwrap().staged, None);
}

#[test]
fn one_text_with_two_tables_is_not_the_same_law() {
    let mut world = World::new(3, 1);
    let mut other = entries(3);
    other[0].witness = false;
    world.propose(1, stage(law(2), entries(3)));
    world.propose(2, stage(law(2), entries(3)));
    world.propose(3, stage(law(2), other.clone()));
    assert_eq!(world.propose(1, activate(law(2))), refused(Objection::NotReady));
    world.propose(3, stage(law(2), entries(3)));
    assert_eq!(world.propose(1, activate(law(2))), Outcome::Pending);
    // Staged otherwise between the two that ask.
    world.propose(3, stage(law(2), other));
    assert_eq!(world.propose(2, activate(law(2))), refused(Objection::NotReady));
    // The law in force cannot be announced with other regions.
    assert_eq!(world.propose(1, stage(law(1), entries(3))), Outcome::Applied);
    assert_eq!(world.ledger.config(region(1)).unwrap().staged, None);
    assert_eq!(world.propose(1, stage(law(1), entries(4))), refused(Objection::Conflict));
    assert_eq!(world.propose(1, stage(law(0), entries(3))), refused(Objection::WrongState));
}

#[test]
fn a_region_comes_with_the_law_and_goes_only_without_members() {
    let mut world = World::new(3, 1);
    switch(&mut world, &[1, 2, 3], 2, &entries(4));
    // Without a node it holds up nothing.
    assert!(!world.ledger.is_active(region(4)));
    switch(&mut world, &[1, 2, 3], 3, &entries(4));
    let join = exequatur_federation::ledger::Join { ticket: ticket(4, 0) };
    assert_eq!(world.propose(1, Command::Join(join)), Outcome::Applied);
    assert_eq!(world.propose(4, Command::Tick(Tick {})), Outcome::Applied);
    for number in 1..=4 {
        world.propose(number, stage(law(4), entries(3)));
    }
    assert_eq!(world.propose(1, activate(law(4))), refused(Objection::WrongState));
    let leave = Command::Leave(Leave { node: node(4, 0) });
    assert_eq!(world.propose(4, leave), Outcome::Applied);
    assert_eq!(world.propose(1, activate(law(4))), Outcome::Pending);
    assert_eq!(world.propose(2, activate(law(4))), Outcome::Applied);
    assert!(world.ledger.region(region(4)).is_none());
    // Its number is never another's.
    assert_eq!(world.propose(1, stage(law(5), entries(4))), refused(Objection::Conflict));
}

#[test]
fn a_table_that_contradicts_itself_is_not_staged() {
    let mut world = World::new(3, 1);
    let mut one_key = entries(3);
    one_key[2].identity = one_key[0].identity;
    assert_eq!(world.propose(1, stage(law(2), one_key)), refused(Objection::Invalid));
    assert_eq!(world.propose(1, stage(law(2), vec![])), refused(Objection::Invalid));
}

#[test]
fn an_identity_key_changes_with_the_law_and_no_other_way() {
    let mut world = World::new(3, 1);
    let mut changed = entries(3);
    changed[1].identity = identity(77);
    // Region 2 must stage it itself, with its old key, as long as it serves.
    world.propose(1, stage(law(2), changed.clone()));
    world.propose(3, stage(law(2), changed.clone()));
    assert_eq!(world.propose(1, activate(law(2))), refused(Objection::NotReady));
    world.propose(2, stage(law(2), changed.clone()));
    world.propose(1, activate(law(2)));
    assert_eq!(world.propose(3, activate(law(2))), Outcome::Applied);
    let old = world.make(2, own(law(9)));
    assert_eq!(world.apply(&old), refused(Objection::Signature));
    let new = signed(old.header, own(law(9)), &identity_pair(77));
    assert_eq!(world.apply(&new), Outcome::Applied);
}

#[test]
fn a_revoked_region_comes_back_with_another_identity_key() {
    let mut world = World::new(3, 1);
    for number in [2, 3] {
        world.propose(number, Command::RevokeRegion(RevokeRegion { region: region(1) }));
    }
    switch(&mut world, &[2, 3], 2, &entries(3));
    assert!(world.ledger.region(region(1)).unwrap().revoked, "the same key is not enough");
    let mut found = entries(3);
    found[0].identity = IdentityKey::Ed25519(match identity(77) {
        IdentityKey::Ed25519(key) => key,
        IdentityKey::P256(_) => unreachable!(),
    });
    switch(&mut world, &[2, 3], 3, &found);
    let row = world.ledger.region(region(1)).unwrap();
    assert_eq!((row.revoked, row.state), (false, RegionState::Evacuated));
    assert!(row.cutoff.is_some(), "what it issued before stays dead");
    let back = set(1, RegionState::Active, None);
    let header = world.make(1, back.clone()).header;
    let by_itself = signed(header, back.clone(), &identity_pair(77));
    assert_eq!(world.apply(&by_itself), Outcome::Pending);
    assert_eq!(world.propose(2, back), Outcome::Applied);
}

#[test]
fn the_only_region_asks_alone() {
    let mut world = World::new(1, 1);
    assert_eq!(world.propose(1, stage(law(2), vec![entry(1, &[])])), Outcome::Applied);
    assert_eq!(world.propose(1, activate(law(2))), Outcome::Applied);
    // But not the one that is left when the others went: they are asked too.
    let mut world = World::new(3, 1);
    evacuate(&mut world, 1);
    evacuate(&mut world, 2);
    assert_eq!(world.propose(3, stage(law(2), entries(3))), Outcome::Applied);
    assert_eq!(world.propose(3, activate(law(2))), Outcome::Pending);
    assert_eq!(world.propose(1, activate(law(2))), refused(Objection::NotReady));
    assert_eq!(world.propose(1, stage(law(2), entries(3))), Outcome::Applied);
    assert_eq!(world.propose(1, activate(law(2))), Outcome::Applied);
}

#[test]
fn a_regions_own_versions_count_upwards() {
    let mut world = World::new(3, 1);
    assert_eq!(world.propose(1, own(law(5))), Outcome::Applied);
    assert_eq!(world.propose(1, own(law(5))), Outcome::Duplicate);
    assert_eq!(world.propose(1, own(law(4))), refused(Objection::WrongState));
    let other = LawVersion { version: 5, ..law(6) };
    assert_eq!(world.propose(1, own(other)), refused(Objection::Conflict));
    assert_eq!(world.propose(1, own(law(6))), Outcome::Applied);
    assert_eq!(world.ledger.config(region(1)).unwrap().own, Some(law(6)));
    let levels = LevelRange { lowest: 2, highest: 2 };
    let narrow =
        Command::AnnounceConfig(AnnounceConfig { law: law(7), scope: ConfigScope::Region, levels });
    assert_eq!(world.propose(1, narrow), refused(Objection::Level));
}
