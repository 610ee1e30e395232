//! `POST /token`: token exchange (RFC 8693), in the one order that is safe: gather, decide,
//! record, sign, answer.

use exequatur_federation::{
    audit::{AuditRecord, Event},
    authenticate::AuthenticatedClient,
    exchange::{
        Authorization, Decision, ExchangeRequest, Facts, Sealing, TokenFacts, decide, precheck,
    },
    jose::{UnverifiedJws, sha256},
    oauth::TokenType,
    refusal::{self, Refusal},
    token::TokenId,
    verified::{IssuerKeys, Presented},
};
use serde::Serialize;

use super::{
    form::Form,
    pipeline::{Answer, Call, Refused, unrecorded},
};
use crate::{
    audit::AuditItem,
    entropy::draw,
    issuer::{IssueError, Issued},
    upstream::KeysError,
};

/// The answer of RFC 8693 section 2.2.1.
#[derive(Serialize)]
struct TokenAnswer<'a> {
    access_token: &'a str,
    issued_token_type: TokenType,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    scope: &'a str,
}

pub(super) async fn answer(
    call: &Call<'_>,
    client: &AuthenticatedClient<'_>,
    form: &Form,
) -> Result<Answer, Refused> {
    let request = parse(form)?;
    // A view that is good for nothing is looked at before a provider's keys are fetched.
    precheck(call.law(), client, &request)?.freshness(&call.view()).permit()?;
    let subject = gather_token(call, form.required("subject_token")?).await?;
    let actor = match form.optional("actor_token")? {
        Some(text) => Some(gather_token(call, text).await?),
        None => None,
    };
    let facade = call.facade;
    let first_seen = matches!(subject.presented, Presented::Read(_));
    // The age first, as wherever something is judged. Then the moment: what is revoked in between is
    // then later than the token, which it covers.
    let view = call.view();
    let lix = facade.issued_at.now();
    let revocations = facade.revocations.current();
    let facts = Facts {
        now: call.now,
        token_id: TokenId::new(draw(facade.entropy.as_ref()).map_err(|_| refusal::INTERNAL_FAULT)?),
        status: facade.indexes.draw().map_err(|_| refusal::INTERNAL_FAULT)?,
        view,
        subject,
        actor,
        key: facade.issuer.key(),
        algorithm: facade.issuer.algorithm(),
        pairwise: &facade.pairwise,
        sealing: Sealing { keys: &facade.seal, lix },
        revocations: &revocations,
    };
    let authorization = match decide(call.law(), client, &request, facts) {
        Decision::Authorized(authorization) => authorization,
        Decision::Refused(refusal) => return Err(refusal.into()),
    };
    let issued = record_and_issue(call, authorization).await?;
    if first_seen {
        let token = &issued.authorization.subject_token;
        facade.subjects.keep(token.digest(), token);
    }
    let answer = render(call, &issued)?;
    // Last of all: nothing that takes time comes after it.
    match issued.authorization.permit_to_leave(call.law(), &call.view()) {
        Ok(()) => Ok(answer),
        Err(refusal) => Err(withheld(call, &issued, refusal).await),
    }
}

/// Reads the parameters once, so that nothing later reaches into the form.
fn parse(form: &Form) -> Result<ExchangeRequest, Refused> {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Ok(ExchangeRequest {
        grant_type: form.required("grant_type")?.to_owned(),
        subject_token_type: form.optional("subject_token_type")?.unwrap_or_default().to_owned(),
        actor_token_type: owned(form.optional("actor_token_type")?),
        resource: form.all("resource").map(str::to_owned).collect(),
        audience: form.all("audience").map(str::to_owned).collect(),
        scope: owned(form.optional("scope")?),
        requested_token_type: owned(form.optional("requested_token_type")?),
    })
}

/// Reads a token and finds its issuer's keys. Only a trusted issuer's keys are ever asked for.
async fn gather_token(call: &Call<'_>, text: &str) -> Result<TokenFacts, Refused> {
    let presented = match call.facade.subjects.find(&sha256(text.as_bytes())) {
        Some(known) => Presented::Known(known),
        None => Presented::Read(UnverifiedJws::parse(text)),
    };
    let trusted = presented.issuer().filter(|issuer| call.law().upstreams.contains_key(*issuer));
    let Some(issuer) = trusted else { return Ok(TokenFacts { presented, keys: None }) };
    let keys = match call.facade.keys.keys_for(issuer, presented.kid()).await {
        Ok(keys) => IssuerKeys::Available(keys),
        Err(KeysError::Unavailable { retry_after, .. }) => {
            return Err(Refused {
                refusal: refusal::ISSUER_KEYS_UNAVAILABLE.into(),
                retry_after_seconds: Some(retry_after.seconds()),
            });
        }
        Err(KeysError::UnknownIssuer) => IssuerKeys::Unavailable,
    };
    Ok(TokenFacts { presented, keys: Some(keys) })
}

async fn record_and_issue(
    call: &Call<'_>,
    authorization: Box<Authorization>,
) -> Result<Issued, Refused> {
    let facade = call.facade;
    let record = AuditRecord::of_authorization(call.law(), &authorization, &call.request_id);
    let mut item = AuditItem::of(&record).map_err(|_| refusal::INTERNAL_FAULT)?;
    if let Some(replay) = authorization.replay {
        item = item.once(replay);
    }
    let recorded =
        facade.audit.record_authorization(authorization, item).await.map_err(|e| unrecorded(&e))?;
    call.assertion_is_used();
    match facade.issuer.issue(recorded).await {
        Ok(issued) => Ok(issued),
        Err((authorization, error)) => Err(signing_failed(call, &authorization, &error).await),
    }
}

/// Records that nobody got the token that the log says was authorized.
async fn signing_failed(
    call: &Call<'_>,
    authorization: &Authorization,
    error: &IssueError,
) -> Refused {
    tracing::warn!(%error, "nothing is issued: the signing key cannot be used");
    let event = Event::SigningFailed {
        token_id: authorization.token.id.to_string(),
        kid: authorization.key.clone(),
    };
    let record = AuditRecord::new(call.now, Some(call.request_id.clone()), event);
    match AuditItem::of(&record) {
        Ok(item) => match call.facade.audit.record(item).await {
            Ok(_) => refusal::SIGNING_UNAVAILABLE.into(),
            Err(error) => unrecorded(&error),
        },
        Err(_) => refusal::INTERNAL_FAULT.into(),
    }
}

/// Records that nobody got a token that was signed: the view had become stale meanwhile.
async fn withheld(call: &Call<'_>, issued: &Issued, refusal: Refusal) -> Refused {
    let event = Event::TokenWithheld {
        token_id: issued.authorization.token.id.to_string(),
        error_id: refusal.id.as_str(),
    };
    let record = AuditRecord::new(call.facade.clock.now(), Some(call.request_id.clone()), event);
    match AuditItem::of(&record) {
        Ok(item) => match call.facade.audit.record(item).await {
            Ok(_) => refusal.into(),
            Err(error) => unrecorded(&error),
        },
        Err(_) => refusal::INTERNAL_FAULT.into(),
    }
}

fn render(call: &Call<'_>, issued: &Issued) -> Result<Answer, Refused> {
    let token = &issued.authorization.token;
    let answer = TokenAnswer {
        access_token: issued.token.as_str(),
        issued_token_type: TokenType::AccessToken,
        token_type: "Bearer",
        expires_in: token.expires.since(call.now),
        scope: &token.scope,
    };
    Ok(Answer::Json(serde_json::to_vec(&answer).map_err(|_| refusal::INTERNAL_FAULT)?))
}
