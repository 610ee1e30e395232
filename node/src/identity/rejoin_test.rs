//! Directories and anchors: what is accepted, what is refused, and that no backup passes.

use exequatur_federation::ledger::Fixed;
use proptest::prelude::*;

use super::*;

fn node(bits: u64) -> NodeId {
    NodeId::new(bits).unwrap()
}

fn vote(term: u64, bits: u64, committed: bool) -> Vote {
    Vote { term, node: node(bits), committed }
}

fn entry(term: u64, index: u64) -> LogId {
    LogId { term, leader: node(1), index }
}

fn facts() -> DirectoryFacts {
    DirectoryFacts {
        node: node(7),
        starts: 5,
        genesis: Some(Fixed([1; 32])),
        vote: Some(vote(3, 2, true)),
        last: Some(entry(3, 100)),
    }
}

fn anchor() -> Anchor {
    let DirectoryFacts { node, starts, genesis, vote, last } = facts();
    Anchor { node, starts, genesis, vote, flushed: last }
}

fn judged(change: impl FnOnce(&mut DirectoryFacts, &mut Anchor)) -> Result<(), Rejoin> {
    let (mut facts, mut anchor) = (facts(), anchor());
    change(&mut facts, &mut anchor);
    examine(&DirectoryState::Present(facts), Some(&anchor))
}

#[test]
fn a_directory_as_it_was_left_is_accepted() {
    assert_eq!(judged(|_, _| {}), Ok(()));
}

#[test]
fn an_anchor_that_a_crash_left_behind_is_accepted() {
    assert_eq!(judged(|directory, _| directory.starts = 6), Ok(()));
    assert_eq!(judged(|directory, _| directory.vote = Some(vote(4, 1, false))), Ok(()));
    assert_eq!(judged(|directory, _| directory.last = Some(entry(4, 101))), Ok(()));
    assert_eq!(judged(|_, anchor| anchor.genesis = None), Ok(()));
    assert_eq!(judged(|_, anchor| (anchor.vote, anchor.flushed) = (None, None)), Ok(()));
}

#[test]
fn a_log_may_have_lost_entries_that_were_not_committed() {
    // 100 was committed; a new leader has replaced what followed it.
    assert_eq!(judged(|directory, _| directory.last = Some(entry(9, 101))), Ok(()));
}

#[test]
fn everything_that_is_missing_is_told_apart() {
    let (anchor, present) = (anchor(), DirectoryState::Present(facts()));
    let node = node(7);
    let cases = [
        (DirectoryState::Missing, None, Rejoin::NeverMade),
        (DirectoryState::Empty, None, Rejoin::NeverMade),
        (DirectoryState::Missing, Some(&anchor), Rejoin::DirectoryMissing { node }),
        (DirectoryState::Empty, Some(&anchor), Rejoin::DirectoryEmpty { node }),
        (present, None, Rejoin::AnchorMissing { node }),
    ];
    for (directory, anchor, expected) in cases {
        assert_eq!(examine(&directory, anchor), Err(expected));
    }
}

#[test]
fn a_directory_older_than_its_anchor_is_refused_whatever_it_forgot() {
    let starts = judged(|directory, _| directory.starts = 4);
    assert_eq!(starts, Err(Rejoin::StartsForgotten { directory: 4, anchor: 5 }));
    let (had, now) = (vote(3, 2, true), vote(3, 2, false));
    for now in [Some(now), Some(vote(3, 1, true)), Some(vote(2, 9, true)), None] {
        let forgotten = judged(|directory, _| directory.vote = now);
        assert_eq!(forgotten, Err(Rejoin::VoteForgotten { directory: now, anchor: had }));
    }
    for now in [Some(entry(3, 99)), Some(entry(2, 500)), None] {
        let forgotten = judged(|directory, _| directory.last = now);
        let anchor = entry(3, 100);
        assert_eq!(forgotten, Err(Rejoin::EntriesForgotten { directory: now, anchor }));
    }
    let genesis = judged(|directory, _| directory.genesis = None);
    assert_eq!(genesis, Err(Rejoin::GenesisForgotten { anchor: Fixed([1; 32]) }));
}

#[test]
fn a_foreign_directory_an_old_anchor_and_another_federation_are_refused() {
    let foreign = judged(|directory, _| directory.node = node(8));
    assert_eq!(foreign, Err(Rejoin::Foreign { directory: node(8), anchor: node(7) }));
    let behind = judged(|directory, _| directory.starts = 7);
    assert_eq!(behind, Err(Rejoin::AnchorBehind { directory: 7, anchor: 5 }));
    let other = judged(|directory, _| directory.genesis = Some(Fixed([2; 32])));
    let (directory, anchor) = (Fixed([2; 32]), Fixed([1; 32]));
    assert_eq!(other, Err(Rejoin::OtherGenesis { directory, anchor }));
}

#[test]
fn every_refusal_says_how_to_come_back() {
    let rolled_back = judged(|directory, _| directory.vote = None).unwrap_err().to_string();
    assert!(
        rolled_back.starts_with(
            "rolled back: the directory has none as its last vote, its anchor term 3 for node \
             0000000000000002: rejoin as a new node: "
        ),
        "{rolled_back}"
    );
    for part in ["`exequatur init`", "federation.toml", "`exequatur cluster invite`"] {
        assert!(rolled_back.contains(part), "{rolled_back}");
    }
}

/// What a node does, in the order in which it writes: the directory, then the anchor.
#[derive(Clone, Copy, Debug)]
enum Step {
    Start,
    Vote,
    Commit,
    Pin,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step =
        prop_oneof![Just(Step::Start), Just(Step::Vote), Just(Step::Commit), Just(Step::Pin)];
    prop::collection::vec(step, 0..24)
}

fn take(step: Step, facts: &mut DirectoryFacts) {
    match step {
        Step::Start => facts.starts += 1,
        Step::Vote => {
            let term = facts.vote.map_or(1, |vote| vote.term + 1);
            facts.vote = Some(Vote { term, node: node(2), committed: false });
        }
        Step::Commit => {
            let index = facts.last.map_or(0, |last| last.index + 1);
            let term = facts.vote.map_or(0, |vote| vote.term);
            facts.last = Some(LogId { term, leader: node(2), index });
        }
        Step::Pin => facts.genesis = Some(Fixed([1; 32])),
    }
}

fn remembered(facts: &DirectoryFacts) -> Anchor {
    let DirectoryFacts { node, starts, genesis, vote, last } = *facts;
    Anchor { node, starts, genesis, vote, flushed: last }
}

proptest! {
    /// Whatever a node did, it goes on after a stop, and after a crash between its two writes.
    #[test]
    fn a_node_goes_on_wherever_it_crashed(steps in steps()) {
        let mut facts = DirectoryFacts {
            node: node(7), starts: 0, genesis: None, vote: None, last: None,
        };
        let mut anchor = remembered(&facts);
        for step in steps {
            take(step, &mut facts);
            let state = DirectoryState::Present(facts);
            prop_assert_eq!(examine(&state, Some(&anchor)), Ok(()));
            anchor = remembered(&facts);
            prop_assert_eq!(examine(&state, Some(&anchor)), Ok(()));
        }
    }

    /// A backup is refused as soon as anything was written since; the anchor of then, once the node
    /// has started twice.
    #[test]
    fn no_backup_passes_for_the_directory(before in steps(), after in steps()) {
        let mut facts = DirectoryFacts {
            node: node(7), starts: 0, genesis: None, vote: None, last: None,
        };
        before.into_iter().for_each(|step| take(step, &mut facts));
        let backup = facts;
        after.into_iter().for_each(|step| take(step, &mut facts));
        let old = DirectoryState::Present(backup);
        let accepted = examine(&old, Some(&remembered(&facts))).is_ok();
        prop_assert_eq!(accepted, backup == facts);
        let restored = examine(&DirectoryState::Present(facts), Some(&remembered(&backup)));
        prop_assert_eq!(restored.is_ok(), facts.starts - backup.starts <= 1);
    }
}
