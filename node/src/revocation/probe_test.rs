//! Probes with a leader and a clock that do what a test says.

use std::sync::Mutex;

use exequatur_federation::membership::NodeId;
use tokio::sync::oneshot;

use super::*;
use crate::{
    clock::testing::HandClock,
    consensus::{Confirmation, ReadingIndex},
};

const MAX_STALENESS: Duration = Duration::from_secs(8);
const SECOND: Duration = Duration::from_secs(1);

type Answer = Result<Confirmation, ReadIndexError>;

/// A leader whose answers a test gives, one probe after another.
#[derive(Default)]
struct Leader {
    asked: Mutex<Vec<oneshot::Sender<Answer>>>,
}

impl ReadsIndex for Leader {
    fn read_index(&self, _: Duration) -> ReadingIndex<'_> {
        let (answer, answered) = oneshot::channel();
        self.asked.lock().unwrap().push(answer);
        Box::pin(async move { answered.await.unwrap() })
    }
}

struct World {
    clock: Arc<HandClock>,
    leader: Arc<Leader>,
    age: Arc<ViewAge>,
    metrics: Arc<Metrics>,
    applied: watch::Sender<Option<LogId>>,
    diverged: watch::Receiver<Option<Diverged>>,
    _probing: JoinSet<()>,
}

impl World {
    /// A node that has applied entry 10 and probes every second.
    async fn start() -> Self {
        let clock = Arc::new(HandClock::default());
        let age = Arc::new(ViewAge::of_member(Arc::<HandClock>::clone(&clock)));
        let (applied, published) = watch::channel(Some(entry(10)));
        let (told, diverged) = watch::channel(None);
        let (leader, metrics) = (Arc::new(Leader::default()), Arc::new(Metrics::new()));
        let prober = Prober {
            leader: Arc::<Leader>::clone(&leader),
            published,
            age: Arc::clone(&age),
            max_staleness: MAX_STALENESS,
            metrics: Arc::clone(&metrics),
            diverged: told,
        };
        let mut probing = JoinSet::new();
        probing.spawn(prober.run());
        let world = Self { clock, leader, age, metrics, applied, diverged, _probing: probing };
        world.settle().await;
        world
    }

    /// Lets everything run that can.
    async fn settle(&self) {
        for _ in 0..32 {
            tokio::task::yield_now().await;
        }
    }

    /// Time passes, and with it the next probes.
    async fn pass(&self, time: Duration) {
        self.clock.pass(time);
        tokio::time::advance(time).await;
        self.settle().await;
    }

    /// Answers the oldest probe that waits.
    async fn answer(&self, answer: Answer) {
        let waiting = self.leader.asked.lock().unwrap().remove(0);
        // A probe that was given up hears nothing.
        let _given_up = waiting.send(answer).is_err();
        self.settle().await;
    }

    fn waiting(&self) -> usize {
        self.leader.asked.lock().unwrap().len()
    }

    fn old(&self) -> Option<Duration> {
        self.age.facts().age()
    }
}

fn entry(index: u64) -> LogId {
    LogId { term: 1, leader: NodeId::new(1).unwrap(), index }
}

const fn says(read_index: u64, verdict: Verdict) -> Confirmation {
    Confirmation { read_index, verdict }
}

#[tokio::test(start_paused = true)]
async fn the_view_is_as_of_the_moment_at_which_the_question_was_sent() {
    let world = World::start().await;
    assert_eq!((world.waiting(), world.old()), (1, None));
    world.clock.pass(SECOND / 2);
    world.answer(Ok(says(10, Verdict::Same))).await;
    assert_eq!(world.old(), Some(SECOND / 2));
    assert_eq!(world.metrics.probes.confirmed.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_view_that_lacks_what_the_leader_has_is_confirmed_only_when_it_got_there() {
    let world = World::start().await;
    world.answer(Ok(says(12, Verdict::Same))).await;
    world.applied.send_replace(Some(entry(11)));
    world.settle().await;
    assert_eq!(world.old(), None);
    world.clock.pass(SECOND / 4);
    world.applied.send_replace(Some(entry(12)));
    world.settle().await;
    assert_eq!(world.old(), Some(SECOND / 4));
}

#[tokio::test(start_paused = true)]
async fn probes_go_on_while_one_hangs_and_no_more_than_fit_the_bound() {
    let world = World::start().await;
    for _ in 0..3 {
        world.pass(SECOND).await;
    }
    assert_eq!(world.waiting(), 4);
    let newest = world.leader.asked.lock().unwrap().pop().unwrap();
    newest.send(Ok(says(10, Verdict::Unknown))).unwrap();
    world.settle().await;
    assert_eq!(world.old(), Some(Duration::ZERO));
    for _ in 0..20 {
        world.pass(SECOND).await;
        let open = world.leader.asked.lock().unwrap().iter().filter(|a| !a.is_closed()).count();
        assert!(open <= 8, "{open}");
    }
    assert!(world.metrics.probes.no_answer.get() > 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_confirmation_confirms_nothing_and_is_counted() {
    let world = World::start().await;
    let leader = NodeId::new(1).unwrap();
    let errors = [
        ReadIndexError::NoLeader,
        ReadIndexError::NoQuorum { leader },
        ReadIndexError::NoAnswer { leader, reason: String::new() },
    ];
    for error in errors {
        world.answer(Err(error)).await;
        world.pass(SECOND).await;
    }
    assert_eq!(world.old(), None);
    let probes = &world.metrics.probes;
    let counted = [&probes.no_leader, &probes.no_quorum, &probes.no_answer].map(|c| c.get());
    assert_eq!(counted, [1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_came_while_the_machine_slept_makes_no_fresh_view() {
    let world = World::start().await;
    world.clock.sleep(Duration::from_secs(30));
    world.answer(Ok(says(10, Verdict::Same))).await;
    assert_eq!(world.old(), Some(Duration::from_secs(30)));
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_differs_confirms_nothing_and_one_of_a_minority_stops_the_node() {
    let world = World::start().await;
    world.answer(Ok(says(10, Verdict::Differs))).await;
    assert_eq!((world.old(), *world.diverged.borrow()), (None, None));
    world.pass(SECOND).await;
    world.answer(Ok(says(10, Verdict::Minority { index: 9 }))).await;
    assert_eq!((world.old(), *world.diverged.borrow()), (None, Some(Diverged { index: 9 })));
    assert_eq!(world.metrics.probes.differs.get(), 2);
    let violated = r#"exequatur_invariant_violations_total{id="I-C3"} 2"#;
    assert!(world.metrics.text().unwrap().contains(violated));
}
