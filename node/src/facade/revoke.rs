//! `POST /revoke` (RFC 7009): 200 only once the revocation is durable, and, in a federation, agreed
//! on; otherwise 503, and it is agreed on later.

use exequatur_federation::{
    audit::{AuditRecord, Event},
    authenticate::AuthenticatedClient,
    jose::UnverifiedJws,
    ledger::Objection,
    refusal,
    revocation::{Revocation, RevokeDecision, revoke},
};
use tokio::time::Instant;

use super::{
    form::Form,
    introspect::find,
    pipeline::{Answer, Call, Refused, unrecorded},
};
use crate::{
    audit::AuditItem,
    revocation::{Draft, Outbox, Sent},
};

pub(super) async fn answer(
    call: &Call<'_>,
    client: &AuthenticatedClient<'_>,
    form: &Form,
) -> Result<Answer, Refused> {
    // A wrong hint must not matter (RFC 7009 section 2.1): it is not even read.
    let text = form.required("token")?;
    let token = find(call.facade, text);
    let read = UnverifiedJws::parse(text).ok();
    match revoke(call.law(), client, token.as_deref(), read.as_ref(), call.now) {
        RevokeDecision::Revoke { revocation, token_id } => {
            let item = item(call, client, token_id)?;
            match &call.facade.outbox {
                None => save(call, item.revoking(revocation)).await,
                Some(outbox) => send(call, client, (outbox, revocation), item).await,
            }
        }
        RevokeDecision::Nothing => {
            call.save_replay(client).await?;
            Ok(Answer::Empty)
        }
        RevokeDecision::Refused(id) => Err(id.into()),
    }
}

fn item(
    call: &Call<'_>,
    client: &AuthenticatedClient<'_>,
    token_id: String,
) -> Result<AuditItem, Refused> {
    let event = Event::TokenRevoked { token_id, client: client.client().id.clone() };
    let record = AuditRecord::new(call.now, Some(call.request_id.clone()), event);
    let item = AuditItem::of(&record).map_err(|_| refusal::INTERNAL_FAULT)?;
    Ok(match client.replay() {
        Some(replay) => item.once(replay),
        None => item,
    })
}

/// In a region alone what is durable here is all there is.
async fn save(call: &Call<'_>, item: AuditItem) -> Result<Answer, Refused> {
    record(call, item).await?;
    // The writer has marked the view by now, whether or not anybody still waits here.
    call.facade.metrics.revocations.inc();
    Ok(Answer::Empty)
}

async fn record(call: &Call<'_>, item: AuditItem) -> Result<Instant, Refused> {
    call.facade.audit.record(item).await.map_err(|e| unrecorded(&e))?;
    call.assertion_is_used();
    Ok(Instant::now())
}

/// Saves the revocation and proposes it at once; the view is marked by whichever is first.
async fn send(
    call: &Call<'_>,
    client: &AuthenticatedClient<'_>,
    (outbox, revocation): (&Outbox, Revocation),
    item: AuditItem,
) -> Result<Answer, Refused> {
    let draft = outbox.draft(vec![outbox.of_token(revocation)]);
    let draft = draft.map_err(|_| refusal::INTERNAL_FAULT)?;
    if outbox.check(&draft) == Err(Objection::Expired) {
        // By the federation's time the token is dead already.
        call.save_replay(client).await?;
        return Ok(Answer::Empty);
    }
    let item = item.leaving(draft.rows());
    // Whoever sends an assertion again must not have anything proposed by it.
    let once = client.replay().is_some();
    let early = if once { Some(record(call, item.clone()).await?) } else { None };
    let mut delivery = outbox.deliver(&draft);
    let saved = match early {
        Some(saved) => {
            delivery.propose().await;
            Ok(saved)
        }
        None => tokio::join!(record(call, item), delivery.propose()).0,
    };
    match saved {
        Ok(saved) => told(call, outbox, &draft, delivery.end(saved).await),
        Err(refused) => {
            delivery.abandon();
            Err(refused)
        }
    }
}

fn told(call: &Call<'_>, outbox: &Outbox, draft: &Draft, sent: Sent) -> Result<Answer, Refused> {
    match sent {
        Sent::Held => {
            call.facade.metrics.revocations.inc();
            Ok(Answer::Receipt(draft.receipt()))
        }
        Sent::Refused(_) => Err(refusal::REVOCATION_REFUSED.into()),
        Sent::Unknown if outbox.is_shared() => Err(refusal::REVOCATION_PENDING.into()),
        Sent::Unknown => Err(refusal::REVOCATION_PENDING_HERE.into()),
    }
}
