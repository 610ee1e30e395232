//! Group commit: what has queued up while one transaction ran is saved by the next, so that many
//! callers share one sync of the disk.
//!
//! The writer alone holds the tree's right edge. After any failure it reads the edge again before
//! it writes, as the outcome of the failed transaction may be unknown. While the database fails,
//! callers are refused at once and an empty transaction finds out when it works again. A disk that
//! failed to keep data ends the writer: going on could confirm what is lost.

use std::{sync::Arc, time::Duration};

use exequatur_federation::audit::{Frontier, Salts, seal};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

use super::log::{AuditItem, AuditLog, Head, Job, RecordError, Saved, State, Trouble, WAIT_MAX};
use super::{OutboxRow, Revocation};
use crate::{
    clock::Clock,
    entropy::Entropy,
    store::{Append, AppendOutcome, Appended, Store, StoreError},
    telemetry::metrics::AuditMeters,
};

/// Most records in one transaction: a larger one would hold the first caller up for the last.
pub const BATCH_MAX: usize = 256;

/// Records that may wait: four full transactions. More could not be saved within the deadline on
/// a disk that syncs in 100 ms.
pub const QUEUE_MAX: usize = 1_024;

/// How often a failing database is tried.
const PROBE_INTERVAL: Duration = Duration::from_millis(250);

/// Bytes of salt for one record.
const SALT_BYTES: usize = 64;

/// Saves what handles send. The supervisor runs it; dropping it stops the log.
pub struct AuditWriter {
    store: Arc<dyn Store>,
    entropy: Arc<dyn Entropy>,
    queue: mpsc::Receiver<Job>,
    state: watch::Sender<State>,
    frontier: Frontier,
    meters: Option<(AuditMeters, Arc<dyn Clock>)>,
    on_revoked: Option<OnRevoked>,
}

/// Who is told of revocations that are durable, or may be: those of one transaction at a time.
pub type OnRevoked = Box<dyn Fn(Vec<Revoked>) + Send + Sync>;

/// What one record revokes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revoked {
    /// In a region alone.
    pub tokens: Vec<Revocation>,
    /// In a federation.
    pub outbox: Vec<OutboxRow>,
}

/// The writer ended although the node goes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit writer cannot go on: {0}")]
pub struct WriterStopped(StoreError);

type Answer = oneshot::Sender<Result<Saved, RecordError>>;

/// Reads the log's right edge and prepares to go on from it.
///
/// # Errors
/// The database does not answer or is damaged.
pub async fn open_log(
    store: Arc<dyn Store>,
    entropy: Arc<dyn Entropy>,
) -> Result<(AuditLog, AuditWriter), StoreError> {
    let frontier = store.audit_tail().await?;
    let (sender, queue) = mpsc::channel(QUEUE_MAX);
    let (state, watched) = watch::channel(State { head: Head::from(&frontier), trouble: None });
    let writer =
        AuditWriter { store, entropy, queue, state, frontier, meters: None, on_revoked: None };
    Ok((AuditLog::new(sender, watched), writer))
}

impl AuditWriter {
    /// The same writer, which also counts what it saves.
    #[must_use]
    pub fn metered(self, meters: AuditMeters, clock: Arc<dyn Clock>) -> Self {
        Self { meters: Some((meters, clock)), ..self }
    }

    /// The same writer, which also tells of each revocation as soon as it is durable, and of one
    /// whose outcome is unknown: whoever asked for it may be gone by then.
    #[must_use]
    pub fn telling(self, on_revoked: OnRevoked) -> Self {
        Self { on_revoked: Some(on_revoked), ..self }
    }

    /// Saves records until all handles are gone.
    ///
    /// # Errors
    /// The disk failed to keep what was written: the process must end (never sync again and carry
    /// on).
    pub async fn run(mut self) -> Result<(), WriterStopped> {
        let mut jobs = Vec::with_capacity(BATCH_MAX);
        loop {
            if self.queue.recv_many(&mut jobs, BATCH_MAX).await == 0 {
                return Ok(());
            }
            self.gather(&mut jobs).await;
            if let Err(trouble) = self.save(&mut jobs).await {
                self.state.send_modify(|state| state.trouble = Some(trouble));
                self.recover().await?;
            }
        }
    }

    /// Lets requests that are ready to run reach the queue, as long as that brings new ones: on a
    /// fast disk a transaction would otherwise hold one or two records and cost each of them a
    /// sync. With nothing else to run it returns at once.
    async fn gather(&mut self, jobs: &mut Vec<Job>) {
        loop {
            let before = jobs.len();
            tokio::task::yield_now().await;
            while jobs.len() < BATCH_MAX {
                match self.queue.try_recv() {
                    Ok(job) => jobs.push(job),
                    Err(_) => break,
                }
            }
            if jobs.len() == before {
                return;
            }
        }
    }

    /// Saves all jobs in one transaction and answers each; the list is empty afterwards.
    async fn save(&mut self, jobs: &mut Vec<Job>) -> Result<(), Trouble> {
        let (items, answers): (Vec<AuditItem>, Vec<Answer>) =
            jobs.drain(..).map(|job| (job.item, job.answer)).unzip();
        let started = self.meters.as_ref().map(|(_, clock)| clock.monotonic());
        let revoked: Vec<Revoked> = items.iter().map(Revoked::of).collect();
        match self.append(items).await {
            Ok(appended) => {
                self.measure(started, &appended.outcomes);
                let saved = revoked.into_iter().zip(&appended.outcomes);
                let saved = saved.filter(|(_, o)| matches!(o, AppendOutcome::Saved { .. }));
                self.tell(saved.map(|(revoked, _)| revoked));
                self.advance(appended.frontier);
                for (answer, outcome) in answers.into_iter().zip(appended.outcomes) {
                    reply(
                        answer,
                        match outcome {
                            AppendOutcome::Saved { seq } => Ok(Saved { seq }),
                            AppendOutcome::Replayed => Err(RecordError::Replayed),
                        },
                    );
                }
                Ok(())
            }
            Err(trouble) => {
                if !saved_nothing(&trouble) {
                    self.tell(revoked);
                }
                for answer in answers {
                    reply(answer, Err(RecordError::from(&trouble)));
                }
                Err(trouble)
            }
        }
    }

    fn tell(&self, revoked: impl IntoIterator<Item = Revoked>) {
        if let Some(on_revoked) = &self.on_revoked {
            let all: Vec<Revoked> = revoked.into_iter().filter(|r| !r.is_empty()).collect();
            if !all.is_empty() {
                on_revoked(all);
            }
        }
    }

    fn measure(&self, started: Option<Duration>, outcomes: &[AppendOutcome]) {
        let (Some((meters, clock)), Some(started)) = (&self.meters, started) else { return };
        let saved = |outcome: &&AppendOutcome| matches!(outcome, AppendOutcome::Saved { .. });
        let records = u32::try_from(outcomes.iter().filter(saved).count()).unwrap_or(u32::MAX);
        meters.records.inc_by(records.into());
        meters.batch_records.observe(records.into());
        meters.fsync_seconds.observe(clock.monotonic().saturating_sub(started).as_secs_f64());
    }

    async fn append(&self, items: Vec<AuditItem>) -> Result<Appended, Trouble> {
        let batch = self.seal(items)?;
        let saving = self.store.append(&self.frontier, batch);
        Ok(timeout(WAIT_MAX, saving).await.map_err(|_| Trouble::Deadline)??)
    }

    fn seal(&self, items: Vec<AuditItem>) -> Result<Vec<Append>, Trouble> {
        let mut random = vec![0; items.len() * SALT_BYTES];
        self.entropy.fill(&mut random)?;
        let (drawn, _) = random.as_chunks::<32>();
        let (pairs, _) = drawn.as_chunks::<2>();
        let sealed = items.into_iter().zip(pairs).map(|(item, [record, personal])| Append {
            record: seal(
                item.record,
                item.personal,
                &Salts { record: *record, personal: *personal },
            ),
            recorded_at: item.recorded_at,
            replays: item.replays,
            revocations: item.revocations,
            outbox: item.outbox,
        });
        Ok(sealed.collect())
    }

    /// Returns when records can be saved again, or all handles are gone.
    async fn recover(&mut self) -> Result<(), WriterStopped> {
        loop {
            let trouble = self.state.borrow().trouble.clone();
            match trouble {
                None => return Ok(()),
                Some(Trouble::Store(error @ StoreError::NotDurable { .. })) => {
                    return Err(WriterStopped(error));
                }
                Some(Trouble::Store(StoreError::Fenced)) => {
                    // The other process is the log's writer from now on.
                    while self.refuse_one().await {}
                    return Ok(());
                }
                Some(_) => {}
            }
            if !self.refuse_for(PROBE_INTERVAL).await {
                return Ok(());
            }
            let trouble = self.probe().await.err();
            self.state.send_modify(|state| state.trouble = trouble);
        }
    }

    /// Reads the edge and saves an empty batch, which proves that saving works.
    async fn probe(&mut self) -> Result<(), Trouble> {
        let store = Arc::clone(&self.store);
        let probing = async {
            let frontier = store.audit_tail().await?;
            store.append(&frontier, Vec::new()).await
        };
        let appended = timeout(WAIT_MAX, probing).await.map_err(|_| Trouble::Deadline)??;
        self.advance(appended.frontier);
        Ok(())
    }

    fn advance(&mut self, frontier: Frontier) {
        self.frontier = frontier;
        let head = Head::from(&self.frontier);
        self.state.send_modify(|state| state.head = head);
    }

    /// Refuses what arrives for a while; `false` when all handles are gone.
    async fn refuse_for(&mut self, while_: Duration) -> bool {
        let refusing = async { while self.refuse_one().await {} };
        timeout(while_, refusing).await.is_err()
    }

    async fn refuse_one(&mut self) -> bool {
        let Some(job) = self.queue.recv().await else { return false };
        let error = self.state.borrow().trouble.as_ref().map(RecordError::from);
        reply(job.answer, Err(error.unwrap_or(RecordError::Unavailable)));
        true
    }
}

impl Revoked {
    fn of(item: &AuditItem) -> Self {
        Self { tokens: item.revocations.clone(), outbox: item.outbox.clone() }
    }

    fn is_empty(&self) -> bool {
        self.tokens.is_empty() && self.outbox.is_empty()
    }
}

/// Whether a failed transaction is known to have left nothing behind.
const fn saved_nothing(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::Store(StoreError::Full | StoreError::Fenced | StoreError::Behind)
        | Trouble::Entropy(_) => true,
        Trouble::Store(
            StoreError::Unavailable { .. }
            | StoreError::NotDurable { .. }
            | StoreError::Damaged { .. }
            | StoreError::Refused { .. },
        )
        | Trouble::Deadline
        | Trouble::Stopped => false,
    }
}

/// A caller that has gone needs no answer.
fn reply(answer: Answer, outcome: Result<Saved, RecordError>) {
    drop(answer.send(outcome));
}
