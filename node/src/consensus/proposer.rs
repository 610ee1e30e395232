//! Group commit of a node's callers: proposals that wait at the same time travel in one entry.
//!
//! The proposer knows neither leader nor log; it hands whole batches to a [`Submit`] and gives each
//! caller the answers to its own. A batch whose fate is unknown is handed over again until its
//! deadline: a revocation is idempotent by content and everything else by its serial.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use exequatur_federation::ledger::{Batch, BatchBuilder, Outcome, Proposal, Rejection};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};

use super::admission::ComeAgain;
use crate::identity::IdentitySignError;

/// Calls that may wait: beyond it callers are told to come again at once.
const CALLS_WAITING_MAX: usize = 4_096;
/// Proposals of one call: what fits the queue of a leader's region twice.
pub const PROPOSALS_PER_CALL_MAX: usize = 8_192;
/// Proposals that are taken from the queue before they fill entries, so that a full queue is cut
/// into full entries and memory stays bounded.
const PROPOSALS_PENDING_MAX: usize = 2 * PROPOSALS_PER_CALL_MAX;
/// Entries of this node on their way: enough to keep the disk busy while answers travel, few enough
/// that what waits meanwhile fills the next one.
const ENTRIES_UNDER_WAY_MAX: usize = 8;
/// Pause before a batch is handed over again: a fraction of an election.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// What a leader answered to one proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is committed and was applied.
    Decided {
        /// Index of its entry.
        index: u64,
        /// What came of it.
        outcome: Outcome,
    },
    /// It was not taken into the log.
    Rejected(Rejection),
}

/// Why a batch has no answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SubmitError {
    /// There is no leader, or it was not reached, or it gave up leading: its fate is unknown.
    Again,
    /// The leader has no room for it now.
    Later(ComeAgain),
    /// Consensus has stopped on this node.
    Stopped,
}

/// The answers to a batch, still to come.
pub(crate) type Submitting<'a> =
    Pin<Box<dyn Future<Output = Result<Vec<Answer>, SubmitError>> + Send + 'a>>;

/// Brings a batch to the leader, here or elsewhere.
pub(crate) trait Submit: Send + Sync {
    /// One answer for each proposal, in their order.
    fn submit<'a>(&'a self, batch: &'a Batch) -> Submitting<'a>;
}

/// Why proposals have no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// More is waiting than may wait, here or at the leader.
    #[error("too many proposals are waiting: come again in {} ms", .0.as_millis())]
    Overloaded(Duration),
    /// No leader answered in time. The proposal may still take effect.
    #[error("no quorum of the federation answered in time; the proposal may still take effect")]
    NoQuorum,
    /// One proposal is larger than an entry, or one call holds too many.
    #[error("the proposal is too large")]
    TooLarge,
    /// The region's identity key does not sign.
    #[error(transparent)]
    Signing(#[from] IdentitySignError),
    /// Consensus has stopped on this node.
    #[error("consensus has stopped on this node")]
    Stopped,
}

/// Hands proposals over; cheap to clone.
#[derive(Clone)]
pub(crate) struct Proposer {
    queue: mpsc::Sender<Call>,
}

struct Call {
    proposals: Vec<Proposal>,
    reply: oneshot::Sender<Result<Vec<Answer>, ProposeError>>,
}

impl Proposer {
    /// A proposer and the task that drives it, which ends when the last clone is gone.
    pub(crate) fn new(
        submit: Arc<dyn Submit>,
        patience: Duration,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (queue, calls) = mpsc::channel(CALLS_WAITING_MAX);
        (Self { queue }, run(calls, submit, patience))
    }

    /// The answers to `proposals`, one for each.
    pub(crate) async fn propose(
        &self,
        proposals: Vec<Proposal>,
    ) -> Result<Vec<Answer>, ProposeError> {
        if proposals.is_empty() {
            return Ok(Vec::new());
        }
        if proposals.len() > PROPOSALS_PER_CALL_MAX {
            return Err(ProposeError::TooLarge);
        }
        let (reply, answers) = oneshot::channel();
        self.queue.try_send(Call { proposals, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ProposeError::Overloaded(RETRY_PAUSE),
            mpsc::error::TrySendError::Closed(_) => ProposeError::Stopped,
        })?;
        answers.await.map_err(|_| ProposeError::Stopped)?
    }
}

/// A call whose proposals are on their way, perhaps in several entries.
struct Open {
    state: Mutex<OpenState>,
    deadline: Instant,
}

struct OpenState {
    answers: Vec<Option<Answer>>,
    missing: usize,
    reply: Option<oneshot::Sender<Result<Vec<Answer>, ProposeError>>>,
}

/// One proposal and whose it is.
struct Pending {
    proposal: Proposal,
    place: Place,
}

struct Place {
    call: Arc<Open>,
    position: usize,
}

async fn run(mut calls: mpsc::Receiver<Call>, submit: Arc<dyn Submit>, patience: Duration) {
    let mut pending: VecDeque<Pending> = VecDeque::new();
    let mut under_way = JoinSet::new();
    let mut closed = false;
    loop {
        let room = pending.len() < PROPOSALS_PENDING_MAX;
        tokio::select! {
            biased;
            Some(_) = under_way.join_next() => {}
            call = calls.recv(), if room && !closed => match call {
                Some(call) => open(call, &mut pending, patience),
                None => closed = true,
            },
            else => {}
        }
        while pending.len() < PROPOSALS_PENDING_MAX {
            let Ok(call) = calls.try_recv() else { break };
            open(call, &mut pending, patience);
        }
        while under_way.len() < ENTRIES_UNDER_WAY_MAX && !pending.is_empty() {
            let (batch, places) = fill(&mut pending);
            if !batch.is_empty() {
                under_way.spawn(deliver(Arc::clone(&submit), batch, places));
            }
        }
        if closed && pending.is_empty() && under_way.is_empty() {
            return;
        }
    }
}

fn open(call: Call, pending: &mut VecDeque<Pending>, patience: Duration) {
    let count = call.proposals.len();
    let state = OpenState { answers: vec![None; count], missing: count, reply: Some(call.reply) };
    let open = Arc::new(Open { state: Mutex::new(state), deadline: Instant::now() + patience });
    for (position, proposal) in call.proposals.into_iter().enumerate() {
        pending.push_back(Pending { proposal, place: Place { call: Arc::clone(&open), position } });
    }
}

/// As many proposals as one entry takes.
fn fill(pending: &mut VecDeque<Pending>) -> (Batch, Vec<Place>) {
    let mut builder = BatchBuilder::default();
    let mut places = Vec::new();
    while let Some(next) = pending.pop_front() {
        if builder.push(&next.proposal) {
            places.push(next.place);
        } else if builder.is_empty() {
            next.place.call.fail(ProposeError::TooLarge);
        } else {
            pending.push_front(next);
            break;
        }
    }
    (builder.finish(), places)
}

/// Hands a batch over until it is answered or everybody who waits for it has given up.
async fn deliver(submit: Arc<dyn Submit>, batch: Batch, places: Vec<Place>) {
    let latest = places.iter().map(|place| place.call.deadline).max();
    let Some(deadline) = latest else { return };
    let failure = loop {
        match timeout_at(deadline, submit.submit(&batch)).await {
            Ok(Ok(answers)) if answers.len() == places.len() => {
                for (place, answer) in places.iter().zip(answers) {
                    place.call.answer(place.position, answer);
                }
                return;
            }
            Ok(Err(SubmitError::Stopped)) => break ProposeError::Stopped,
            Ok(Err(SubmitError::Later(ComeAgain(wait)))) => {
                if Instant::now() + wait >= deadline {
                    break ProposeError::Overloaded(wait);
                }
                sleep(wait).await;
            }
            // A leader that answers with another number of answers is none that can be understood.
            Ok(Ok(_) | Err(SubmitError::Again)) => {
                if Instant::now() + RETRY_PAUSE >= deadline {
                    break ProposeError::NoQuorum;
                }
                sleep(RETRY_PAUSE).await;
            }
            Err(_) => break ProposeError::NoQuorum,
        }
    };
    for place in &places {
        place.call.fail(failure);
    }
}

impl Open {
    fn answer(&self, position: usize, answer: Answer) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot @ None) = state.answers.get_mut(position) {
            *slot = Some(answer);
            state.missing -= 1;
        }
        if state.missing == 0
            && let Some(reply) = state.reply.take()
        {
            let answers = std::mem::take(&mut state.answers).into_iter().flatten().collect();
            // A caller that has gone away does not want to know.
            let _gone = reply.send(Ok(answers)).is_err();
        }
    }

    fn fail(&self, error: ProposeError) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reply) = state.reply.take() {
            // A caller that has gone away does not want to know.
            let _gone = reply.send(Err(error)).is_err();
        }
    }
}

#[cfg(test)]
#[path = "proposer_test.rs"]
mod tests;
