//! Whether this client may use this token: it was issued to it or for it, and its tenant fits.

use crate::{
    authenticate::AuthenticatedClient,
    client::UpstreamIds,
    law::Resource,
    oauth::TokenType,
    refusal::{self, Refusal},
    verified::Admitted,
};

/// The token's audience or authorized party must be the client, under one of its names there.
/// RFC 8693 has no such rule; without it any client could exchange a token that leaked to it, or
/// act under the name of whoever's actor token did.
///
/// An ID token for several audiences says by `azp` which of them it was issued to (OpenID Connect
/// Core section 3.1.3.7): the others are only allowed to read it.
pub(super) fn check(
    client: &AuthenticatedClient<'_>,
    admitted: &Admitted<'_>,
) -> Result<(), Refusal> {
    let names = match &client.client().upstream_ids {
        UpstreamIds::Any => return Ok(()),
        UpstreamIds::Listed(names) => names,
    };
    let is_ours = |value: &str| names.iter().any(|name| name == value);
    let shared = admitted.kind == TokenType::IdToken && admitted.audience().nth(1).is_some();
    if admitted.authorized_party().is_some_and(is_ours)
        || (!shared && admitted.audience().any(is_ours))
    {
        Ok(())
    } else {
        Err(refusal::REQUESTER_NOT_ALLOWED.into())
    }
}

pub(super) fn check_tenants(
    client: &AuthenticatedClient<'_>,
    resource: &Resource,
    subject: &Admitted<'_>,
) -> Result<(), Refusal> {
    let tenant = &subject.upstream.tenant;
    let bounds = [&client.client().tenant, &resource.tenant];
    if bounds.into_iter().flatten().all(|bound| tenant.as_ref() == Some(bound)) {
        Ok(())
    } else {
        Err(refusal::TARGET_TENANT.into())
    }
}
