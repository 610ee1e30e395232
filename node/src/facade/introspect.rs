//! `POST /introspect` (RFC 7662) and its signed answers (RFC 9701).

use std::sync::Arc;

use exequatur_federation::{
    authenticate::AuthenticatedClient,
    foreign::{ForeignToken, NotForeign},
    freshness::ViewFacts,
    introspection::{Introspection, introspect, introspect_foreign, judge_view},
    jose::{UnverifiedJws, sha256},
    ledger::Ledger,
    refusal,
    seal::OpenError,
    time::UnixTime,
    token::RegionalToken,
};
use http::{HeaderMap, header::ACCEPT};

use super::{
    Facade,
    form::Form,
    pipeline::{Answer, Call, JSON, Refused},
};

/// Media type of a signed answer (RFC 9701 section 4).
const SIGNED: &str = "application/token-introspection+jwt";

pub(super) async fn answer(
    call: &Call<'_>,
    client: &AuthenticatedClient<'_>,
    headers: &HeaderMap,
    form: &Form,
) -> Result<Answer, Refused> {
    // A wrong hint must not matter (RFC 7662 section 2.1): it is not even read.
    let text = form.required("token")?;
    call.save_replay(client).await?;
    let facade = call.facade;
    let token = find(facade, text);
    refuse_unreadable(token.as_deref())?;
    let read = token.is_none().then(|| UnverifiedJws::parse(text).ok()).flatten();
    let permitted =
        |view: &ViewFacts| judge_view(call.law(), token.as_deref(), read.as_ref(), view).permit();
    // INVARIANT: the age first, then what is judged by. The other way round a revocation that came
    // in between would be missing from an answer that says to know it.
    let view = call.view();
    permitted(&view)?;
    let as_of = view.as_of().ok_or(refusal::VIEW_STALE)?;
    // A token of this region needs no other region's keys.
    let ledger = read.as_ref().and_then(|_| facade.revocations.ledger());
    let foreign = match (&read, &ledger) {
        (Some(read), Some(ledger)) => find_foreign(call, (text, read), ledger)?,
        _ => None,
    };
    let revocations = facade.revocations.current();
    let answer = match (foreign, &ledger) {
        (Some(foreign), Some(ledger)) => {
            let agreed = (ledger, &revocations);
            introspect_foreign(call.law(), client, &foreign, agreed, call.now)
        }
        _ => introspect(call.law(), client, token.as_deref(), &revocations, call.now),
    };
    drop((revocations, ledger));
    let (media, body) = if wants_signed(headers) {
        (SIGNED, signed(call, client, (&answer, as_of)).await?)
    } else {
        let body = serde_json::to_vec(answer.members()).map_err(|_| refusal::INTERNAL_FAULT)?;
        (JSON, body)
    };
    // Again, since a signature may have taken long.
    permitted(&call.view())?;
    Ok(Answer::Introspection { media, body, as_of })
}

async fn signed(
    call: &Call<'_>,
    client: &AuthenticatedClient<'_>,
    (answer, as_of): (&Introspection, UnixTime),
) -> Result<Vec<u8>, Refused> {
    let caller = client.client().id.as_str();
    let times = (call.now, as_of);
    match call.facade.issuer.sign_introspection(call.law(), (caller, answer), times).await {
        Ok(signed) => Ok(signed.as_str().as_bytes().to_vec()),
        Err(error) => {
            tracing::warn!(%error, "an introspection answer could not be signed");
            Err(refusal::SIGNING_UNAVAILABLE.into())
        }
    }
}

/// A token of this region whose signature verifies, now or before.
pub(crate) fn find(facade: &Facade, text: &str) -> Option<Arc<RegionalToken>> {
    let digest = sha256(text.as_bytes());
    if let Some(known) = facade.tokens.find(&digest) {
        return Some(known);
    }
    let jws = UnverifiedJws::parse(text).ok()?;
    let published = facade.issuer.published();
    let token = RegionalToken::verify(&jws, published, &facade.law.issuer)?;
    let token = Arc::new(token.open(&facade.seal));
    facade.tokens.keep(&digest, &token);
    Some(token)
}

/// A token of another region whose signature verifies under a key that the ledger has of it, now or
/// before.
fn find_foreign(
    call: &Call<'_>,
    (text, read): (&str, &UnverifiedJws),
    ledger: &Ledger,
) -> Result<Option<Arc<ForeignToken>>, Refused> {
    let facade = call.facade;
    let digest = sha256(text.as_bytes());
    let found = match facade.foreign.find(&digest) {
        Some(known) => known,
        None => match ForeignToken::verify(read, call.law(), ledger, call.now) {
            Ok(token) => {
                let token = Arc::new(token.open(&facade.seal));
                facade.foreign.keep(&digest, &token);
                token
            }
            Err(NotForeign::NoToken) => return Ok(None),
            Err(NotForeign::KeyUnknown) => return Err(refusal::REGION_KEY_UNKNOWN.into()),
        },
    };
    refuse_unreadable(Some(found.token()))?;
    Ok(Some(found))
}

/// Of a token whose trailer is sealed under a key that is not here nothing can be said, not even that
/// it is inactive.
fn refuse_unreadable(token: Option<&RegionalToken>) -> Result<(), Refused> {
    match token.map(RegionalToken::sealed) {
        Some(Err(error @ OpenError::KeyUnknown { .. })) => {
            tracing::warn!(%error, "a token cannot be judged: copy the key store's secrets");
            Err(refusal::SEAL_KEY_MISSING.into())
        }
        _ => Ok(()),
    }
}

fn wants_signed(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut ranges = accepted.flat_map(|list| list.split(','));
    ranges.any(|range| {
        let mut parts = range.split(';').map(str::trim);
        parts.next().is_some_and(|media| media.eq_ignore_ascii_case(SIGNED))
            && !parts.any(is_weight_of_zero)
    })
}

/// `q=0`, in any of its spellings, means "not this one" (RFC 9110 section 12.4.2).
fn is_weight_of_zero(parameter: &str) -> bool {
    let weight = parameter.strip_prefix(['q', 'Q']).and_then(|rest| rest.strip_prefix('='));
    weight.is_some_and(|weight| weight.parse() == Ok(0.0_f32))
}
