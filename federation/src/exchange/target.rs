//! The one target of a request (RFC 8693 section 2.1, RFC 8707 section 2).

use super::ExchangeRequest;
use crate::{
    client::Client,
    law::{Law, Resource},
    refusal::{self, Refusal},
};

/// Finds the one resource that a request is for and that the client may have.
///
/// `resource` names a service by its identifier, `audience` by identifier or logical name. Both,
/// or one of them repeated, must name the same service: one token, one target.
pub(super) fn resolve<'law>(
    law: &'law Law,
    client: &Client,
    request: &ExchangeRequest,
) -> Result<&'law Resource, Refusal> {
    let named = || request.resource.iter().chain(&request.audience);
    let Some(first) = named().next() else { return only(law, client) };
    if named().any(|name| is_other_region(law, name)) {
        return Err(refusal::TRANSFER_NOT_OFFERED.into());
    }
    let by_id = request.resource.iter().all(|id| law.resources.contains_key(id));
    let resource = law.resource(first).filter(|_| by_id).ok_or(refusal::TARGET_UNKNOWN)?;
    if named().any(|name| law.resource(name).is_none_or(|other| other.id != resource.id)) {
        return Err(refusal::TARGET_AMBIGUOUS.into());
    }
    permitted(client, resource)
}

/// Without a target, the client's only resource.
fn only<'law>(law: &'law Law, client: &Client) -> Result<&'law Resource, Refusal> {
    match client.resources.as_slice() {
        [id] => permitted(client, law.resources.get(id).ok_or(refusal::TARGET_UNKNOWN)?),
        _ => Err(refusal::TARGET_MISSING.into()),
    }
}

fn permitted<'law>(client: &Client, resource: &'law Resource) -> Result<&'law Resource, Refusal> {
    if !client.resources.contains(&resource.id) {
        return Err(refusal::TARGET_UNKNOWN.into());
    }
    if resource.require_sender_constraint {
        return Err(refusal::SENDER_CONSTRAINT_REQUIRED.into());
    }
    Ok(resource)
}

fn is_other_region(law: &Law, name: &str) -> bool {
    law.region_issuers.iter().any(|(region, issuer)| *region != law.region && issuer == name)
}
