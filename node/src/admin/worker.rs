//! Carries actions out, one at a time: recorded before it takes effect, then done, then its outcome
//! recorded. An operator who goes away does not stop what was begun.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use exequatur_federation::{
    audit::{AuditRecord, Event},
    membership::Invite,
    operator::Operator,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{
    RequestId,
    action::Order,
    cause::{Cause, Unmet},
};
use crate::{
    audit::{AuditItem, AuditLog},
    clock::Clock,
    consensus::control::Cluster,
};

/// Actions that may wait: operators are few, and each waits for those before.
pub(super) const QUEUE_MAX: usize = 16;

/// How long one action may take: a change of voters is two commits across the slowest link.
const ACTION_MAX: Duration = Duration::from_secs(30);

/// Requests that are remembered once they are done: an operator repeats the last one, not the
/// hundredth last.
const REMEMBERED_MAX: usize = 128;

/// An action and who waits for it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) operator: Operator,
    pub(super) id: RequestId,
    pub(super) order: Order,
    pub(super) answer: oneshot::Sender<Result<Carried, Unmet>>,
}

/// An action that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Carried {
    pub(super) invite: Option<Invite>,
    pub(super) repeated: bool,
}

/// Carries actions out. The supervisor runs it; dropping it stops whatever is under way.
pub struct AdminWorker {
    cluster: Arc<dyn Cluster>,
    audit: AuditLog,
    clock: Arc<dyn Clock>,
    queue: mpsc::Receiver<Job>,
    remembered: VecDeque<Remembered>,
}

/// A request that was carried out.
struct Remembered {
    operator: String,
    id: RequestId,
    order: Order,
    invite: Option<Invite>,
}

impl AdminWorker {
    pub(super) fn new(
        cluster: Arc<dyn Cluster>,
        audit: AuditLog,
        clock: Arc<dyn Clock>,
    ) -> (mpsc::Sender<Job>, Self) {
        let (sender, queue) = mpsc::channel(QUEUE_MAX);
        (sender, Self { cluster, audit, clock, queue, remembered: VecDeque::new() })
    }

    /// Carries actions out until every [`AdminService`](super::AdminService) is gone.
    pub async fn run(mut self) {
        while let Some(Job { operator, id, order, answer }) = self.queue.recv().await {
            // Nobody waits any more, and nothing was begun: an action that its operator gave up
            // must not come as a surprise later.
            if answer.is_closed() {
                continue;
            }
            let outcome = self.serve(&operator, id, order).await;
            // Whoever asked may be gone; what was done is recorded.
            let _unheard = answer.send(outcome).is_err();
        }
    }

    async fn serve(
        &mut self,
        operator: &Operator,
        id: RequestId,
        order: Order,
    ) -> Result<Carried, Unmet> {
        let known = self.remembered.iter().find(|r| r.id == id && r.operator == operator.name());
        if let Some(known) = known {
            if known.order != order {
                let text = "the request id was used for another request: draw a new one";
                return Err(Unmet::new(Cause::RequestIdReused, text));
            }
            return Ok(Carried { invite: known.invite.clone(), repeated: true });
        }
        self.record_acting(operator, id, order).await?;
        let outcome = match timeout(ACTION_MAX, order.carry_out(self.cluster.as_ref())).await {
            Ok(outcome) => outcome.map_err(Unmet::from),
            Err(_late) => Err(Unmet::new(Cause::Deadline, late())),
        };
        self.record_acted(operator, id, order, &outcome).await;
        let invite = outcome?;
        if self.remembered.len() == REMEMBERED_MAX {
            self.remembered.pop_front();
        }
        self.remembered.push_back(Remembered {
            operator: operator.name().to_owned(),
            id,
            order,
            invite: invite.clone(),
        });
        Ok(Carried { invite, repeated: false })
    }

    async fn record_acting(
        &self,
        operator: &Operator,
        id: RequestId,
        order: Order,
    ) -> Result<(), Unmet> {
        let event = Event::OperatorActing {
            operator: operator.name().to_owned(),
            action: order.action(),
            target: order.target().map(|node| node.to_string()),
            replaced: order.replaced().map(|node| node.to_string()),
            accepts_reduced_survival: order.accepts_reduced_survival(),
        };
        record(&self.audit, self.clock.as_ref(), Some(id), event).await
    }

    /// The action has had its effect: a failure to record that is told to whoever reads the log of
    /// the process, and the record of its beginning stays.
    async fn record_acted(
        &self,
        operator: &Operator,
        id: RequestId,
        order: Order,
        outcome: &Result<Option<Invite>, Unmet>,
    ) {
        let outcome = outcome.as_ref().map_or_else(|unmet| unmet.cause.as_str(), |_| "done");
        let action = order.action();
        let event = Event::OperatorActed {
            operator: operator.name().to_owned(),
            action,
            target: order.target().map(|node| node.to_string()),
            replaced: order.replaced().map(|node| node.to_string()),
            outcome,
        };
        if record(&self.audit, self.clock.as_ref(), Some(id), event).await.is_err() {
            tracing::error!(%action, request_id = %id, outcome,
                "the outcome of an operator's action could not be recorded");
        }
    }
}

/// Makes a record durable.
pub(super) async fn record(
    audit: &AuditLog,
    clock: &dyn Clock,
    id: Option<RequestId>,
    event: Event,
) -> Result<(), Unmet> {
    let unavailable = |why: &dyn std::fmt::Display| {
        let text = format_args!("nothing was done, as it cannot be recorded: {why}");
        Unmet::new(Cause::AuditUnavailable, text)
    };
    let record = AuditRecord::new(clock.now(), id.map(|id| id.to_string()), event);
    let item = AuditItem::of(&record).map_err(|error| unavailable(&error))?;
    audit.record(item).await.map(|_| ()).map_err(|error| unavailable(&error))
}

fn late() -> String {
    format!(
        "it did not end within {} s, and whether it takes effect is unknown: look at the status, \
         then repeat it",
        ACTION_MAX.as_secs()
    )
}
