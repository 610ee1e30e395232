//! What an operator revokes, carried out by the parts of the node.

use std::sync::Arc;

use exequatur_federation::{
    audit::{AuditRecord, Event},
    operator::{Action, Operator},
    region::RegionId,
    revocation::{self, Measure, Named},
};
use tokio::time::Instant;

use crate::{
    admin::{RequestId, Revocation, RevokeError, Revoked, Revoker, Revoking, What},
    audit::AuditItem,
    consensus::{Consensus, control::ControlError},
    facade::{Facade, find_token},
    revocation::{Outbox, Sent},
};

/// Revokes with what the façade has.
pub(super) struct OperatorsRevoker {
    pub(super) facade: Arc<Facade>,
    pub(super) consensus: Arc<Consensus>,
}

/// Who asks, and the name of the request.
#[derive(Clone, Copy)]
struct Asked<'a> {
    operator: &'a Operator,
    id: RequestId,
}

impl Revoker for OperatorsRevoker {
    fn revoke<'a>(
        &'a self,
        operator: &'a Operator,
        id: RequestId,
        revocation: &'a Revocation,
    ) -> Revoking<'a> {
        let asked = Asked { operator, id };
        Box::pin(async move {
            if let What::Region(name) = &revocation.what {
                self.region(asked, name, revocation.measure).await
            } else {
                self.thing(asked, &revocation.what, revocation.measure).await
            }
        })
    }
}

impl OperatorsRevoker {
    /// Everything that the outbox carries.
    async fn thing(
        &self,
        asked: Asked<'_>,
        what: &What,
        measure: Measure,
    ) -> Result<Revoked, RevokeError> {
        let facade = &self.facade;
        let outbox = facade.outbox.as_ref().ok_or(revocation::OrderError::Alone)?;
        let token = if let What::Token(text) = what { find_token(facade, text) } else { None };
        let named = match what {
            What::Client(id) => Named::Client(id),
            What::List(list) => Named::List(*list),
            What::Region(_) => return Err(RevokeError::UnknownRegion),
            What::Session(party) => Named::Session(named_party(party)),
            What::Subject(party) => Named::Subject(named_party(party)),
            What::Token(_) => Named::Token(token.as_deref().ok_or(RevokeError::UnknownToken)?),
        };
        let now = facade.clock.now();
        let revocations = revocation::order(&facade.law, &facade.seal, (named, measure), now)?;
        let draft = outbox.draft(revocations)?;
        outbox.check(&draft).map_err(RevokeError::Refused)?;
        let event = Event::OperatorRevoked {
            operator: asked.operator.name().to_owned(),
            kind: named.kind(),
            name: named.public_name(),
            mode: mode(measure),
            receipt: draft.receipt(),
        };
        let record = AuditRecord::new(now, Some(asked.id.to_string()), event);
        let item = AuditItem::of(&record)?.leaving(draft.rows());
        let agreed = self.deliver(outbox, &draft, item).await?;
        facade.metrics.revocations.inc();
        let may_return = measure == Measure::Cutoff && revocation::may_return(&facade.law, &named);
        Ok(Revoked { receipt: draft.receipt(), agreed, may_return })
    }

    async fn deliver(
        &self,
        outbox: &Outbox,
        draft: &crate::revocation::Draft,
        item: AuditItem,
    ) -> Result<bool, RevokeError> {
        let mut delivery = outbox.deliver(draft);
        let (saved, ()) = tokio::join!(self.facade.audit.record(item), delivery.propose());
        if let Err(error) = saved {
            delivery.abandon();
            return Err(error.into());
        }
        match delivery.end(Instant::now()).await {
            Sent::Held => Ok(true),
            Sent::Unknown => Ok(false),
            Sent::Refused(objection) => Err(RevokeError::Refused(objection)),
        }
    }

    /// A region has no row in the outbox: the command is signed, and mostly another region's part
    /// is needed.
    async fn region(
        &self,
        asked: Asked<'_>,
        name: &str,
        measure: Measure,
    ) -> Result<Revoked, RevokeError> {
        if measure != Measure::Cutoff {
            return Err(revocation::OrderError::NotBlockable.into());
        }
        let region = RegionId::new(name).map_err(|_| RevokeError::UnknownRegion)?;
        let number = self.facade.law.region_numbers.get(&region).copied();
        let number = number.ok_or(RevokeError::UnknownRegion)?;
        let target = Some(region.to_string());
        let operator = asked.operator.name().to_owned();
        self.record(
            asked,
            Event::OperatorActing {
                operator: operator.clone(),
                action: Action::Revoke,
                target: target.clone(),
                replaced: None,
                accepts_reduced_survival: false,
            },
        )
        .await?;
        let done = self.consensus.revoke_region(number).await;
        let outcome = match &done {
            Ok(()) => "done",
            Err(ControlError::Pending) => "pending",
            Err(_) => "failed",
        };
        let acted = Event::OperatorActed {
            operator,
            action: Action::Revoke,
            target,
            replaced: None,
            outcome,
        };
        if self.record(asked, acted).await.is_err() {
            tracing::error!(request_id = %asked.id, outcome,
                "the outcome of an operator's revocation could not be recorded");
        }
        done?;
        Ok(Revoked { receipt: String::new(), agreed: true, may_return: false })
    }

    async fn record(&self, asked: Asked<'_>, event: Event) -> Result<(), RevokeError> {
        let now = self.facade.clock.now();
        let record = AuditRecord::new(now, Some(asked.id.to_string()), event);
        self.facade.audit.record(AuditItem::of(&record)?).await?;
        Ok(())
    }
}

fn named_party(party: &crate::admin::Party) -> revocation::Party<'_> {
    revocation::Party {
        upstream: &party.upstream,
        tenant: party.tenant.as_deref(),
        value: &party.value,
        service: party.service,
    }
}

const fn mode(measure: Measure) -> &'static str {
    match measure {
        Measure::Cutoff => "cutoff",
        Measure::Block(_) => "block",
        Measure::Lift => "lift",
    }
}
