//! What holds whatever is proposed, by whom, when and in which order.

use std::sync::OnceLock;

use exequatur_federation::{
    ledger::{
        AcknowledgeKey, ActivateConfig, ActivateKey, AnnounceConfig, Command, ConfigScope, Fixed,
        Header, Join, KeyPurpose, KeyRow, Leave, Ledger, List, Lix, MemberRow, Mode, Objection,
        Outcome, PURGE_MARGIN, Proposal, REVOCATION_LIFETIME_MAX, RaiseLevel, RegionRow,
        RegionState, RetireKey, Revoke, RevokeKey, RevokeRegion, SetRegionState, SnapshotHead,
        Target, Tick,
    },
    region::RegionNumber,
    revocation::ListId,
};
use proptest::prelude::*;

use super::{
    checkpoints::{Log, anchor, cosign, cosignature, name, with_audit_keys},
    revocations::{lix_of, status},
    snapshot::tables,
    world::{
        DAY, LEVELS, NOW, World, at, batch, entries, header, identity_pair, kid, law, ledger_key,
        node, proposal, publish, region, signed, ticket,
    },
};

const REGIONS: u16 = 4;

fn base() -> World {
    static BASE: OnceLock<World> = OnceLock::new();
    BASE.get_or_init(|| with_audit_keys(REGIONS)).clone()
}

/// One proposal to come: who, what, and how many seconds later than the one before.
#[derive(Clone, Debug)]
struct Step {
    by: u16,
    command: Command,
    later: u64,
    old_serial: bool,
}

fn number() -> impl Strategy<Value = u16> {
    1..=REGIONS
}

fn revocation() -> impl Strategy<Value = Command> {
    let digest = (0_u8..3).prop_map(|n| Fixed([n; 16]));
    let target = prop_oneof![
        4 => (0_u64..3, 0_u32..4).prop_map(|(list, index)| Target::Status(status(list, index))),
        1 => (0_u64..3).prop_map(|list| Target::List(ListId::new(list))),
        1 => digest.clone().prop_map(Target::Session),
        2 => digest.prop_map(Target::Subject),
        1 => (0_u32..3).prop_map(Target::Client),
        1 => (0_u32..3).prop_map(Target::TransferRule),
    ];
    let mode = prop_oneof![3 => Just(Mode::Cutoff), 2 => Just(Mode::Block), 2 => Just(Mode::Lift)];
    let expiry = prop_oneof![0..2 * DAY, Just(500 * DAY)];
    (number(), target, mode, expiry).prop_map(|(owner, target, mode, seconds)| {
        let expires_at = at(NOW - DAY + seconds);
        Command::Revoke(Revoke { owner: region(owner), target, mode, expires_at })
    })
}

fn key_name() -> impl Strategy<Value = String> {
    (0_u8..3).prop_map(|n| format!("key {n}"))
}

fn key_command() -> impl Strategy<Value = Command> {
    let purpose = prop_oneof![Just(KeyPurpose::AccessToken), Just(KeyPurpose::Audit)];
    prop_oneof![
        (key_name(), purpose).prop_map(|(n, p)| Command::PublishKey(publish(&n, p))),
        (number(), key_name(), number()).prop_map(|(of, n, by)| {
            let (region, kid) = (region(of), kid(&ledger_key(&n)));
            Command::AcknowledgeKey(AcknowledgeKey { region, kid, node: node(by, 0) })
        }),
        key_name().prop_map(|n| Command::ActivateKey(ActivateKey { kid: kid(&ledger_key(&n)) })),
        (key_name(), 0..2 * DAY).prop_map(|(n, seconds)| {
            let verifies_until = at(NOW + seconds);
            Command::RetireKey(RetireKey { kid: kid(&ledger_key(&n)), verifies_until })
        }),
        (number(), key_name()).prop_map(|(of, n)| {
            let (region, kid) = (region(of), kid(&ledger_key(&n)));
            Command::RevokeKey(RevokeKey { region, kid })
        }),
    ]
}

fn log_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        (number(), 1_u64..4, 0_u8..2, 0_u64..3).prop_map(|(by, size, seed, from)| {
            Command::AnchorCheckpoint(anchor(by, 1, &Log::of(size, seed), from.min(size)))
        }),
        (number(), number(), 1_u64..4, 0_u8..2).prop_map(|(by, of, size, seed)| {
            cosign(by, vec![cosignature(by, name(of, 1), Log::of(size, seed).head())])
        }),
    ]
}

fn affair() -> impl Strategy<Value = Command> {
    let state = prop_oneof![
        Just(RegionState::Active),
        Just(RegionState::Draining),
        Just(RegionState::Evacuated)
    ];
    let stand_in = prop::option::of(number().prop_map(region));
    let scope = prop_oneof![
        Just(ConfigScope::Region),
        (3_u16..6).prop_map(|count| ConfigScope::Federation(List::new(entries(count)).unwrap())),
    ];
    prop_oneof![
        (number(), state, stand_in).prop_map(|(of, state, stand_in)| {
            Command::SetRegionState(SetRegionState { region: region(of), state, stand_in })
        }),
        number().prop_map(|of| Command::RevokeRegion(RevokeRegion { region: region(of) })),
        (number(), 0_u16..3).prop_map(|(n, p)| Command::Join(Join { ticket: ticket(n, p) })),
        (number(), 0_u16..3).prop_map(|(n, p)| Command::Leave(Leave { node: node(n, p) })),
        (1_u64..4, scope).prop_map(|(version, scope)| {
            let law = law(version);
            Command::AnnounceConfig(AnnounceConfig { law, scope, levels: LEVELS })
        }),
        (1_u64..4).prop_map(|v| Command::ActivateConfig(ActivateConfig { law: law(v) })),
        (1_u16..4).prop_map(|level| Command::RaiseLevel(RaiseLevel { level })),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        6 => revocation(),
        4 => key_command(),
        2 => log_command(),
        3 => affair(),
        2 => Just(Command::Tick(Tick {})),
    ]
}

fn steps(pause: u64) -> impl Strategy<Value = Vec<Step>> {
    let later = prop_oneof![4 => 0..2_u64, 2 => 0..120_u64, 1 => 0..=pause];
    let step = (number(), command(), later, prop::bool::weighted(0.1));
    let step =
        step.prop_map(|(by, command, later, old_serial)| Step { by, command, later, old_serial });
    prop::collection::vec(step, 1..60)
}

/// The proposals of the steps, from the first nodes of their regions.
fn proposals(steps: &[Step]) -> Vec<Proposal> {
    let mut now = NOW;
    (1_000_u64..)
        .zip(steps)
        .map(|(serial, step)| {
            now += step.later;
            let serial = if step.old_serial { serial - 5 } else { serial };
            proposal(header(step.by, serial, now), step.command.clone())
        })
        .collect()
}

/// Cuts proposals into entries, by the lengths given over and over.
fn entries_of<'a>(proposals: &'a [Proposal], lengths: &[usize]) -> Vec<&'a [Proposal]> {
    let (mut rest, mut found) = (proposals, Vec::new());
    for length in lengths.iter().cycle() {
        let (entry, after) = rest.split_at((*length).min(rest.len()));
        found.push(entry);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    found
}

fn lengths() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1_usize..8, 1..5)
}

/// What is not refused, whether it was new or not.
const fn is_taken(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::Refused(_))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn equal_logs_make_equal_bytes_however_often_they_are_copied_written_and_read(
        steps in steps(3 * DAY), lengths in lengths()
    ) {
        let proposals = proposals(&steps);
        let mut straight = base();
        let mut restored = base().ledger;
        let mut copies = Vec::new();
        for entry in entries_of(&proposals, &lengths) {
            let outcomes = straight.ledger.apply(straight.index, &batch(entry));
            let bytes = restored.snapshot(&SnapshotHead::default());
            copies.push((restored.clone(), bytes.clone()));
            (_, restored) = Ledger::restore(&bytes, restored.genesis()).unwrap();
            prop_assert_eq!(&outcomes, &restored.apply(straight.index, &batch(entry)));
            straight.index += 1;
        }
        prop_assert_eq!(straight.ledger.digest(), restored.digest());
        let bytes = restored.snapshot(&SnapshotHead::default());
        prop_assert_eq!(straight.snapshot(), bytes);
        for (copy, bytes) in copies {
            prop_assert_eq!(copy.snapshot(&SnapshotHead::default()), bytes);
        }
    }

    #[test]
    fn check_says_before_what_apply_says_after(steps in steps(3 * DAY)) {
        let mut world = base();
        for proposal in proposals(&steps) {
            // `World::apply` compares.
            world.apply(&proposal);
        }
    }

    #[test]
    fn how_proposals_are_put_into_entries_does_not_change_what_is_taken(
        steps in steps(60), lengths in lengths()
    ) {
        let proposals = proposals(&steps);
        let mut one_by_one = base();
        let mut together = base();
        let alone: Vec<bool> =
            proposals.iter().map(|p| is_taken(one_by_one.apply(p))).collect();
        let mut joined = Vec::new();
        for entry in entries_of(&proposals, &lengths) {
            let outcomes = together.ledger.apply(together.index, &batch(entry));
            joined.extend(outcomes.into_iter().map(is_taken));
            together.index += 1;
        }
        prop_assert_eq!(alone, joined);
        prop_assert_eq!(one_by_one.ledger.time(), together.ledger.time());
    }

    #[test]
    fn what_was_proposed_once_changes_nothing_when_it_comes_again(steps in steps(3 * DAY)) {
        let mut world = base();
        let proposals = proposals(&steps);
        let outcomes: Vec<Outcome> = proposals.iter().map(|p| world.apply(p)).collect();
        for (proposal, before) in proposals.iter().zip(outcomes) {
            let mut same = world.clone();
            // An entry without effect: it may be the turn of something to be purged.
            let nobody = Header { region: region(99), ..proposal.header };
            same.apply(&super::world::proposal(nobody, Command::Tick(Tick {})));
            let again = world.apply(proposal);
            if let Command::Revoke(revoke) = &proposal.command {
                // As documented: a cut-off that is sent again is a later one; an end that is too
                // far is brought nearer each time; and what was refused is judged anew.
                let moves = !matches!(revoke.target, Target::Status(_));
                let far = revoke.expires_at > at(NOW).plus(REVOCATION_LIFETIME_MAX);
                if moves || far || !is_taken(before) {
                    continue;
                }
            }
            prop_assert_ne!(again, Outcome::Pending);
            let genesis = world.ledger.genesis();
            prop_assert_eq!(
                tables(&world.snapshot(), genesis), tables(&same.snapshot(), genesis)
            );
        }
    }

    #[test]
    fn nothing_makes_a_revoked_token_live_before_it_has_expired(steps in steps(3 * DAY)) {
        let mut world = base();
        let mut promised: Vec<(Revoke, u64, u64)> = Vec::new();
        for proposal in proposals(&steps) {
            let index = world.index;
            let outcome = world.apply(&proposal);
            if let Command::Revoke(revoke) = &proposal.command
                && outcome == Outcome::Applied
            {
                let latest = world.ledger.time().plus(REVOCATION_LIFETIME_MAX);
                let end = revoke.expires_at.min(latest).plus(PURGE_MARGIN).seconds();
                promised.push((*revoke, index, end));
            }
            let time = world.ledger.time().seconds();
            for (revoke, index, _) in promised.iter().filter(|(_, _, end)| time <= *end) {
                prop_assert!(is_dead(&world.ledger, revoke, lix_of(index - 1)), "{:?}", revoke);
            }
        }
    }

    #[test]
    fn time_lies_between_the_clocks_of_those_who_are_right(
        wrong in prop::collection::vec((any::<u64>(), 0_u64..40), 1..100), silent in 0_usize..100
    ) {
        let mut world = World::new(3, 1);
        let mut honest = [NOW, NOW];
        for (at_step, (clock, later)) in wrong.into_iter().enumerate() {
            let turn = at_step % 2;
            honest[turn] = honest[turn].max(honest[1 - turn]) + later;
            let number = u16::try_from(turn + 1).unwrap();
            let tick = |number, clock| proposal(header(number, 0, clock), Command::Tick(Tick {}));
            world.apply(&tick(number, honest[turn]));
            if at_step < silent {
                world.apply(&tick(3, clock));
            }
            let time = world.ledger.time().seconds();
            let (low, high) = (honest[0].min(honest[1]), honest[0].max(honest[1]));
            prop_assert!((low..=high).contains(&time), "{time} in {low}..={high}");
        }
    }

    #[test]
    fn a_forged_proposer_changes_nothing(
        command in command(), as_region in number(), by in number(), serial in any::<u64>()
    ) {
        let mut world = base();
        let mut same = world.clone();
        if !command.is_signed() || as_region == by {
            return Ok(());
        }
        let forged = signed(header(as_region, serial, NOW), command, &identity_pair(by));
        prop_assert_eq!(world.apply(&forged), Outcome::Refused(Objection::Signature));
        let nobody = Header { region: region(99), ..forged.header };
        same.apply(&proposal(nobody, Command::Tick(Tick {})));
        let genesis = world.ledger.genesis();
        prop_assert_eq!(tables(&world.snapshot(), genesis), tables(&same.snapshot(), genesis));
    }

    #[test]
    fn one_region_alone_changes_no_other_and_no_law(steps in steps(60)) {
        let mut world = base();
        let (others, law) = (others(&world.ledger), world.ledger.law());
        let alone: Vec<Step> = steps.into_iter().map(|step| Step { by: 1, ..step }).collect();
        let told = !alone.is_empty();
        for proposal in proposals(&alone) {
            world.apply(&proposal);
        }
        prop_assert!(told);
        prop_assert_eq!(self::others(&world.ledger), others);
        prop_assert_eq!(world.ledger.law(), law);
        prop_assert_eq!(world.ledger.time(), at(NOW), "nor does it tell the time alone");
    }
}

/// Everything of regions 2 and up that region 1 could want to change. A node that its region vouched
/// for may be brought by another, so that members are those who were.
fn others(ledger: &Ledger) -> (Vec<RegionRow>, Vec<KeyRow>, Vec<MemberRow>) {
    let other = |number: RegionNumber| number != region(1);
    let regions = ledger.regions().filter(|(number, _)| other(*number));
    let keys = (2..=REGIONS).flat_map(|n| ledger.verifying_keys(region(n), at(NOW)));
    let members = (2..=REGIONS).filter_map(|n| ledger.member(node(n, 0)).copied());
    (
        regions.map(|(_, row)| row.clone()).collect(),
        keys.map(|(_, row)| row.clone()).collect(),
        members.collect(),
    )
}

/// Whether a token that the revocation covers, issued at `lix`, is dead.
fn is_dead(ledger: &Ledger, revoke: &Revoke, lix: Lix) -> bool {
    let Some(owner) = ledger.revocations(revoke.owner) else { return false };
    match revoke.target {
        Target::Status(status) => owner.covers(status, lix),
        Target::List(list) => {
            owner.covers(exequatur_federation::ledger::StatusTarget { list, index: 99 }, lix)
        }
        Target::Session(_) | Target::Subject(_) | Target::Client(_) | Target::TransferRule(_) => {
            owner.cut(&revoke.target).is_some_and(|cut| cut.covers(lix))
        }
    }
}
