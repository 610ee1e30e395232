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
    if named().any(|name| is_other_region(law, name)) {
        return Err(refusal::TRANSFER_NOT_OFFERED.into());
    }
    let by_id = request.resource.iter().map(|id| law.resources.get(id));
    let by_name = request.audience.iter().map(|name| law.resource(name));
    // What the client may not have and what does not exist are one: nobody can probe for services.
    let permitted = |r: Option<&'law Resource>| r.filter(|r| client.resources.contains(&r.id));
    let found: Option<Vec<&Resource>> = by_id.chain(by_name).map(permitted).collect();
    let found = found.ok_or(refusal::TARGET_UNKNOWN)?;
    let Some((first, others)) = found.split_first() else { return only(law, client) };
    if others.iter().any(|other| other.id != first.id) {
        return Err(refusal::TARGET_AMBIGUOUS.into());
    }
    offered(first)
}

/// Without a target, the client's only resource.
fn only<'law>(law: &'law Law, client: &Client) -> Result<&'law Resource, Refusal> {
    match client.resources.as_slice() {
        [id] => offered(law.resources.get(id).ok_or(refusal::TARGET_UNKNOWN)?),
        _ => Err(refusal::TARGET_MISSING.into()),
    }
}

fn offered(resource: &Resource) -> Result<&Resource, Refusal> {
    if resource.require_sender_constraint {
        return Err(refusal::SENDER_CONSTRAINT_REQUIRED.into());
    }
    Ok(resource)
}

fn is_other_region(law: &Law, name: &str) -> bool {
    law.region_issuers.iter().any(|(region, issuer)| *region != law.region && issuer == name)
}
