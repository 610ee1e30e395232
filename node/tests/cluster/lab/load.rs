//! Revocations that driven nodes propose, and the record of those that were acknowledged: none of
//! them may ever be missing.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use exequatur_federation::{
    ledger::{Ledger, Lix, StatusTarget},
    region::RegionNumber,
    revocation::ListId,
};

use super::{lines::Lines, wait_for};

/// Tokens that one proposal of the load revokes.
const TOKENS: u32 = 4;
/// Between two proposals of a node: the machine also has to run the nodes.
const EVERY: Duration = Duration::from_millis(5);

/// Whom to ask for a proposal: the nodes that run now.
#[derive(Default)]
pub(crate) struct Switchboard(Mutex<Vec<Line>>);

struct Line {
    region: u16,
    lines: Option<Arc<Lines>>,
    /// The next index that was never proposed.
    next: u32,
}

/// What became of a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is agreed on, at this index.
    Decided(u64),
    /// The node says why not. It may still take effect if no quorum answered in time.
    Failed(String),
    /// The node is gone or says nothing.
    Unknown,
}

/// Revocations of tokens with successive indexes in one list.
#[derive(Clone, Copy, Debug)]
struct Revoked {
    owner: RegionNumber,
    list: ListId,
    first: u32,
}

/// Every revocation that was acknowledged.
#[derive(Default)]
pub(crate) struct Acknowledged(Mutex<Vec<Revoked>>);

impl Switchboard {
    /// One more node, which does not run yet.
    pub(crate) fn add(&self, region: u16) {
        self.0.lock().unwrap().push(Line { region, lines: None, next: 0 });
    }

    /// A node has started, or ended.
    pub(crate) fn connect(&self, node: usize, lines: Option<Arc<Lines>>) {
        self.0.lock().unwrap()[node].lines = lines;
    }

    /// Has a node propose something that nobody proposed before.
    pub(crate) fn revoke(&self, node: usize, acknowledged: &Acknowledged) -> Answer {
        let (lines, revoked) = {
            let mut all = self.0.lock().unwrap();
            let line = &mut all[node];
            let Some(lines) = line.lines.clone() else { return Answer::Unknown };
            let first = line.next;
            line.next += TOKENS;
            let owner = RegionNumber::new(line.region).unwrap();
            let list = ListId::new(u64::from(line.region) << 32 | node as u64);
            (lines, Revoked { owner, list, first })
        };
        let Revoked { list, first, .. } = revoked;
        let answer = lines.ask(&format!("revoke {:016x} {first} {TOKENS}", list.bits()));
        match answer.as_deref().map(|answer| answer.split_once(' ').unwrap_or((answer, ""))) {
            Some(("decided", index)) => {
                acknowledged.0.lock().unwrap().push(revoked);
                Answer::Decided(index.parse().unwrap())
            }
            Some(("failed", why)) => Answer::Failed(why.to_owned()),
            Some(other) => panic!("a driven node said {other:?}"),
            None => Answer::Unknown,
        }
    }
}

impl Acknowledged {
    /// How many proposals.
    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Waits until this many more are acknowledged than now.
    pub(crate) fn wait_for_more(&self, more: usize) {
        let enough = self.count() + more;
        wait_for("more acknowledged revocations", || (self.count() >= enough).then_some(()));
    }

    /// Fails the test if a ledger lacks one.
    pub(crate) fn require_all_in(&self, ledger: &Ledger, whose: &str) {
        // No token is as young as this one, so that only its own index covers it.
        let youngest = Lix { epoch: u32::MAX, index: u64::MAX };
        for Revoked { owner, list, first } in self.0.lock().unwrap().iter() {
            for index in *first..first + TOKENS {
                let token = StatusTarget { list: *list, index };
                let covered =
                    ledger.revocations(*owner).is_some_and(|owned| owned.covers(token, youngest));
                assert!(covered, "I-R1: {whose} lacks the acknowledged revocation {token:?}");
            }
        }
    }
}

/// Proposals at every node at once, one after the other, until this value is dropped.
pub(crate) struct Load {
    over: Arc<AtomicBool>,
    callers: Vec<JoinHandle<()>>,
}

impl Load {
    pub(crate) fn start(
        nodes: &[usize],
        switchboard: &Arc<Switchboard>,
        acknowledged: &Arc<Acknowledged>,
    ) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let callers = nodes.iter().map(|node| {
            let node = *node;
            let (over, switchboard, acknowledged) =
                (Arc::clone(&over), Arc::clone(switchboard), Arc::clone(acknowledged));
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    switchboard.revoke(node, &acknowledged);
                    std::thread::park_timeout(EVERY);
                }
            })
        });
        let callers = callers.collect();
        Self { over, callers }
    }

    /// Ends it, when everything that was asked is answered.
    pub(crate) fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for caller in self.callers.drain(..) {
            let ended = caller.join();
            assert!(ended.is_ok() || std::thread::panicking(), "a caller panicked");
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // A test that fails must not wait for callers of paused nodes.
        if std::thread::panicking() {
            self.over.store(true, Ordering::Relaxed);
        } else {
            self.end();
        }
    }
}

#[test]
fn a_revocation_that_is_missing_is_noticed() {
    let acknowledged = Acknowledged::default();
    let ledger = Ledger::new(exequatur_federation::ledger::Fixed([1; 32]));
    acknowledged.require_all_in(&ledger, "an empty ledger");
    let owner = RegionNumber::new(1).unwrap();
    acknowledged.0.lock().unwrap().push(Revoked { owner, list: ListId::new(7), first: 0 });
    let missing = std::panic::AssertUnwindSafe(|| acknowledged.require_all_in(&ledger, "it"));
    assert!(std::panic::catch_unwind(missing).is_err());
}
