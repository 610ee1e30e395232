//! The way of a revocation from a request to the federation: a durable row and a proposal at once.
//!
//! Whoever asks holds a [`Delivery`] until it is known what became of it. One that is dropped before,
//! since nobody waits any more, hands the rows to the [`OutboxSender`](super::OutboxSender), which
//! goes on until the federation has decided.

use std::{sync::Arc, time::Duration};

use exequatur_federation::{
    jose::base64url,
    ledger::{Mode, Objection, Proposal, Revoke, StatusTarget, Target},
    revocation::{Fate, Revocation, StatusReference},
    time::Ttl,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout_at},
};

use super::SharedView;
use crate::{
    consensus::{Answer, Consensus},
    entropy::{Entropy, EntropyError, draw},
    store::{Lease, OutboxKey, OutboxRow},
};

/// How long whoever asks is kept waiting for the federation.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// How long a row is its sender's alone: several looks of the others, and longer than a proposal
/// mostly takes.
pub(super) const LEASE: Ttl = Ttl::from_seconds(10);

/// How long after a row is saved every node of the region that reaches the database has marked it:
/// two looks at the outbox.
const MARKED_WITHIN: Duration = Duration::from_secs(1);

/// Word of what was sent, for the sender.
#[derive(Debug)]
pub(super) enum Notice {
    /// It was decided, at this entry.
    Decided(Vec<(OutboxKey, Revoke, u64, Fate)>),
    /// Nobody waits for it any more, and what became of it is unknown.
    Left(Vec<(OutboxKey, Revoke)>),
}

/// What revocations are handed to; cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    pub(super) consensus: Arc<Consensus>,
    pub(super) view: Arc<SharedView>,
    pub(super) notices: mpsc::Sender<Notice>,
    pub(super) entropy: Arc<dyn Entropy>,
    /// Whether other nodes of the region read the outbox.
    pub(super) shared: bool,
}

/// Revocations of one request, to be saved and sent.
#[derive(Clone, Debug)]
pub struct Draft {
    receipt: [u8; 16],
    rows: Vec<OutboxRow>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The federation holds all of it.
    Held,
    /// The federation refuses some of it; it holds in this region alone.
    Refused(Objection),
    /// It is unknown; it is sent until it is known.
    Unknown,
}

/// A request under way.
pub struct Delivery {
    outbox: Outbox,
    rows: Vec<(OutboxKey, Revoke)>,
    until: Instant,
    decided: Option<Vec<(OutboxKey, Revoke, u64, Fate)>>,
    /// Whether cut-offs of it are applied here.
    applied: bool,
}

impl Outbox {
    /// Revokes a token of this region.
    #[must_use]
    pub fn of_token(&self, revocation: Revocation) -> Revoke {
        let StatusReference { list, index } = revocation.status;
        Revoke {
            owner: self.consensus.own().region,
            target: Target::Status(StatusTarget { list, index }),
            mode: Mode::Cutoff,
            expires_at: revocation.expires,
        }
    }

    /// Makes rows of what one request revokes.
    ///
    /// # Errors
    /// See [`Entropy::fill`].
    pub fn draft(&self, revocations: Vec<Revoke>) -> Result<Draft, EntropyError> {
        let receipt = draw(self.entropy.as_ref())?;
        let holder = self.consensus.own().node.bits();
        let proposals = self.consensus.draft(revocations);
        let rows = (0..).zip(proposals).filter_map(|(position, proposal)| {
            let until = proposal.header.proposed_at.plus(LEASE);
            OutboxRow::new(OutboxKey { receipt, position }, proposal, Lease { holder, until })
        });
        Ok(Draft { receipt, rows: rows.collect() })
    }

    /// What the federation would object now, asked of this node's ledger.
    ///
    /// # Errors
    /// The first objection.
    pub fn check(&self, draft: &Draft) -> Result<(), Objection> {
        let view = self.consensus.view();
        draft.proposals().try_for_each(|proposal| view.ledger.check(proposal))
    }

    /// Begins to deliver.
    #[must_use]
    pub fn deliver(&self, draft: &Draft) -> Delivery {
        Delivery {
            outbox: self.clone(),
            rows: draft.rows.iter().map(|row| (row.key, row.revoke)).collect(),
            until: Instant::now() + ANSWER_MAX,
            decided: None,
            applied: false,
        }
    }

    /// Whether a row that is durable is in force on every node of the region, and not only here.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        self.shared
    }
}

impl Draft {
    /// The rows, to be saved with the request's record.
    #[must_use]
    pub fn rows(&self) -> Vec<OutboxRow> {
        self.rows.clone()
    }

    /// What whoever asked is given: random, and so without a hint at anything.
    #[must_use]
    pub fn receipt(&self) -> String {
        base64url(&self.receipt)
    }

    fn proposals(&self) -> impl Iterator<Item = &Proposal> {
        self.rows.iter().map(|row| &row.proposal)
    }
}

impl Delivery {
    /// Proposes the revocations and waits for the federation, for 2 s at most. What is agreed on is
    /// marked here whether or not it is applied here yet.
    pub async fn propose(&mut self) {
        let revocations = self.rows.iter().map(|(_, revoke)| *revoke).collect::<Vec<_>>();
        let proposed = self.outbox.consensus.revoke_many(revocations);
        match timeout_at(self.until, proposed).await {
            Ok(Ok(answers)) => {
                let applied = self.outbox.applied();
                let rows = self.rows.iter().zip(answers);
                let decided = rows.map(|((key, revoke), answer)| {
                    let (index, fate) = fate(&answer, applied);
                    (*key, *revoke, index, fate)
                });
                let decided: Vec<_> = decided.collect();
                self.outbox.view.hold(self.rows.iter().copied());
                if let Some(index) = last_cut(&decided) {
                    self.applied = self.is_applied(index).await;
                }
                self.decided = Some(decided);
            }
            Ok(Err(error)) => tracing::debug!(%error, "a revocation waits in the outbox"),
            Err(_late) => tracing::debug!("a revocation waits in the outbox: no answer in time"),
        }
    }

    /// Until a cut-off is applied here, nothing is issued to whom it may concern; whoever is told
    /// that it is done finds that over.
    async fn is_applied(&self, index: u64) -> bool {
        let mut applied = self.outbox.consensus.shared().applied();
        let there = applied.wait_for(|last| last.is_some_and(|last| last.index >= index));
        matches!(timeout_at(self.until, there).await, Ok(Ok(_)))
    }

    /// What became of it, once the rows were saved at `saved`.
    pub async fn end(mut self, saved: Instant) -> Sent {
        let sent = self.sent();
        if self.applied {
            self.outbox.view.release(self.rows.iter().map(|(key, _)| *key));
        }
        match self.decided.take() {
            Some(decided) if sent != Sent::Unknown => self.outbox.notify(Notice::Decided(decided)),
            _ => {
                self.leave();
                if self.outbox.shared {
                    sleep_until(saved + MARKED_WITHIN).await;
                }
            }
        }
        self.rows.clear();
        sent
    }

    /// The request could not be recorded: nothing more is sent. What the federation has taken
    /// meanwhile stays.
    pub fn abandon(mut self) {
        if let Some(decided) = self.decided.take() {
            self.outbox.notify(Notice::Decided(decided));
        }
        self.rows.clear();
    }

    fn sent(&self) -> Sent {
        let Some(decided) = &self.decided else { return Sent::Unknown };
        let mut sent = Sent::Held;
        for (.., fate) in decided {
            match fate {
                Fate::Held => {}
                Fate::Again(_) => return Sent::Unknown,
                Fate::Refused(objection) => sent = Sent::Refused(*objection),
            }
        }
        sent
    }

    fn leave(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        if !rows.is_empty() {
            self.outbox.notify(Notice::Left(rows));
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Outbox {
    /// A notice that is lost costs time and nothing else: the lease of its rows ends, and they are
    /// sent again.
    fn notify(&self, notice: Notice) {
        let _full = self.notices.try_send(notice).is_err();
    }

    /// Index of the last entry that this node has applied.
    pub(super) fn applied(&self) -> u64 {
        self.consensus.view().applied.map_or(0, |id| id.index)
    }
}

/// The last entry of what is more than single tokens, if all of it is held.
fn last_cut(decided: &[(OutboxKey, Revoke, u64, Fate)]) -> Option<u64> {
    let held = decided.iter().all(|(.., fate)| *fate == Fate::Held);
    let cuts = decided.iter().filter(|(_, revoke, ..)| !matches!(revoke.target, Target::Status(_)));
    cuts.map(|(.., index, _)| *index).max().filter(|_| held)
}

/// What an answer means, with the entry that it goes by.
pub(super) const fn fate(answer: &Answer, applied: u64) -> (u64, Fate) {
    match *answer {
        Answer::Decided { index, outcome } => (index, Fate::of_outcome(outcome)),
        Answer::Rejected(rejection) => (applied, Fate::of_rejection(rejection)),
    }
}
