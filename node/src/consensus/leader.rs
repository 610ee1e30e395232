//! Where a batch goes: to the leader, which may be this node. Here the rules of admission meet the
//! log; the rules themselves are `federation::ledger`.

use std::{sync::Arc, time::Duration};

use exequatur_federation::{
    ledger::{Batch, BatchBuilder, Bearer, Rejection, admit},
    membership::{Certified, NodeId},
};
use openraft::{
    async_runtime::WatchReceiver,
    errors::{ClientWriteError, RaftError},
};

use super::{
    Forwarded, Raft, RaftId, TypeConfig,
    admission::{Admission, ComeAgain},
    log_store::DiskSpace,
    network::{ForwardError, Forwarder},
    proposer::{Answer, Submit, SubmitError, Submitting},
    state_machine::SharedLedger,
};
use crate::{clock::Clock, peer::transport::PeerConnector};

/// When to come again if the disk is full: freeing space takes an operator.
const FULL_RETRY: Duration = Duration::from_secs(1);

/// The leader's side of a proposal.
pub(crate) struct Leader {
    raft: Raft,
    ledger: SharedLedger,
    admission: Admission,
    space: DiskSpace,
    clock: Arc<dyn Clock>,
}

/// Brings the batches of this node to the leader.
pub(crate) struct Router<C> {
    leader: Arc<Leader>,
    elsewhere: Forwarder<C>,
    own: Bearer,
    /// How long a leader elsewhere may take.
    patience: Duration,
}

impl Leader {
    pub(crate) fn new(
        raft: Raft,
        ledger: SharedLedger,
        space: DiskSpace,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { raft, ledger, admission: Admission::new(Arc::clone(&clock)), space, clock }
    }

    /// Whom this node takes for the leader.
    pub(crate) fn current(&self) -> Option<NodeId> {
        self.raft.server_metrics().borrow_watched().current_leader.map(|RaftId(node)| node)
    }

    /// Takes the proposals of a batch that `bearer` brings into the log, and waits until they are
    /// applied. What the rules refuse is answered at once and costs no entry.
    pub(crate) async fn take(
        &self,
        batch: &Batch,
        bearer: Bearer,
    ) -> Result<Vec<Answer>, SubmitError> {
        if !self.space.has_room() {
            // Before anything is written: a log that runs full would stop the node.
            return Err(SubmitError::Later(ComeAgain(FULL_RETRY)));
        }
        if self.ledger.load().ledger.id().is_none() {
            // A leader writes the genesis first; everything else waits for it, and is not refused.
            return Err(SubmitError::Again);
        }
        let size = (batch.len(), batch.sealed().len());
        let _room = self.admission.enter(bearer.region, size).map_err(SubmitError::Later)?;
        let (mut answers, taken) = self.judge(batch, bearer);
        if taken.is_empty() {
            return Ok(answers.into_iter().flatten().collect());
        }
        let written = self.raft.client_write(taken.finish()).await.map_err(|e| failure(&e))?;
        let index = written.log_id.index;
        let mut outcomes = written.data.0.into_iter();
        for slot in answers.iter_mut().filter(|slot| slot.is_none()) {
            *slot = outcomes.next().map(|outcome| Answer::Decided { index, outcome });
        }
        Ok(answers.into_iter().flatten().collect())
    }

    /// As [`Self::take`], for a batch from another node.
    pub(crate) async fn take_from(&self, from: Certified, batch: &Batch) -> Forwarded {
        let bearer = Bearer { region: from.region, node: from.node };
        match self.take(batch, bearer).await {
            Ok(answers) => Forwarded::Answered(answers),
            Err(SubmitError::Later(ComeAgain(retry_after))) => {
                Forwarded::Overloaded { retry_after }
            }
            Err(SubmitError::Again | SubmitError::Stopped) => {
                Forwarded::NotLeader { leader: self.current() }
            }
        }
    }

    /// Answers to what is refused, and a batch of the rest.
    fn judge(&self, batch: &Batch, bearer: Bearer) -> (Vec<Option<Answer>>, BatchBuilder) {
        let now = self.clock.now();
        let view = self.ledger.load();
        let mut taken = BatchBuilder::default();
        let mut answers = Vec::with_capacity(batch.len() as usize);
        for proposal in batch.proposals() {
            let judged = admit(&proposal, bearer, now)
                .and_then(|()| view.ledger.check(&proposal).map_err(Rejection::Objection));
            answers.push(match judged {
                Ok(()) => {
                    taken.push(&proposal);
                    None
                }
                Err(rejection) => Some(Answer::Rejected(rejection)),
            });
        }
        (answers, taken)
    }
}

/// What a failed write means for whoever brought the batch.
const fn failure(error: &RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> SubmitError {
    match error {
        RaftError::Fatal(_) => SubmitError::Stopped,
        // Not leading, or no more: the entry may yet be committed by the next leader.
        RaftError::APIError(_) => SubmitError::Again,
    }
}

impl<C> Router<C> {
    pub(crate) const fn new(
        leader: Arc<Leader>,
        elsewhere: Forwarder<C>,
        own: Bearer,
        patience: Duration,
    ) -> Self {
        Self { leader, elsewhere, own, patience }
    }
}

impl<C: PeerConnector> Submit for Router<C> {
    fn submit<'a>(&'a self, batch: &'a Batch) -> Submitting<'a> {
        match self.leader.current() {
            None => Box::pin(async { Err(SubmitError::Again) }),
            Some(node) if node == self.own.node => Box::pin(self.leader.take(batch, self.own)),
            Some(node) => Box::pin(async move {
                match self.elsewhere.propose(node, batch, self.patience).await {
                    Ok(Forwarded::Answered(answers)) => Ok(answers),
                    Ok(Forwarded::Overloaded { retry_after }) => {
                        Err(SubmitError::Later(ComeAgain(retry_after)))
                    }
                    Ok(Forwarded::NotLeader { .. }) => Err(SubmitError::Again),
                    Err(error @ (ForwardError::Unknown { .. } | ForwardError::Refused { .. })) => {
                        tracing::debug!(%error, "a batch has no answer yet");
                        Err(SubmitError::Again)
                    }
                }
            }),
        }
    }
}
