//! What a node takes for revoked: all that the ledger says, of whatever region, and what holds on
//! that node before the ledger says so.

use std::sync::Arc;

use exequatur_federation::{
    ledger::{Command, Fixed, Lix, Mode, Outcome, Revoke, RevokeRegion, Target},
    revocation::{
        ListId, Login, Marks, PERSON_CUTOFF_LIFETIME, Revocable, RevocationView, Standing,
        StatusReference,
    },
    seal::Ancestor,
    time::Ttl,
};
use proptest::prelude::*;

use super::{
    revocations::{lix_of, status},
    world::{NOW, World, at, region, revoke},
};

const PERSON: Fixed<16> = Fixed([7; 16]);
const SESSION: Fixed<16> = Fixed([8; 16]);
const OTHER: Fixed<16> = Fixed([9; 16]);

fn view(world: &World, own: u16, local: &Marks) -> RevocationView {
    let local = Arc::new(local.clone());
    RevocationView::united(region(own), &world.ledger, Arc::default(), local)
}

const fn place(list: u64, index: u32) -> StatusReference {
    StatusReference { list: ListId::new(list), index }
}

/// A token of region 1 with everything that a revocation can name.
fn token(lix: u64, ancestors: &[Ancestor]) -> Revocable<'_> {
    Revocable {
        issuer: Some(region(1)),
        lix: lix_of(lix),
        client: Some((region(1), 4)),
        subject: Some((region(2), PERSON)),
        session: Some((region(2), SESSION)),
        rule: Some((region(2), 6)),
        ancestors,
        ..Revocable::of_status(place(5, 9))
    }
}

/// Everything that covers that token, by the region that may say so.
fn reasons() -> Vec<(u16, Target)> {
    vec![
        (1, Target::Status(status(5, 9))),
        (1, Target::List(ListId::new(5))),
        (1, Target::Client(4)),
        (2, Target::Subject(PERSON)),
        (2, Target::Session(SESSION)),
        (2, Target::TransferRule(6)),
        (3, Target::Status(status(11, 2))),
        (3, Target::List(ListId::new(11))),
    ]
}

/// As these, but for somebody else.
fn near_misses() -> Vec<(u16, Target)> {
    vec![
        (1, Target::Status(status(5, 8))),
        (2, Target::Status(status(6, 9))),
        (1, Target::List(ListId::new(6))),
        (2, Target::Client(4)),
        (1, Target::Client(5)),
        (1, Target::Subject(PERSON)),
        (2, Target::Subject(OTHER)),
        (2, Target::Session(OTHER)),
        (2, Target::Session(PERSON)),
        (1, Target::TransferRule(6)),
        (3, Target::TransferRule(6)),
        (3, Target::Status(status(11, 3))),
    ]
}

fn is_revoked(view: &RevocationView, lix: u64) -> bool {
    let ancestors = [Ancestor { region: region(3), status: place(11, 2) }];
    let whole = view.is_revoked(&token(lix, &ancestors), at(NOW));
    // Who is not told of everything never takes for dead what is alive.
    let place_alone = Revocable { lix: lix_of(lix), ..Revocable::of_status(place(5, 9)) };
    assert!(whole || !view.is_revoked(&place_alone, at(NOW)));
    whole
}

#[test]
fn each_thing_that_names_a_token_revokes_it_in_every_region() {
    for (owner, target) in reasons() {
        let mut world = World::new(3, 1);
        let expires = NOW + 300;
        assert_eq!(
            world.propose(owner, revoke(owner, target, Mode::Cutoff, expires)),
            Outcome::Applied
        );
        let made_at = world.index - 1;
        for own in 1..=3 {
            let view = view(&world, own, &Marks::default());
            assert!(is_revoked(&view, made_at - 1), "{target:?} seen from region {own}");
            let alone = matches!(target, Target::Status(_));
            assert_eq!(is_revoked(&view, made_at), alone, "{target:?} from region {own}");
        }
    }
}

#[test]
fn what_names_another_token_revokes_nothing() {
    for (owner, target) in near_misses() {
        let mut world = World::new(3, 1);
        world.propose(owner, revoke(owner, target, Mode::Cutoff, NOW + 300));
        assert!(!is_revoked(&view(&world, 1, &Marks::default()), 0), "{owner} {target:?}");
        let mut marks = Marks::default();
        marks.add(&Revoke {
            owner: region(owner),
            target,
            mode: Mode::Cutoff,
            expires_at: at(NOW),
        });
        assert!(!is_revoked(&view(&World::new(3, 1), 1, &marks), 0), "{owner} {target:?} marked");
    }
}

#[test]
fn a_blocked_person_has_no_living_token_whenever_it_was_issued() {
    let mut world = World::new(3, 1);
    let person = Target::Subject(PERSON);
    world.propose(2, revoke(2, person, Mode::Block, NOW + 300));
    assert!(is_revoked(&view(&world, 1, &Marks::default()), u64::MAX));
    world.propose(2, revoke(2, person, Mode::Lift, NOW + 300));
    let lifted = world.index - 1;
    assert!(is_revoked(&view(&world, 1, &Marks::default()), lifted - 1));
    assert!(!is_revoked(&view(&world, 1, &Marks::default()), lifted));
}

#[test]
fn a_region_takes_its_tokens_and_what_was_derived_from_them_with_it() {
    for gone in [1, 3] {
        let mut world = World::new(3, 1);
        let command = Command::RevokeRegion(RevokeRegion { region: region(gone) });
        assert_eq!(world.propose(gone, command), Outcome::Applied);
        let cut = world.index - 1;
        assert!(is_revoked(&view(&world, 2, &Marks::default()), cut - 1));
        assert!(!is_revoked(&view(&world, 2, &Marks::default()), cut), "it goes on");
    }
    for gone in [1, 3] {
        let mut world = World::new(4, 1);
        for by in [2, 4] {
            let command = Command::RevokeRegion(RevokeRegion { region: region(gone) });
            world.propose(by, command);
        }
        assert!(is_revoked(&view(&world, 2, &Marks::default()), u64::MAX), "for ever");
    }
    let stranger = Revocable { issuer: Some(region(9)), ..token(u64::MAX, &[]) };
    assert!(view(&World::new(3, 1), 1, &Marks::default()).is_revoked(&stranger, at(NOW)));
}

fn login(authenticated: u64) -> Login {
    Login {
        subject: Some((region(2), PERSON)),
        session: Some((region(2), SESSION)),
        authenticated: at(authenticated),
        clock_slack: Ttl::from_seconds(5),
    }
}

fn standing(world: &World, marks: &Marks, authenticated: u64, now: u64) -> Standing {
    view(world, 2, marks).login(&login(authenticated), at(now))
}

/// The end that a cut-off of a person at this time has.
fn end(cutoff: u64) -> u64 {
    at(cutoff).plus(PERSON_CUTOFF_LIFETIME).seconds()
}

#[test]
fn a_login_before_the_cut_off_of_its_person_is_none() {
    let mut world = World::new(3, 1);
    let none = Marks::default();
    assert_eq!(standing(&world, &none, NOW, NOW), Standing::Free);
    world.propose(2, revoke(2, Target::Subject(PERSON), Mode::Cutoff, end(NOW)));
    assert_eq!(standing(&world, &none, NOW - 900, NOW + 1), Standing::LoggedOut);
    assert_eq!(standing(&world, &none, NOW + 5, NOW + 9), Standing::LoggedOut, "clock slack");
    assert_eq!(standing(&world, &none, NOW + 6, NOW + 9), Standing::Free);
    // A session that is cut off stays so, whenever it claims to have begun.
    world.propose(2, revoke(2, Target::Session(SESSION), Mode::Cutoff, NOW + 9_000));
    assert_eq!(standing(&world, &none, NOW + 600, NOW + 600), Standing::LoggedOut);
}

#[test]
fn nobody_gets_a_token_while_a_block_stands_and_the_day_of_the_cut_off_outlives_it() {
    let mut world = World::new(3, 1);
    let none = Marks::default();
    let person = Target::Subject(PERSON);
    world.propose(2, revoke(2, person, Mode::Cutoff, end(NOW)));
    world.propose(2, revoke(2, person, Mode::Block, NOW + 86_400));
    assert_eq!(standing(&world, &none, NOW + 600, NOW + 600), Standing::Blocked);
    assert_eq!(standing(&world, &none, NOW + 600, NOW + 86_399), Standing::Blocked);
    assert_eq!(standing(&world, &none, NOW + 600, NOW + 86_400), Standing::Free);
    world.propose(2, revoke(2, person, Mode::Lift, NOW + 3_600));
    assert_eq!(standing(&world, &none, NOW + 600, NOW + 600), Standing::Free);
    assert_eq!(standing(&world, &none, NOW, NOW + 600), Standing::LoggedOut);
}

#[test]
fn while_a_cut_off_is_proposed_it_is_undecided_who_gets_a_token() {
    let world = World::new(3, 1);
    let revoke = |target, mode, end| Revoke { owner: region(2), target, mode, expires_at: at(end) };
    for target in [Target::Subject(PERSON), Target::Session(SESSION)] {
        let proposed = revoke(target, Mode::Cutoff, end(NOW));
        let mut marks = Marks::default();
        marks.add(&proposed);
        assert_eq!(standing(&world, &marks, NOW + 99, NOW + 99), Standing::Undecided);
        assert!(is_revoked(&view(&world, 1, &marks), u64::MAX), "every token is covered");
        // Somebody else asks for the same meanwhile: the first answer does not speak for both.
        marks.add(&proposed);
        marks.settle(&proposed);
        assert_eq!(standing(&world, &marks, NOW + 99, NOW + 99), Standing::Undecided);
        // Refused by the federation, it stays for what was there, and nothing new is refused.
        marks.refuse(&proposed, lix_of(50));
        let session = matches!(target, Target::Session(_));
        let later = if session { Standing::LoggedOut } else { Standing::Free };
        assert_eq!(standing(&world, &marks, NOW + 99, NOW + 99), later);
        assert_eq!(standing(&world, &marks, NOW - 99, NOW + 99), Standing::LoggedOut);
        assert!(is_revoked(&view(&world, 1, &marks), 49));
        assert!(!is_revoked(&view(&world, 1, &marks), 50));
        marks.purge(at(end(NOW) + 1));
        assert!(marks.is_empty());
    }
    let mut marks = Marks::default();
    marks.add(&revoke(Target::Subject(PERSON), Mode::Lift, NOW + 99));
    assert_eq!(standing(&world, &marks, NOW, NOW), Standing::Free, "it has no effect yet");
}

#[test]
fn a_blocked_client_or_rule_gets_nothing_and_a_cut_off_one_goes_on() {
    let mut world = World::new(3, 1);
    let ask = |world: &World, marks: &Marks| {
        let view = view(world, 2, marks);
        [view.client(region(1), 4, at(NOW)), view.rule(region(2), 6, at(NOW))]
    };
    let none = Marks::default();
    for (owner, target) in [(1, Target::Client(4)), (2, Target::TransferRule(6))] {
        world.propose(owner, revoke(owner, target, Mode::Cutoff, NOW + 300));
    }
    assert_eq!(ask(&world, &none), [Standing::Free; 2]);
    for (owner, target) in [(1, Target::Client(4)), (2, Target::TransferRule(6))] {
        world.propose(owner, revoke(owner, target, Mode::Block, NOW + 300));
    }
    assert_eq!(ask(&world, &none), [Standing::Blocked; 2]);
}

#[test]
fn lists_are_told_with_what_is_marked_and_told_apart_by_it() {
    let mut world = World::new(3, 1);
    for (list, index) in [(5, 9), (5, 3), (7, 1)] {
        let token = Target::Status(status(list, index));
        world.propose(1, revoke(1, token, Mode::Cutoff, NOW + 300));
    }
    world.propose(2, revoke(2, Target::Status(status(6, 1)), Mode::Cutoff, NOW + 300));
    let mut marks = Marks::default();
    let marked = Revoke {
        owner: region(1),
        target: Target::Status(status(5, 4)),
        mode: Mode::Cutoff,
        expires_at: at(NOW + 300),
    };
    marks.add(&marked);
    let told = |view: &RevocationView| -> Vec<(u64, Vec<u32>)> {
        view.own_lists().map(|list| (list.list().bits(), list.indexes().collect())).collect()
    };
    let before = view(&world, 1, &marks);
    assert_eq!(told(&before), [(5, vec![3, 4, 9]), (7, vec![1])]);
    let stamps =
        |view: &RevocationView| [5, 7].map(|list| view.own_list(ListId::new(list)).stamp());
    assert_eq!(stamps(&before), stamps(&view(&world, 1, &marks)), "nothing changed");
    // An index that moves from the marks to the ledger, and one that is new.
    world.propose(1, Command::Revoke(marked));
    marks.settle(&marked);
    let after = view(&world, 1, &marks);
    assert_eq!(told(&after), told(&before));
    let ([five, seven], [five_after, seven_after]) = (stamps(&before), stamps(&after));
    assert_ne!(five, five_after);
    assert_eq!(seven, seven_after);
    world.propose(1, revoke(1, Target::List(ListId::new(7)), Mode::Cutoff, NOW + 300));
    let cut = view(&world, 1, &marks);
    assert_eq!(cut.own_list(ListId::new(7)).cutoff(), Some(lix_of(world.index - 1)));
    assert_ne!(cut.own_list(ListId::new(7)).stamp(), seven);
    assert_eq!(cut.own_list(ListId::new(99)).indexes().count(), 0);
}

fn target() -> impl Strategy<Value = (u16, Target)> {
    let all: Vec<_> = reasons().into_iter().chain(near_misses()).collect();
    proptest::sample::select(all)
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Cutoff), Just(Mode::Block), Just(Mode::Lift)]
}

proptest! {
    /// A revocation that is asked for covers at every moment what it covers in the end: first by its
    /// mark, then by the ledger, and never by neither.
    #[test]
    fn from_the_mark_to_the_ledger_nothing_comes_alive(
        asked in proptest::collection::vec((target(), mode()), 1..12),
        lix in 0_u64..20,
    ) {
        let mut world = World::new(3, 1);
        let mut marks = Marks::default();
        let mut dead = false;
        for ((owner, target), mode) in asked {
            let revoke = Revoke { owner: region(owner), target, mode, expires_at: at(NOW + 300) };
            marks.add(&revoke);
            let marked = is_revoked(&view(&world, 2, &marks), lix);
            prop_assert!(marked || !dead, "a mark revived a token");
            let outcome = world.propose(owner, Command::Revoke(revoke));
            let both = is_revoked(&view(&world, 2, &marks), lix);
            // A block that is lifted leaves alone what is issued from then on.
            prop_assert!(both || !marked || lix >= world.index - 1);
            if let Outcome::Refused(_) = outcome {
                marks.refuse(&revoke, Lix { epoch: 0, index: world.index });
            } else {
                marks.settle(&revoke);
            }
            let settled = is_revoked(&view(&world, 2, &marks), lix);
            // Only a token from after the entry, which the mark could not know, comes free.
            prop_assert!(settled || !both || lix >= world.index - 1);
            dead = settled && lix < world.index - 1;
        }
    }

    /// A later view never takes for alive what an earlier one took for dead, but for blocks that
    /// were lifted, which leave a cut-off.
    #[test]
    fn entries_only_add(
        asked in proptest::collection::vec((target(), mode()), 1..12),
        lix in 0_u64..20,
    ) {
        let mut world = World::new(3, 1);
        let mut dead = false;
        for ((owner, target), mode) in asked {
            world.propose(owner, revoke(owner, target, mode, NOW + 300));
            let now = is_revoked(&view(&world, 3, &Marks::default()), lix);
            prop_assert!(now || !dead || lix >= world.index - 1);
            dead = now;
        }
    }
}
