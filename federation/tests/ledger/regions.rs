//! Regions go, come back, and are ended by others.

use exequatur_federation::ledger::{
    Command, Leave, Objection, Outcome, PENDING_PER_REGION_MAX, PENDING_WAIT, PendingAction,
    RegionState, RevokeRegion, SetRegionState,
};

use super::revocations::lix_of;
use super::world::{World, node, refused, region};

pub(crate) fn set(number: u16, state: RegionState, stand_in: Option<u16>) -> Command {
    let stand_in = stand_in.map(region);
    Command::SetRegionState(SetRegionState { region: region(number), state, stand_in })
}

pub(crate) fn evacuate(world: &mut World, number: u16) {
    let outcome = world.propose(number, set(number, RegionState::Evacuated, None));
    assert_eq!(outcome, Outcome::Applied);
}

fn state(world: &World, number: u16) -> RegionState {
    world.ledger.region(region(number)).unwrap().state
}

#[test]
fn a_region_goes_by_itself_and_comes_back_with_another() {
    let mut world = World::new(3, 1);
    assert_eq!(world.propose(1, set(1, RegionState::Draining, Some(2))), Outcome::Applied);
    assert_eq!(world.propose(1, set(1, RegionState::Draining, Some(2))), Outcome::Duplicate);
    assert_eq!(world.propose(1, set(1, RegionState::Evacuated, Some(2))), Outcome::Applied);
    assert_eq!(world.ledger.region(region(1)).unwrap().stand_in, Some(region(2)));
    assert!(!world.ledger.is_active(region(1)));
    assert_eq!(
        world.propose(1, set(1, RegionState::Draining, None)),
        refused(Objection::WrongState)
    );
    assert_eq!(world.propose(1, set(1, RegionState::Active, None)), Outcome::Pending);
    assert_eq!(world.propose(1, set(1, RegionState::Active, None)), Outcome::Duplicate);
    assert_eq!(state(&world, 1), RegionState::Evacuated);
    assert_eq!(world.propose(3, set(1, RegionState::Active, None)), Outcome::Applied);
    assert_eq!(world.ledger.region(region(1)).unwrap().stand_in, None);
    assert!(world.ledger.is_active(region(1)));
}

#[test]
fn two_others_cannot_bring_a_region_back_without_it() {
    let mut world = World::new(3, 1);
    evacuate(&mut world, 1);
    assert_eq!(world.propose(2, set(1, RegionState::Active, None)), Outcome::Pending);
    assert_eq!(world.propose(3, set(1, RegionState::Active, None)), Outcome::Pending);
    assert_eq!(state(&world, 1), RegionState::Evacuated);
    assert_eq!(world.propose(1, set(1, RegionState::Active, None)), Outcome::Applied);
}

#[test]
fn what_is_done_to_another_region_needs_two_and_word_for_word_the_same() {
    let mut world = World::new(4, 1);
    let drain = |stand_in| set(1, RegionState::Draining, stand_in);
    assert_eq!(world.propose(2, drain(None)), Outcome::Pending);
    assert_eq!(world.propose(2, drain(None)), Outcome::Duplicate);
    assert_eq!(world.propose(3, drain(Some(2))), Outcome::Pending);
    assert_eq!(state(&world, 1), RegionState::Active);
    assert_eq!(world.propose(3, drain(None)), Outcome::Applied);
    assert_eq!(state(&world, 1), RegionState::Draining);
    // A region that has gone itself decides nothing about others.
    assert_eq!(
        world.propose(1, set(2, RegionState::Draining, None)),
        refused(Objection::NotAuthorised)
    );
}

#[test]
fn the_first_part_expires_and_counts_only_while_its_region_serves() {
    let mut world = World::new(4, 1);
    let end = Command::RevokeRegion(RevokeRegion { region: region(1) });
    assert_eq!(world.propose(2, end.clone()), Outcome::Pending);
    // In steps, so that purging keeps up: what is too late is so before it is purged.
    for _ in 0..u64::from(PENDING_WAIT.seconds()) / 60 {
        world.pass(60, 4);
    }
    world.pass(1, 4);
    // Too late for the first; so it is the first again.
    assert_eq!(world.propose(3, end.clone()), Outcome::Pending);
    evacuate(&mut world, 3);
    assert_eq!(world.propose(4, end.clone()), Outcome::Pending);
    assert!(!world.ledger.region(region(1)).unwrap().revoked);
    assert_eq!(world.propose(2, end), Outcome::Applied);
    let row = world.ledger.region(region(1)).unwrap();
    assert!(row.revoked);
    assert_eq!(row.cutoff, Some(lix_of(world.index - 1)));
}

#[test]
fn the_first_part_counts_to_the_last_second() {
    let mut world = World::new(4, 1);
    let end = Command::RevokeRegion(RevokeRegion { region: region(1) });
    assert_eq!(world.propose(2, end.clone()), Outcome::Pending);
    for _ in 0..u64::from(PENDING_WAIT.seconds()) / 60 {
        world.pass(60, 4);
    }
    assert_eq!(world.propose(3, end), Outcome::Applied);
}

#[test]
fn a_region_declares_its_own_tokens_dead_at_once_and_goes_on() {
    let mut world = World::new(3, 1);
    let own = Command::RevokeRegion(RevokeRegion { region: region(1) });
    assert_eq!(world.propose(1, own), Outcome::Applied);
    let row = world.ledger.region(region(1)).unwrap();
    assert_eq!((row.cutoff, row.revoked, row.state), (Some(lix_of(1)), false, RegionState::Active));
    let unknown = Command::RevokeRegion(RevokeRegion { region: region(9) });
    assert_eq!(world.propose(1, unknown), refused(Objection::Unknown));
}

#[test]
fn a_stand_in_is_declared_and_serves() {
    let mut world = World::new(3, 1);
    for (stand_in, objection) in
        [(3, Objection::Invalid), (1, Objection::Invalid), (9, Objection::Invalid)]
    {
        let outcome = world.propose(1, set(1, RegionState::Draining, Some(stand_in)));
        assert_eq!(outcome, refused(objection), "{stand_in}");
    }
    assert_eq!(world.propose(1, set(1, RegionState::Active, Some(2))), refused(Objection::Invalid));
    evacuate(&mut world, 2);
    assert_eq!(
        world.propose(1, set(1, RegionState::Draining, Some(2))),
        refused(Objection::WrongState)
    );
}

#[test]
fn the_last_region_that_serves_stays() {
    let mut world = World::new(3, 1);
    evacuate(&mut world, 1);
    evacuate(&mut world, 2);
    assert_eq!(
        world.propose(3, set(3, RegionState::Draining, None)),
        refused(Objection::WrongState)
    );
    assert_eq!(world.propose(1, set(1, RegionState::Active, None)), Outcome::Pending);
    assert_eq!(world.propose(3, set(1, RegionState::Active, None)), Outcome::Applied);
}

#[test]
fn a_region_has_room_for_so_many_waiting_actions_and_leaves_others_theirs() {
    let many = u16::try_from(PENDING_PER_REGION_MAX).unwrap();
    let mut world = World::new(3, many / 2 + 2);
    let mut begun = 0;
    for place in 0..many / 2 + 2 {
        for number in [2, 3] {
            let leave = Command::Leave(Leave { node: node(number, place) });
            let outcome = world.propose(1, leave);
            if begun < many {
                assert_eq!(outcome, Outcome::Pending);
            } else {
                assert_eq!(outcome, refused(Objection::TableFull));
            }
            begun += 1;
        }
    }
    assert!(begun > many);
    let outcome = world.propose(2, Command::Leave(Leave { node: node(1, 1) }));
    assert_eq!(outcome, Outcome::Pending);
    // What waits is word for word what was asked.
    let one = PendingAction::Leave(Leave { node: node(1, 1) });
    assert!(matches!(one, PendingAction::Leave(leave) if leave.node == node(1, 1)));
}
