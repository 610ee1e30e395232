//! Replicated time: no clock by itself can hurry or stop it.

use exequatur_federation::{
    ledger::{Command, Fixed, Mode, Outcome, PURGE_MARGIN, Target, Tick},
    region::RegionNumber,
};

use super::{
    regions::evacuate,
    world::{NOW, World, at, header, proposal, region, revoke},
};

/// 7 February 2106, where 32 bits end.
const YEAR_2106: u64 = 4_294_967_295;

fn tick(world: &mut World, number: u16, seconds: u64) -> Outcome {
    world.apply(&proposal(header(number, 0, seconds), Command::Tick(Tick {})))
}

#[test]
fn it_is_the_lower_median_and_never_decreases() {
    let mut world = World::new(3, 1);
    assert_eq!(world.ledger.time(), at(NOW));
    tick(&mut world, 1, NOW + 100);
    assert_eq!(world.ledger.time(), at(NOW), "two regions are still at genesis");
    tick(&mut world, 2, NOW + 50);
    assert_eq!(world.ledger.time(), at(NOW + 50));
    tick(&mut world, 3, NOW + 70);
    assert_eq!(world.ledger.time(), at(NOW + 70));
    // What a region said before is not unsaid by a clock that was set back.
    tick(&mut world, 3, NOW);
    tick(&mut world, 1, NOW);
    assert_eq!(world.ledger.time(), at(NOW + 70));
    let mut even = World::new(4, 1);
    for (number, seconds) in [(1, 10), (2, 20), (3, 30), (4, 40)] {
        tick(&mut even, number, NOW + seconds);
    }
    assert_eq!(even.ledger.time(), at(NOW + 20));
}

#[test]
fn one_region_in_2106_and_one_silent_neither_purge_nor_stall() {
    let mut world = World::new(3, 1);
    let person = Target::Subject(Fixed([7; 16]));
    world.propose(1, revoke(1, person, Mode::Cutoff, NOW + 600));
    tick(&mut world, 2, YEAR_2106);
    let held = |world: &World, of: RegionNumber| {
        world.ledger.revocations(of).is_some_and(|owner| owner.cut(&person).is_some())
    };
    // Region 3 is silent for ever: time is what region 1 says.
    let end = NOW + 600 + u64::from(PURGE_MARGIN.seconds());
    let mut seconds = NOW;
    while seconds < end {
        seconds += 30;
        tick(&mut world, 1, seconds);
        tick(&mut world, 2, YEAR_2106);
        assert_eq!(world.ledger.time(), at(seconds));
        assert!(held(&world, region(1)), "purged {} s early", end - seconds);
    }
    for _ in 0..121 {
        seconds += 30;
        tick(&mut world, 1, seconds);
    }
    assert!(!held(&world, region(1)), "an hour later it is forgotten");
}

#[test]
fn a_region_that_has_gone_is_not_asked_for_the_time() {
    let mut world = World::new(3, 1);
    tick(&mut world, 1, NOW + 10);
    assert_eq!(world.ledger.time(), at(NOW));
    evacuate(&mut world, 3);
    tick(&mut world, 2, NOW + 20);
    assert_eq!(world.ledger.time(), at(NOW + 10));
    tick(&mut world, 3, YEAR_2106);
    tick(&mut world, 1, NOW + 30);
    assert_eq!(world.ledger.time(), at(NOW + 20));
}

#[test]
fn it_does_not_go_back_when_the_regions_that_are_asked_change() {
    let mut world = World::new(3, 1);
    for (number, seconds) in [(1, 10), (2, 20), (3, 30)] {
        tick(&mut world, number, NOW + seconds);
    }
    assert_eq!(world.ledger.time(), at(NOW + 20));
    evacuate(&mut world, 3);
    // Of 10 and 20 the lower one is 10.
    tick(&mut world, 1, NOW + 11);
    assert_eq!(world.ledger.time(), at(NOW + 20));
}

#[test]
fn what_was_missed_in_a_pause_is_made_up_entry_by_entry() {
    let mut world = World::new(3, 1);
    // One digest in each of the 256 parts.
    for first in 0..=255_u8 {
        let mut digest = [0; 16];
        digest[0] = first;
        let target = Target::Session(Fixed(digest));
        assert_eq!(world.propose(1, revoke(1, target, Mode::Cutoff, NOW + 60)), Outcome::Applied);
    }
    let left =
        |world: &World| world.ledger.revocations(region(1)).map_or(0, |owner| owner.sessions.len());
    tick(&mut world, 1, NOW + 30 * 86_400);
    tick(&mut world, 2, NOW + 30 * 86_400);
    let mut before = left(&world);
    assert!(before >= 256 - 5, "one entry purges one part");
    for _ in 0..60 {
        tick(&mut world, 1, NOW + 30 * 86_400);
        let after = left(&world);
        assert!(before - after <= 5, "{before} to {after} in one entry");
        before = after;
    }
    assert_eq!(before, 0);
    assert_eq!(world.ledger.revocations(region(1)), None);
}
