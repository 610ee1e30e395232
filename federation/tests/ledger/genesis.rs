//! The first entry.

use exequatur_federation::{
    ledger::{
        Command, Fixed, Genesis, IdentityKey, Ledger, List, Objection, Outcome, Proposal, Tick,
    },
    membership::{LevelRange, NodeTicket},
    time::UnixTime,
};

use super::world::{
    LEDGER, NOW, World, at, batch, description, digest_of, entries, entry, founding, genesis,
    header, identity_pair, law, node, proposal, refused, region, sign, signed, ticket, vouched,
};

/// What a ledger pinned to exactly this proposal says of it.
fn judged(proposal: &Proposal) -> Outcome {
    let mut ledger = Ledger::new(digest_of(proposal));
    let checked = ledger.check(proposal);
    let outcome = ledger.apply(0, &batch(std::slice::from_ref(proposal)))[0];
    assert_eq!(checked.is_ok(), outcome == Outcome::Applied);
    if outcome != Outcome::Applied {
        assert_eq!((ledger.id(), ledger.level(), ledger.time()), (None, 0, UnixTime::default()));
    }
    outcome
}

fn with(change: impl FnOnce(&mut Genesis)) -> Outcome {
    let mut genesis = genesis(3, 1);
    change(&mut genesis);
    judged(&founding(genesis))
}

#[test]
fn sets_regions_members_level_law_and_time() {
    let world = World::new(3, 2);
    let ledger = &world.ledger;
    assert_eq!(ledger.id(), Some(LEDGER));
    assert_eq!((ledger.level(), ledger.law(), ledger.time()), (1, law(1), at(NOW)));
    assert_eq!(ledger.regions().count(), 3);
    assert_eq!(ledger.members().count(), 6);
    assert_eq!(ledger.member(node(2, 1)).unwrap().key, description(2, 1).key);
    assert!(ledger.is_announced(&law(1).digest) && !ledger.is_announced(&law(2).digest));
}

#[test]
fn only_the_pinned_one_is_taken_and_only_first() {
    let pinned = founding(genesis(3, 1));
    let mut other = genesis(3, 1);
    other.law = law(2);
    let other = founding(other);
    let mut ledger = Ledger::new(digest_of(&pinned));
    let tick = proposal(header(1, 0, NOW), Command::Tick(Tick {}));
    for early in [&other, &tick] {
        assert_eq!(ledger.check(early), Err(Objection::Genesis));
        let outcomes = ledger.apply(0, &batch(std::slice::from_ref(early)));
        assert_eq!(outcomes, [refused(Objection::Genesis)]);
    }
    assert_eq!(ledger.apply(1, &batch(&[pinned.clone(), tick])), [Outcome::Applied; 2]);
    let mut world = World::founded(&pinned);
    // The same again is known by its serial or refused, and another is refused.
    assert_eq!(world.apply(&pinned), Outcome::Duplicate);
    let again = world.make(1, Command::Genesis(genesis(3, 1)));
    assert_eq!(world.apply(&again), refused(Objection::Genesis));
}

#[test]
fn a_table_of_regions_that_contradicts_itself_is_refused() {
    let invalid = refused(Objection::Invalid);
    assert_eq!(with(|_| {}), Outcome::Applied);
    assert_eq!(with(|g| g.regions = List::empty()), invalid);
    let regions = |regions| List::new(regions).unwrap();
    let mut reversed = entries(3);
    reversed.reverse();
    assert_eq!(with(|g| g.regions = regions(reversed)), invalid);
    let mut twice = entries(3);
    twice[2].region = region(2);
    assert_eq!(with(|g| g.regions = regions(twice)), invalid);
    let mut one_key = entries(3);
    one_key[2].identity = one_key[1].identity;
    assert_eq!(with(|g| g.regions = regions(one_key)), invalid);
    let mut no_point = entries(3);
    no_point[2].identity = IdentityKey::Ed25519(Fixed([0; 32]));
    assert_eq!(with(|g| g.regions = regions(no_point)), invalid);
    for stand_ins in [&[1_u16][..], &[4], &[2, 2]] {
        let mut entries = entries(3);
        entries[0] = entry(1, stand_ins);
        assert_eq!(with(|g| g.regions = regions(entries)), invalid, "{stand_ins:?}");
    }
}

#[test]
fn founders_are_vouched_for_each_under_its_own_id_and_key_for_one_federation() {
    let founders = |tickets: Vec<NodeTicket>| with(|g| g.founders = List::new(tickets).unwrap());
    assert_eq!(founders(vec![]), refused(Objection::Invalid));
    assert_eq!(founders(vec![ticket(1, 0), ticket(1, 0)]), refused(Objection::Invalid));
    let mut other_id = description(1, 0);
    other_id.node = node(1, 1);
    assert_eq!(founders(vec![ticket(1, 0), vouched(other_id)]), refused(Objection::Invalid));
    let mut elsewhere = description(2, 0);
    elsewhere.federation = Fixed([9; 32]);
    assert_eq!(founders(vec![ticket(1, 0), vouched(elsewhere)]), refused(Objection::Invalid));
    let mut level = description(2, 0);
    level.levels = LevelRange { lowest: 2, highest: 3 };
    assert_eq!(founders(vec![ticket(1, 0), vouched(level)]), refused(Objection::Level));
    let mut stranger = description(2, 0);
    stranger.region = region(4);
    assert_eq!(founders(vec![ticket(1, 0), vouched(stranger)]), refused(Objection::UnknownRegion));
    let said = description(2, 0);
    let forged =
        NodeTicket { description: said, signature: sign(&identity_pair(1), &said.signing_bytes()) };
    assert_eq!(founders(vec![ticket(1, 0), forged]), refused(Objection::Signature));
}

#[test]
fn a_founder_signs_it_for_its_own_region_at_its_own_level() {
    let command = Command::Genesis(genesis(3, 1));
    let of = |header, by| judged(&signed(header, command.clone(), &identity_pair(by)));
    assert_eq!(of(header(2, 0, NOW), 2), Outcome::Applied);
    assert_eq!(of(header(1, 0, NOW), 2), refused(Objection::Signature));
    assert_eq!(of(header(4, 0, NOW), 4), refused(Objection::UnknownRegion));
    let mut learner = header(1, 0, NOW);
    learner.node = node(1, 1);
    assert_eq!(of(learner, 1), refused(Objection::UnknownNode));
    let mut foreign = header(1, 0, NOW);
    foreign.node = node(2, 0);
    assert_eq!(of(foreign, 1), refused(Objection::UnknownNode));
    let mut level = header(1, 0, NOW);
    level.level = 2;
    assert_eq!(of(level, 1), refused(Objection::Level));
}
