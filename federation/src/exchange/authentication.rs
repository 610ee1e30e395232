//! How strongly and how lately the user authenticated (RFC 9470). A context class is compared
//! within its provider's own order and never translated; an unknown one is the weakest.

use serde_json::Value;

use crate::{
    law::Resource,
    refusal::{self, Hint, Refusal},
    time::UnixTime,
    token::Authentication,
    verified::Admitted,
};

/// Checks the resource's floor. The facts themselves go into the token only where the resource
/// asks for them.
pub(super) fn check(
    resource: &Resource,
    subject: &Admitted<'_>,
    now: UnixTime,
) -> Result<Authentication, Refusal> {
    let claims = subject.token.claims();
    let acr = claims.first_text(&subject.upstream.profile.acr);
    let time =
        claims.members().get("auth_time").and_then(Value::as_u64).map(UnixTime::from_seconds);
    let strong = resource.acr.as_deref().is_none_or(|floor| reaches(subject, acr, floor));
    // A login that is still to come is no recent one.
    let latest = now.plus(subject.upstream.clock_slack);
    let recent = resource.auth_age_max.is_none_or(|age| {
        time.is_some_and(|t| t <= latest && now.since(t) <= u64::from(age.seconds()))
    });
    if !(strong && recent) {
        let hint = Hint::Authentication {
            acr_values: resource.acr.clone(),
            max_age: resource.auth_age_max.map(|age| age.seconds()),
        };
        return Err(Refusal { id: refusal::AUTHENTICATION_INSUFFICIENT, hint: Some(hint) });
    }
    Ok(Authentication {
        acr: resource.acr.as_ref().and(acr).map(str::to_owned),
        time: resource.auth_age_max.and(time),
    })
}

fn reaches(subject: &Admitted<'_>, acr: Option<&str>, floor: &str) -> bool {
    let order = &subject.upstream.acr_order;
    let rank = |class: &str| order.iter().position(|known| known == class);
    match (acr.and_then(rank), rank(floor)) {
        (Some(found), Some(needed)) => found >= needed,
        _ => false,
    }
}
