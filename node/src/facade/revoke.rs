//! `POST /revoke` (RFC 7009): 200 only once the revocation is durable.

use exequatur_federation::{
    audit::{AuditRecord, Event},
    authenticate::AuthenticatedClient,
    jose::UnverifiedJws,
    refusal,
    revocation::{Revocation, RevokeDecision, revoke},
};

use super::{
    form::Form,
    introspect::find,
    pipeline::{Answer, Call, Refused, unrecorded},
};
use crate::audit::AuditItem;

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
            save(call, client, revocation, token_id).await?;
        }
        RevokeDecision::Nothing => call.save_replay(client).await?,
        RevokeDecision::Refused(id) => return Err(id.into()),
    }
    Ok(Answer::Empty)
}

async fn save(
    call: &Call<'_>,
    client: &AuthenticatedClient<'_>,
    revocation: Revocation,
    token_id: String,
) -> Result<(), Refused> {
    let event = Event::TokenRevoked { token_id, client: client.client().id.clone() };
    let record = AuditRecord::new(call.now, Some(call.request_id.clone()), event);
    let item = AuditItem::of(&record).map_err(|_| refusal::INTERNAL_FAULT)?;
    let item = match client.replay() {
        Some(replay) => item.once(replay),
        None => item,
    };
    call.facade.audit.record(item.revoking(revocation)).await.map_err(|e| unrecorded(&e))?;
    // The writer has marked the view by now, whether or not anybody still waits here.
    call.facade.metrics.revocations.inc();
    Ok(())
}
