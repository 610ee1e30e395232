//! Any changes, a power cut at any moment, any part of what was not synced: what was answered is
//! there, and what is there is a moment of the log's history.

use std::sync::Arc;

use openraft::{
    RaftLogReader as _,
    alias::{EntryOf, LogIdOf, OneshotReceiverOf, VoteOf},
    storage::{IOFlushed, RaftLogStorage as _},
    type_config::TypeConfigExt as _,
};
use proptest::prelude::*;
use rand::{SeedableRng as _, rngs::SmallRng};

use super::fixture::{log_id, node, parts_with, revoke, vote};
use crate::consensus::{
    LogStore, TypeConfig,
    convert::{from_log_id, from_vote},
    disk::simulated::{Event, Held, SimulatedDisk},
};

#[derive(Clone, Debug)]
enum Step {
    Append { entries: u64, new_term: bool },
    Truncate { back: u64 },
    Purge { forward: u64 },
    Vote,
    Committed,
    Anchor,
    Write,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_u64..40, any::<bool>())
            .prop_map(|(entries, new_term)| Step::Append { entries, new_term }),
        1 => (0_u64..20).prop_map(|back| Step::Truncate { back }),
        1 => (1_u64..10).prop_map(|forward| Step::Purge { forward }),
        1 => Just(Step::Vote),
        1 => Just(Step::Committed),
        1 => Just(Step::Anchor),
        4 => Just(Step::Write),
    ]
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    term: u64,
    vote: Option<VoteOf<TypeConfig>>,
    purged: Option<LogIdOf<TypeConfig>>,
    committed: Option<LogIdOf<TypeConfig>>,
    entries: Vec<EntryOf<TypeConfig>>,
}

impl Model {
    fn next(&self) -> u64 {
        let purged = self.purged.map_or(0, |id| id.index + 1);
        self.entries.last().map_or(purged, |entry| entry.log_id.index + 1)
    }

    fn last(&self) -> Option<LogIdOf<TypeConfig>> {
        self.entries.last().map(|entry| entry.log_id).or(self.purged)
    }

    fn is_same_log(&self, other: &Self) -> bool {
        (self.vote, self.purged, &self.entries) == (other.vote, other.purged, &other.entries)
    }
}

type Answer = OneshotReceiverOf<TypeConfig, std::io::Result<()>>;

struct Run {
    store: LogStore,
    writer: Held,
    /// The log after each step.
    history: Vec<Model>,
    /// Answers that are due, each with the history's length when its change was made.
    answers: Vec<(usize, Answer)>,
    /// How much of the history was answered for.
    answered: usize,
}

impl Run {
    fn open(disk: &SimulatedDisk, model: Model) -> Self {
        let writer = Held::default();
        let opened = LogStore::open(parts_with(disk, Arc::new(writer.clone()))).unwrap();
        Self { store: opened.store, writer, history: vec![model], answers: Vec::new(), answered: 1 }
    }

    async fn take(&mut self, step: &Step) {
        let mut model = self.history.last().unwrap().clone();
        match step {
            Step::Append { entries, new_term } => {
                model.term += u64::from(*new_term);
                let (term, next) = (model.term, model.next());
                let new: Vec<_> = (next..next + entries).map(|i| revoke(term, i, 5)).collect();
                model.entries.extend(new.clone());
                let (done, answer) = TypeConfig::oneshot();
                if self.store.append(new, IOFlushed::signal(done)).await.is_ok() {
                    self.answers.push((self.history.len() + 1, answer));
                }
            }
            Step::Truncate { back } => {
                let kept = model.entries.len().saturating_sub(usize::try_from(*back).unwrap());
                // What is committed is never cut.
                let committed = model.committed.map(|id| id.index);
                let held = model.entries.iter().filter(|e| Some(e.log_id.index) <= committed);
                let kept = kept.max(held.count());
                model.entries.truncate(kept);
                drop(self.store.truncate_after(model.last()).await);
                // What comes in its place is another leader's.
                model.term += 1;
            }
            Step::Purge { forward } => {
                let purged = model.entries.len().min(usize::try_from(*forward).unwrap());
                if let Some(upto) = model.entries.drain(..purged).next_back() {
                    model.purged = Some(upto.log_id);
                    drop(self.store.purge(upto.log_id).await);
                }
            }
            Step::Vote => {
                model.term += 1;
                model.vote = Some(vote(model.term));
                let mut store = self.store.clone();
                let voted = async move { store.save_vote(&vote(model.term)).await };
                let voting = TypeConfig::spawn(voted);
                tokio::task::yield_now().await;
                self.writer.run_all();
                if voting.await.unwrap().is_ok() {
                    self.answered = self.history.len() + 1;
                }
            }
            Step::Committed => {
                model.committed = model.last();
                drop(self.store.save_committed(model.committed).await);
            }
            Step::Anchor => {
                let store = self.store.clone();
                let anchoring = TypeConfig::spawn(async move { store.anchor_flushed().await });
                tokio::task::yield_now().await;
                self.writer.run_all();
                drop(anchoring.await);
            }
            Step::Write => self.writer.run_all(),
        }
        self.history.push(model);
    }

    /// What was answered for until now.
    fn answered(mut self) -> (Vec<Model>, usize) {
        for (length, mut answer) in self.answers.drain(..) {
            if matches!(answer.try_recv(), Ok(Ok(()))) {
                self.answered = self.answered.max(length);
            }
        }
        (self.history, self.answered)
    }
}

async fn on_disk(disk: &SimulatedDisk) -> Model {
    let mut store = LogStore::open(parts_with(disk, Arc::new(Held::default()))).unwrap().store;
    let state = store.get_log_state().await.unwrap();
    let mut reader = store.reader();
    let found = Model {
        term: 0,
        vote: reader.read_vote().await.unwrap(),
        purged: state.last_purged_log_id,
        committed: store.read_committed().await.unwrap(),
        entries: reader.read(0, u64::MAX).unwrap(),
    };
    assert_eq!(state.last_log_id, found.last());
    assert!(found.committed.map(|id| id.index) <= state.last_log_id.map(|id| id.index));
    found
}

async fn survive(rounds: Vec<(Vec<Step>, u32, u64)>) {
    let disk = SimulatedDisk::default();
    LogStore::create(&disk, node()).unwrap();
    let mut model = Model { term: 1, ..Model::default() };
    for (steps, power, seed) in rounds {
        let mut run = Run::open(&disk, model);
        disk.cut_power_after(power);
        for step in &steps {
            run.take(step).await;
        }
        let (history, answered) = run.answered();
        disk.crash(&mut SmallRng::seed_from_u64(seed));
        let found = on_disk(&disk).await;
        let moment = history.iter().skip(answered - 1).rposition(|then| then.is_same_log(&found));
        assert!(moment.is_some(), "answered for {answered} of {history:#?}, but found {found:#?}");
        check_anchor(&disk, &found);
        model = Model { term: history.last().unwrap().term + 1, ..found };
    }
}

fn check_anchor(disk: &SimulatedDisk, found: &Model) {
    let events = disk.take_events();
    let flushed = events
        .iter()
        .rev()
        .find_map(|event| if let Event::AnchorFlushed(last) = event { Some(*last) } else { None });
    let last = found.last().as_ref().map(from_log_id);
    assert!(flushed.is_none_or(|flushed| flushed <= last), "{flushed:?} is ahead of {last:?}");
    let voted = events
        .iter()
        .rev()
        .find_map(|event| if let Event::AnchorVote(vote) = event { Some(*vote) } else { None });
    let vote = found.vote.as_ref().map(from_vote);
    assert!(voted.is_none() || voted.map(|v| v.term) <= vote.map(|v| v.term));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_power_cut_at_any_moment_leaves_all_that_was_answered_and_no_halves(
        rounds in prop::collection::vec(
            (prop::collection::vec(step(), 1..30), 0_u32..200, any::<u64>()),
            1..4,
        )
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(survive(rounds));
    }
}

#[tokio::test]
async fn a_purge_is_remembered_even_of_the_whole_log() {
    let disk = SimulatedDisk::default();
    LogStore::create(&disk, node()).unwrap();
    let writer = Held::default();
    let mut store = LogStore::open(parts_with(&disk, Arc::new(writer.clone()))).unwrap().store;
    store.purge(log_id(3, 41)).await.unwrap();
    writer.run_all();
    disk.lose_unsynced();
    let found = on_disk(&disk).await;
    assert_eq!((found.purged, found.next()), (Some(log_id(3, 41)), 42));
}
