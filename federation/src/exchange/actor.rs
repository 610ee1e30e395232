//! Who acts for the subject (RFC 8693 sections 4.1 and 4.4).
//!
//! Only the outermost `act` and the top-level claims of a token may drive a decision; inner ones
//! are history. `may_act` binds the actor token's party or, without an actor token, the client.

use serde_json::{Map, Value, json};

use super::party::{Pseudonyms, client_subject};
use crate::{
    client::{Client, ClientId, UpstreamIds},
    refusal::{self, Refusal},
    subject::Subject,
    verified::{Admitted, SUBJECT_BYTES_MAX},
};

/// Deepest chain of actors that is carried on; a deeper one is refused, not cut.
const ACTORS_MAX: usize = 4;

/// Members of `may_act` that say who may act; `iss` alone would allow everybody of an issuer.
const IDENTIFYING: [&str; 3] = ["azp", "client_id", "sub"];

/// Checks `may_act` of the subject token against the actor's party or the client.
///
/// Its names are those of the issuer that `may_act` names or, without one, of the subject token's:
/// another issuer's party of the same name is somebody else.
pub(super) fn check_may_act(
    client: &Client,
    subject: &Admitted<'_>,
    actor: Option<&Admitted<'_>>,
) -> Result<(), Refusal> {
    let Some(may_act) = subject.token.claims().members().get("may_act") else { return Ok(()) };
    let issuer = &actor.unwrap_or(subject).upstream.issuer;
    let allowed = may_act.as_object().is_some_and(|members| {
        let named = IDENTIFYING.iter().any(|name| members.contains_key(*name));
        let same_issuer = members.contains_key("iss") || *issuer == subject.upstream.issuer;
        let fits = |(name, wanted): (&String, &Value)| {
            let Some(wanted) = wanted.as_str() else { return false };
            match (name.as_str(), actor) {
                ("iss", _) => issuer == wanted,
                (name, Some(actor)) => actor_is(actor, name, wanted),
                (name, None) => client_is(client, name, wanted),
            }
        };
        named && same_issuer && members.iter().all(fits)
    });
    if allowed { Ok(()) } else { Err(refusal::ACTOR_NOT_ALLOWED.into()) }
}

/// A member that is not understood does not match: it might forbid what the others allow.
fn actor_is(actor: &Admitted<'_>, name: &str, wanted: &str) -> bool {
    match name {
        "sub" => actor.token.claims().members().get("sub").and_then(Value::as_str) == Some(wanted),
        "client_id" | "azp" => actor.authorized_party() == Some(wanted),
        _ => false,
    }
}

/// By its names at the provider: its id here may be somebody else's there.
fn client_is(client: &Client, name: &str, wanted: &str) -> bool {
    IDENTIFYING.contains(&name)
        && match &client.upstream_ids {
            UpstreamIds::Any => client.id.as_str() == wanted,
            UpstreamIds::Listed(names) => names.iter().any(|name| name == wanted),
        }
}

/// The `act` claim: the actor token's party or the delegating client, over what the subject token
/// brought along.
pub(super) fn claim(
    pseudonyms: &Pseudonyms<'_>,
    subject: &Admitted<'_>,
    actor: Option<&Admitted<'_>>,
    client: Option<&ClientId>,
) -> Result<Option<Value>, Refusal> {
    let history = match subject.token.claims().members().get("act") {
        None => None,
        Some(act) => Some(carried_on(pseudonyms, subject, act, ACTORS_MAX)?),
    };
    let outermost = match (actor, client) {
        (Some(actor), _) => pseudonyms.party(actor),
        (None, Some(client)) => client_subject(client),
        (None, None) => return Ok(history),
    };
    let mut claim = Map::from_iter([("sub".to_owned(), json!(outermost))]);
    if let Some(history) = history {
        claim.insert("act".to_owned(), history);
    }
    Ok(Some(Value::Object(claim)))
}

/// Renames every actor of a chain: the token's own names are the provider's.
fn carried_on(
    pseudonyms: &Pseudonyms<'_>,
    subject: &Admitted<'_>,
    act: &Value,
    depth_left: usize,
) -> Result<Value, Refusal> {
    let unacceptable = || Refusal::from(refusal::SUBJECT_TOKEN_CLAIMS);
    let deeper = depth_left.checked_sub(1).ok_or_else(unacceptable)?;
    let members = act.as_object().ok_or_else(unacceptable)?;
    let text = |name: &str| match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if (1..=SUBJECT_BYTES_MAX).contains(&text.len()) => {
            Ok(Some(text.as_str()))
        }
        Some(_) => Err(unacceptable()),
    };
    let value = text("sub")?.or(text("client_id")?).ok_or_else(unacceptable)?;
    let party = Subject {
        issuer: text("iss")?.unwrap_or(&subject.upstream.issuer),
        tenant: subject.upstream.tenant.as_deref(),
        value,
    };
    let name = pseudonyms.pairwise.subject(pseudonyms.sector, &party);
    let mut claim = Map::from_iter([("sub".to_owned(), json!(name))]);
    if let Some(inner) = members.get("act") {
        claim.insert("act".to_owned(), carried_on(pseudonyms, subject, inner, deeper)?);
    }
    Ok(Value::Object(claim))
}
