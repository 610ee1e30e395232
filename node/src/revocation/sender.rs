//! Sends what the outbox still holds until the federation has decided, takes over the rows of nodes
//! that are gone, and drops marks once the ledger says the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use exequatur_federation::{
    ledger::{Lix, Revoke},
    revocation::Fate,
};
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::{
    Outbox, SharedView,
    outbox::{LEASE, Notice, fate},
};
use crate::{
    clock::Clock,
    consensus::{Answer, Consensus, ProposeError},
    entropy::Entropy,
    store::{
        Claim, Lease, OUTBOX_PAGE, OutboxKey, OutboxState, Outstanding, Store, StoreError,
        StoredRow,
    },
    telemetry::health::Condition,
};

/// Notices that may wait: as many requests as the audit log lets wait, four times.
const NOTICES_MAX: usize = 4_096;
/// Between two writes of what was decided: so many revocations share one sync of the disk.
const SETTLE_EVERY: Duration = Duration::from_millis(100);
/// Between two looks at the outbox.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Rows that are sent at once: one full entry takes a few hundred.
const SEND_MAX: usize = 1_024;
/// Decisions that may wait to be written while the database fails. Of what is beyond, the rows stay
/// pending, and are sent and answered once more.
const UNSETTLED_MAX: usize = 65_536;

/// What the outbox works with.
pub struct OutboxParts {
    /// To propose, and to see what is applied.
    pub consensus: Arc<Consensus>,
    /// What is marked.
    pub view: Arc<SharedView>,
    /// Where the rows are.
    pub store: Arc<dyn Store>,
    /// The time of leases.
    pub clock: Arc<dyn Clock>,
    /// Where receipts are drawn from.
    pub entropy: Arc<dyn Entropy>,
    /// How many rows wait for the federation.
    pub pending: Gauge,
    /// How many rows the federation refused.
    pub rejected: Counter,
}

/// Sends what is left. The supervisor runs it.
pub struct OutboxSender {
    outbox: Outbox,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    notices: mpsc::Receiver<Notice>,
    pending: Gauge,
    rejected: Counter,
    /// Rows that this node sends.
    mine: BTreeMap<OutboxKey, Revoke>,
    /// What was decided and is not written yet.
    unsettled: Vec<(OutboxKey, OutboxState)>,
    /// Rows whose marks go once this entry is applied here.
    awaited: BTreeSet<(u64, OutboxKey)>,
    /// Rows that this node had before it was started are taken once.
    resumed: bool,
}

type Answers = (Vec<(OutboxKey, Revoke)>, Result<Vec<Answer>, ProposeError>);

impl OutboxSender {
    /// The handle for requests, and what is to be run. What the store holds is marked before.
    ///
    /// # Errors
    /// The database does not answer or is damaged.
    pub async fn open(parts: OutboxParts) -> Result<(Outbox, Self), StoreError> {
        let OutboxParts { consensus, view, store, clock, entropy, pending, rejected } = parts;
        let (sender, notices) = mpsc::channel(NOTICES_MAX);
        let shared = store.is_shared();
        let outbox = Outbox { consensus, view, notices: sender, entropy, shared };
        let mut opened = Self {
            outbox: outbox.clone(),
            store,
            clock,
            notices,
            pending,
            rejected,
            mine: BTreeMap::new(),
            unsettled: Vec::new(),
            awaited: BTreeSet::new(),
            resumed: false,
        };
        let applied = outbox.applied();
        for row in opened.read(Some(applied)).await? {
            opened.take_up(row);
        }
        Ok((outbox, opened))
    }

    /// Sends for ever. Tells `condition` how many revocations wait.
    pub async fn run(mut self, condition: Condition) {
        let ticking = |every| {
            let mut ticks = interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        let (mut settle, mut look) = (ticking(SETTLE_EVERY), ticking(LOOK_EVERY));
        let mut applied = self.outbox.consensus.shared().applied();
        let mut sending: JoinSet<Answers> = JoinSet::new();
        loop {
            tokio::select! {
                Some(notice) = self.notices.recv() => self.note(notice),
                Some(Ok((rows, answers))) = sending.join_next() => self.answered(rows, answers),
                Ok(()) = applied.changed() => self.release(),
                _ = settle.tick() => {
                    self.settle().await;
                    self.release();
                }
                _ = look.tick() => {
                    self.look().await;
                    self.report(&condition);
                }
            }
            if sending.is_empty() {
                self.send(&mut sending);
            }
        }
    }

    fn note(&mut self, notice: Notice) {
        match notice {
            Notice::Decided(decided) => {
                for (key, revoke, index, fate) in decided {
                    self.decided((key, revoke), index, fate);
                }
            }
            Notice::Left(rows) => self.mine.extend(rows),
        }
    }

    fn decided(&mut self, (key, revoke): (OutboxKey, Revoke), index: u64, fate: Fate) {
        let state = match fate {
            Fate::Held => {
                self.awaited.insert((index, key));
                OutboxState::Committed { index }
            }
            Fate::Again(rejection) => {
                tracing::warn!(%rejection, "a revocation waits: the federation does not take it");
                self.mine.insert(key, revoke);
                return;
            }
            Fate::Refused(objection) => {
                tracing::error!(%objection,
                    "the federation refused a revocation, which holds in this region alone until \
                     it expires: see to it that the region may revoke, and revoke again");
                self.rejected.inc();
                self.refuse(key, index);
                OutboxState::Rejected { index }
            }
        };
        self.mine.remove(&key);
        if self.unsettled.len() < UNSETTLED_MAX {
            self.unsettled.push((key, state));
        }
    }

    /// What was issued up to now stays covered.
    fn refuse(&self, key: OutboxKey, index: u64) {
        let epoch = self.outbox.consensus.ledger().id().map_or(0, |id| id.epoch);
        self.outbox.view.refuse(key, Lix { epoch, index: index.saturating_add(1) });
    }

    fn answered(
        &mut self,
        rows: Vec<(OutboxKey, Revoke)>,
        answers: Result<Vec<Answer>, ProposeError>,
    ) {
        match answers {
            Ok(answers) => {
                let applied = self.outbox.applied();
                for (row, answer) in rows.into_iter().zip(answers) {
                    let (index, fate) = fate(&answer, applied);
                    self.decided(row, index, fate);
                }
            }
            Err(error) => tracing::debug!(%error, "revocations stay in the outbox"),
        }
    }

    /// Sends what is this node's, as long as somebody leads.
    fn send(&self, sending: &mut JoinSet<Answers>) {
        let consensus = &self.outbox.consensus;
        if self.mine.is_empty() || consensus.is_draining() || consensus.present_leader().is_none() {
            return;
        }
        let consensus = Arc::clone(consensus);
        let rows: Vec<(OutboxKey, Revoke)> =
            self.mine.iter().take(SEND_MAX).map(|(key, revoke)| (*key, *revoke)).collect();
        sending.spawn(async move {
            let revocations = rows.iter().map(|(_, revoke)| *revoke).collect::<Vec<_>>();
            let answers = consensus.revoke_many(revocations).await;
            (rows, answers)
        });
    }

    async fn settle(&mut self) {
        if self.unsettled.is_empty() {
            return;
        }
        match self.store.settle_outbox(self.unsettled.clone()).await {
            Ok(()) => self.unsettled.clear(),
            Err(error) => tracing::debug!(%error, "what was decided is not written yet"),
        }
    }

    /// Drops the marks of what is applied here.
    fn release(&mut self) {
        let applied = self.outbox.applied();
        let mut done = Vec::new();
        while let Some((index, key)) = self.awaited.first().copied()
            && index <= applied
        {
            self.awaited.pop_first();
            done.push(key);
        }
        if !done.is_empty() {
            self.outbox.view.release(done);
        }
    }

    async fn look(&mut self) {
        if let Err(error) = self.claim().await {
            tracing::debug!(%error, "the outbox was not read");
            return;
        }
        if self.outbox.shared
            && let Err(error) = self.follow().await
        {
            tracing::debug!(%error, "the outbox was not read");
        }
    }

    /// Takes rows over whose sender is gone, or was this node before it was started. Of a lease that
    /// ends while its node still tries, a row is sent twice, which does no harm.
    async fn claim(&mut self) -> Result<(), StoreError> {
        let (now, holder) = (self.clock.now(), self.outbox.consensus.own().node.bits());
        let lease = Lease { holder, until: now.plus(LEASE) };
        let claim = Claim { lease, now, own: !self.resumed, limit: OUTBOX_PAGE };
        let claimed = self.store.claim_outbox(claim).await?;
        self.resumed |= claimed.len() < OUTBOX_PAGE as usize;
        self.outbox.view.hold(claimed.iter().map(|row| (row.key, row.revoke)));
        self.mine.extend(claimed.into_iter().map(|row| (row.key, row.revoke)));
        self.mine.retain(|_, revoke| revoke.expires_at >= now);
        Ok(())
    }

    /// Marks what other nodes of the region were asked for, and drops the marks of what was decided.
    async fn follow(&mut self) -> Result<(), StoreError> {
        let before = self.outbox.view.waiting();
        let rows = self.read(None).await?;
        let open: BTreeSet<OutboxKey> = rows.iter().map(|row| row.key).collect();
        for row in rows {
            self.take_up(row);
        }
        let gone: Vec<OutboxKey> = before.into_iter().filter(|key| !open.contains(key)).collect();
        for row in self.store.outbox_rows(gone).await? {
            self.take_up(row);
        }
        Ok(())
    }

    /// Marks a row as far as it is.
    fn take_up(&mut self, StoredRow { key, revoke, state }: StoredRow) {
        match state {
            OutboxState::Pending => self.outbox.view.hold([(key, revoke)]),
            OutboxState::Committed { index } => {
                self.outbox.view.hold([(key, revoke)]);
                self.awaited.insert((index, key));
            }
            OutboxState::Rejected { index } => {
                self.outbox.view.hold([(key, revoke)]);
                self.refuse(key, index);
            }
        }
    }

    /// Every row that is not long done.
    async fn read(&self, beyond: Option<u64>) -> Result<Vec<StoredRow>, StoreError> {
        let mut which = Outstanding { after: None, beyond, now: self.clock.now() };
        let mut rows = Vec::new();
        loop {
            let page = self.store.outbox(which).await?;
            let Some(last) = page.last() else { return Ok(rows) };
            which.after = Some(last.key);
            rows.extend(page);
        }
    }

    fn report(&self, condition: &Condition) {
        let waiting = self.mine.len();
        self.pending.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        if waiting == 0 {
            condition.ready();
        } else {
            condition
                .degraded(format!("{waiting} revocations hold here and wait for the federation"));
        }
    }
}
