//! What is revoked stays so, until it has expired; and there is always room for one more.

use exequatur_federation::{
    jose::sha256,
    ledger::{
        CLIENTS_PER_REGION_MAX, Command, CutRow, FOREIGN_REVOCATIONS_PER_HOUR_MAX, Fixed,
        INDEXES_PER_REGION_MAX, Kind, Ledger, Lix, Mode, Objection, Outcome, PURGE_MARGIN,
        Proposal, REVOCATION_LIFETIME_MAX, ROWS_PER_SHARD_MAX, RULES_PER_REGION_MAX, RegionState,
        Revoke, StatusTarget, Target, envelope,
    },
    revocation::{LIST_SIZE, ListId},
};

use super::{
    regions::{evacuate, set},
    world::{DAY, NOW, World, at, batch, header, refused, region, revoke},
};

pub(crate) fn status(list: u64, index: u32) -> StatusTarget {
    StatusTarget { list: ListId::new(list), index }
}

pub(crate) const fn lix_of(index: u64) -> Lix {
    Lix { epoch: 0, index }
}

fn token(list: u64, index: u32) -> Target {
    Target::Status(status(list, index))
}

fn covers(world: &World, owner: u16, list: u64, index: u32, lix: u64) -> bool {
    let owner = world.ledger.revocations(region(owner));
    owner.is_some_and(|owner| owner.covers(status(list, index), lix_of(lix)))
}

const PERSON: Target = Target::Subject(Fixed([7; 16]));

#[test]
fn a_token_is_revoked_once_for_as_long_as_was_asked() {
    let mut world = World::new(3, 1);
    let of = |seconds| revoke(1, token(5, 9), Mode::Cutoff, NOW + seconds);
    assert_eq!(world.propose(1, of(300)), Outcome::Applied);
    assert_eq!(world.propose(1, of(300)), Outcome::Duplicate);
    assert_eq!(world.propose(1, of(200)), Outcome::Duplicate);
    assert_eq!(world.propose(1, of(400)), Outcome::Applied);
    let row = world.ledger.revocations(region(1)).unwrap().lists.get(&ListId::new(5)).unwrap();
    assert_eq!(row.expires_at, at(NOW + 400));
    // Whatever it was issued at, and no other.
    assert!(covers(&world, 1, 5, 9, u64::MAX));
    assert!(!covers(&world, 1, 5, 8, 0) && !covers(&world, 1, 6, 9, 0));
    assert!(!covers(&world, 2, 5, 9, 0), "a list of the same number is another region's");
}

#[test]
fn an_index_beyond_a_list_and_a_mode_that_a_token_has_not_are_refused() {
    let mut world = World::new(3, 1);
    let command = revoke(1, token(5, LIST_SIZE), Mode::Cutoff, NOW + 300);
    assert_eq!(world.propose(1, command), refused(Objection::Invalid));
    for mode in [Mode::Block, Mode::Lift] {
        for target in [token(5, 0), Target::List(ListId::new(5))] {
            let command = revoke(1, target, mode, NOW + 300);
            assert_eq!(world.propose(1, command), refused(Objection::Invalid));
        }
    }
    let command = revoke(9, token(5, 0), Mode::Cutoff, NOW + 300);
    assert_eq!(world.propose(1, command), refused(Objection::Unknown));
}

#[test]
fn what_has_expired_for_every_clock_is_refused_and_no_revocation_lasts_for_ever() {
    let mut world = World::new(3, 1);
    let margin = u64::from(PURGE_MARGIN.seconds());
    let of = |seconds| revoke(1, token(5, 0), Mode::Cutoff, seconds);
    assert_eq!(world.propose(1, of(NOW - margin - 1)), refused(Objection::Expired));
    assert_eq!(world.propose(1, of(NOW - margin)), Outcome::Applied);
    assert_eq!(world.propose(1, of(u64::MAX)), Outcome::Applied);
    let row = world.ledger.revocations(region(1)).unwrap().lists.get(&ListId::new(5)).unwrap();
    let last = NOW + u64::from(REVOCATION_LIFETIME_MAX.seconds());
    assert_eq!((row.expires_at, last), (at(last), NOW + 400 * DAY));
}

#[test]
fn a_cut_off_covers_what_was_issued_before_and_moves_when_it_is_sent_again() {
    let mut world = World::new(3, 1);
    for target in
        [PERSON, Target::Session(Fixed([7; 16])), Target::Client(7), Target::TransferRule(7)]
    {
        let of = |seconds| revoke(1, target, Mode::Cutoff, NOW + seconds);
        let cut =
            |world: &World| *world.ledger.revocations(region(1)).unwrap().cut(&target).unwrap();
        let first = world.index;
        assert_eq!(world.propose(1, of(300)), Outcome::Applied);
        assert!(cut(&world).covers(lix_of(first - 1)) && !cut(&world).covers(lix_of(first)));
        // What was issued at the entry before is alive; whoever logs out again kills it.
        let second = world.index;
        assert_eq!(world.propose(1, of(200)), Outcome::Applied);
        assert_eq!((cut(&world).cutoff, cut(&world).expires_at), (lix_of(second), at(NOW + 300)));
    }
    // Twice in one entry is once.
    let twice = [3, 4].map(|_| {
        Proposal::unsigned(header(1, 0, NOW), revoke(1, PERSON, Mode::Cutoff, NOW + 300)).unwrap()
    });
    let outcomes = world.ledger.apply(world.index, &batch(&twice));
    assert_eq!(outcomes, [Outcome::Applied, Outcome::Duplicate]);
}

#[test]
fn a_block_holds_until_it_is_lifted_or_ends_and_the_cut_off_stays() {
    let mut world = World::new(3, 1);
    let of = |mode, seconds| revoke(1, PERSON, mode, NOW + seconds);
    let cut = |world: &World| *world.ledger.revocations(region(1)).unwrap().cut(&PERSON).unwrap();
    assert_eq!(world.propose(1, of(Mode::Lift, DAY)), refused(Objection::Unknown));
    assert_eq!(world.propose(1, of(Mode::Block, DAY)), Outcome::Applied);
    let blocked = cut(&world);
    assert_eq!(blocked.blocked_until, Some(at(NOW + DAY)));
    // While nothing is issued there is nothing new to cut off.
    assert_eq!(world.propose(1, of(Mode::Block, DAY)), Outcome::Duplicate);
    assert_eq!(world.propose(1, of(Mode::Cutoff, DAY)), Outcome::Duplicate);
    assert_eq!(world.propose(1, of(Mode::Block, 2 * DAY)), Outcome::Applied);
    assert_eq!(cut(&world).blocked_until, Some(at(NOW + 2 * DAY)));
    // Shorter does not shorten.
    assert_eq!(world.propose(1, of(Mode::Block, 60)), Outcome::Duplicate);
    let lifted = world.index;
    assert_eq!(world.propose(1, of(Mode::Lift, 60)), Outcome::Applied);
    let row = cut(&world);
    assert_eq!((row.cutoff, row.blocked_until), (lix_of(lifted), None));
    assert_eq!(row.expires_at, at(NOW + 2 * DAY));
    assert_eq!(world.propose(1, of(Mode::Lift, 60)), Outcome::Duplicate);
    assert_eq!(world.propose(1, of(Mode::Cutoff, 60)), Outcome::Applied);
}

#[test]
fn a_cut_off_near_the_end_of_a_block_counts_since_somebody_may_issue_again() {
    let mut world = World::new(3, 1);
    let end = NOW + DAY;
    world.propose(1, revoke(1, PERSON, Mode::Block, end));
    world.pass(DAY - 10, 3);
    let now = world.index;
    let outcome = world.propose(1, revoke(1, PERSON, Mode::Cutoff, end));
    assert_eq!(outcome, Outcome::Applied);
    assert_eq!(
        world.ledger.revocations(region(1)).unwrap().cut(&PERSON).unwrap().cutoff,
        lix_of(now)
    );
}

#[test]
fn others_revoke_single_tokens_within_a_quota_and_nothing_else() {
    let mut world = World::new(3, 1);
    for target in [
        PERSON,
        Target::Session(Fixed([7; 16])),
        Target::Client(7),
        Target::TransferRule(7),
        Target::List(ListId::new(7)),
    ] {
        let command = revoke(1, target, Mode::Cutoff, NOW + 300);
        assert_eq!(world.propose(3, command), refused(Objection::NotAuthorised), "{target:?}");
    }
    for index in 0..FOREIGN_REVOCATIONS_PER_HOUR_MAX {
        let command = revoke(1, token(5, index), Mode::Cutoff, NOW + 7_200);
        assert_eq!(world.propose(3, command), Outcome::Applied);
    }
    let more = |index| revoke(1, token(5, index), Mode::Cutoff, NOW + 7_200);
    assert_eq!(world.propose(3, more(9_999)), refused(Objection::QuotaExceeded));
    // What is known costs nothing; others have a quota of their own; the owner has none.
    assert_eq!(world.propose(3, more(0)), Outcome::Duplicate);
    assert_eq!(world.propose(2, more(9_999)), Outcome::Applied);
    assert_eq!(world.propose(1, more(10_000)), Outcome::Applied);
    world.pass(3_600, 3);
    assert_eq!(world.propose(3, more(10_001)), Outcome::Applied);
}

#[test]
fn a_declared_stand_in_revokes_everything_of_a_region_that_goes() {
    let mut world = World::new(3, 1);
    let of = |mode| revoke(1, PERSON, mode, NOW + DAY);
    assert_eq!(world.propose(2, of(Mode::Block)), refused(Objection::NotAuthorised));
    world.propose(1, set(1, RegionState::Draining, None));
    assert_eq!(world.propose(2, of(Mode::Block)), Outcome::Applied);
    assert_eq!(world.propose(3, of(Mode::Lift)), refused(Objection::NotAuthorised));
    evacuate(&mut world, 1);
    assert_eq!(world.propose(2, of(Mode::Lift)), Outcome::Applied);
}

#[test]
fn a_shorter_revocation_shortens_no_other_of_the_same_list() {
    let mut world = World::new(3, 1);
    let list = Target::List(ListId::new(5));
    let end = |world: &World| {
        let owner = world.ledger.revocations(region(1)).unwrap();
        owner.lists.get(&ListId::new(5)).unwrap().expires_at
    };
    world.propose(1, revoke(1, token(5, 1), Mode::Cutoff, NOW + DAY));
    for target in [token(5, 2), list] {
        assert_eq!(world.propose(1, revoke(1, target, Mode::Cutoff, NOW)), Outcome::Applied);
        assert_eq!(end(&world), at(NOW + DAY));
    }
    world.propose(1, revoke(1, list, Mode::Cutoff, NOW + 2 * DAY));
    assert_eq!(end(&world), at(NOW + 2 * DAY));
}

#[test]
fn a_list_that_was_cut_off_is_dead_up_to_then() {
    let mut world = World::new(3, 1);
    world.propose(1, revoke(1, token(5, 1), Mode::Cutoff, NOW + 300));
    let cut = world.index;
    let command = revoke(1, Target::List(ListId::new(5)), Mode::Cutoff, NOW + 300);
    assert_eq!(world.propose(1, command), Outcome::Applied);
    assert!(covers(&world, 1, 5, 77, cut - 1) && !covers(&world, 1, 5, 77, cut));
    // The single token was issued before, as every token is whose revocation stands here.
    assert!(covers(&world, 1, 5, 1, cut - 1));
    world.propose(1, revoke(1, token(5, 77), Mode::Cutoff, NOW + 300));
    assert!(covers(&world, 1, 5, 77, u64::MAX));
}

#[test]
fn at_the_cap_of_indexes_a_list_is_cut_off_instead() {
    let mut world = World::new(3, 1);
    // Few lists, full to the last index, fill the region's room: as a snapshot has them, since four
    // million proposals take their time.
    let lists = INDEXES_PER_REGION_MAX / u64::from(LIST_SIZE);
    let full = with_full_lists(&world.snapshot(), lists);
    let (_, ledger) = Ledger::restore(&full, world.ledger.genesis()).unwrap();
    world.ledger = ledger;
    assert_eq!(world.ledger.revocations(region(1)).unwrap().indexes, INDEXES_PER_REGION_MAX);
    assert!(full.len() < 6 << 20, "{} bytes: one an index where they stand close", full.len());
    // One more, in a list of its own: the list is cut off.
    let cut = world.index;
    let one_more = revoke(1, token(lists, 5), Mode::Cutoff, NOW + DAY);
    assert_eq!(world.propose(1, one_more), Outcome::Applied);
    assert!(covers(&world, 1, lists, 5, cut - 1) && covers(&world, 1, lists, 6, cut - 1));
    assert!(!covers(&world, 1, lists, 6, cut), "what is issued later lives");
    // One more of a full list cannot be; of the lists, cutting one off makes room.
    let list = Target::List(ListId::new(0));
    world.propose(1, revoke(1, list, Mode::Cutoff, NOW + DAY));
    let owner = world.ledger.revocations(region(1)).unwrap();
    assert_eq!(owner.indexes, INDEXES_PER_REGION_MAX - u64::from(LIST_SIZE));
    assert_eq!(owner.indexes, owner.count());
    assert!(covers(&world, 1, 0, 0, cut), "the cut-off covers its indexes");
    world.propose(1, revoke(1, token(lists, 7), Mode::Cutoff, NOW + DAY));
    assert!(covers(&world, 1, lists, 7, u64::MAX) && !covers(&world, 1, lists, 8, cut));
}

/// The snapshot with the table of revocations of region 1: `lists` lists, every index revoked.
fn with_full_lists(snapshot: &[u8], lists: u64) -> Vec<u8> {
    let end = snapshot.len() - 32 - envelope::FRAME_BYTES;
    // Number of the table, the region, how many lists.
    let mut body = vec![0, 11, 1, u8::try_from(lists).unwrap()];
    for list in 0..lists {
        body.extend_from_slice(&list.to_be_bytes());
        // 2^20 indexes: the first is 0, each other one more than the last.
        body.extend_from_slice(&[0x80, 0x80, 0x40, 0]);
        body.resize(body.len() + LIST_SIZE as usize - 1, 1);
        // No cut-off; until when.
        body.push(0);
        let mut expires_at = NOW + DAY;
        while expires_at >= 0x80 {
            body.push(expires_at.to_le_bytes()[0] | 0x80);
            expires_at >>= 7;
        }
        body.push(expires_at.to_le_bytes()[0]);
    }
    // No cut-off of all lists, no sessions, persons, clients, rules.
    body.extend_from_slice(&[0; 5]);
    let mut full = snapshot[..end].to_vec();
    envelope::seal_into(&mut full, Kind::SnapshotTable, &body);
    let digest = sha256(&full);
    envelope::seal_into(&mut full, Kind::SnapshotEnd, &digest);
    full
}

fn flush(world: &mut World, commands: &mut Vec<Command>) {
    let proposals: Vec<Proposal> = commands
        .drain(..)
        .map(|command| Proposal::unsigned(header(1, 0, NOW), command).unwrap())
        .collect();
    if !proposals.is_empty() {
        let outcomes = world.ledger.apply(world.index, &batch(&proposals));
        world.index += 1;
        assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Applied));
    }
}

#[test]
fn at_the_cap_of_lists_all_lists_of_their_owner_are_cut_off_and_by_the_owner_alone() {
    let mut world = World::new(3, 1);
    let half = ROWS_PER_SHARD_MAX as u64 / 2;
    // Another region makes up lists, all in one part of the table.
    for list in 0..half {
        let command = revoke(1, token(list, 0), Mode::Cutoff, NOW + DAY);
        assert_eq!(world.propose(2, command), Outcome::Applied);
    }
    let one_more = |list| revoke(1, token(list, 0), Mode::Cutoff, NOW + 2 * DAY);
    assert_eq!(world.propose(2, one_more(half)), refused(Objection::TableFull));
    assert_eq!(world.propose(2, one_more(0)), Outcome::Applied, "a list that is known");
    for list in half..2 * half {
        assert_eq!(world.propose(1, one_more(list)), Outcome::Applied);
    }
    let cut = world.index;
    assert_eq!(world.propose(1, one_more(2 * half)), Outcome::Applied);
    for list in [0, half, 2 * half, 99_999] {
        assert!(covers(&world, 1, list, 0, cut - 1), "{list}");
        assert!(!covers(&world, 1, list, 0, cut));
    }
    let owner = world.ledger.revocations(region(1)).unwrap();
    assert!(owner.lists.is_empty() && owner.indexes == 0);
    assert_eq!(owner.all_lists.unwrap().expires_at, at(NOW + 2 * DAY));
    assert!(!covers(&world, 2, 0, 0, 0));
}

#[test]
fn other_tables_refuse_at_their_cap_and_still_take_what_they_know() {
    let mut world = World::new(3, 1);
    let digest = |n: usize| {
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&(n as u64).to_be_bytes());
        Fixed(bytes)
    };
    let number = |n: usize| u32::try_from(n).unwrap();
    let tables: [(usize, &dyn Fn(usize) -> Target); 4] = [
        (ROWS_PER_SHARD_MAX, &|n| Target::Session(digest(n))),
        (ROWS_PER_SHARD_MAX, &|n| Target::Subject(digest(n))),
        (CLIENTS_PER_REGION_MAX, &|n| Target::Client(number(n))),
        (RULES_PER_REGION_MAX, &|n| Target::TransferRule(number(n))),
    ];
    for (max, target) in tables {
        let mut commands = Vec::new();
        for n in 0..max {
            commands.push(revoke(1, target(n), Mode::Cutoff, NOW + DAY));
            if commands.len() == 100 {
                flush(&mut world, &mut commands);
            }
        }
        flush(&mut world, &mut commands);
        let of = |n| revoke(1, target(n), Mode::Block, NOW + DAY);
        assert_eq!(world.propose(1, of(max)), refused(Objection::TableFull));
        assert_eq!(world.propose(1, of(0)), Outcome::Applied);
    }
    // Another region has room of its own.
    let own = Command::Revoke(Revoke {
        owner: region(2),
        target: Target::Client(number(CLIENTS_PER_REGION_MAX)),
        mode: Mode::Cutoff,
        expires_at: at(NOW + DAY),
    });
    assert_eq!(world.propose(2, own), Outcome::Applied);
}

#[test]
fn a_cut_off_of_a_later_epoch_covers_every_index_of_an_earlier_one() {
    let cutoff = Lix { epoch: 1, index: 5 };
    let row = CutRow { cutoff, blocked_until: None, expires_at: at(NOW) };
    let of = |epoch, index| Lix { epoch, index };
    assert!(row.covers(of(0, u64::MAX)) && row.covers(of(1, 4)));
    assert!(!row.covers(cutoff) && !row.covers(of(2, 0)));
}
