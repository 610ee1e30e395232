//! `[[resource]]`: services that accept this region's tokens.

use super::{
    diagnostic::Report,
    freshness,
    keys::ACCESS_TOKEN_SECONDS_MAX,
    table::{At, Table},
    uri,
};
use crate::{client::ClientId, freshness::Bounds, law::Resource, region::RegionId, time::Ttl};

/// Reads one `[[resource]]` table. Without readable bounds of the region its own are not compared.
pub(super) fn compile(
    table: &Table<'_>,
    region: Option<&Bounds>,
    report: &mut Report<'_>,
) -> Option<Resource> {
    let id = table.text("id");
    if let Some(id) = id.as_ref().filter(|id| !uri::is_resource_uri(&id.value)) {
        let message = format!("`{}` is no absolute URI without fragment", id.value);
        let hint = "RFC 8707: as in https://api.example/orders; a short name goes to `audience`";
        report.error(&id.place, message, Some(hint.to_owned()));
    }
    for scope in table.texts("scopes").iter().filter(|s| !is_scope_token(&s.value)) {
        let message = format!("`{}` is no scope: no space, no \", no \\", scope.value);
        report.error(&scope.place, message, None);
    }
    let ttl = table.duration("ttl").and_then(|ttl| token_ttl(&ttl, report));
    let introspect_as = table.strings("introspect_as");
    // Whether there are such regions is checked beside the other references.
    let introspect_in = table.strings("introspect_in");
    Some(Resource {
        id: id?.value,
        audience: table.text("audience").map(|a| a.value),
        scopes: table.strings("scopes"),
        claims: table.strings("claims"),
        introspect_as: introspect_as.iter().map(|id| ClientId::new(id)).collect(),
        introspect_in: introspect_in.iter().filter_map(|id| RegionId::new(id).ok()).collect(),
        sector: table.text("sector")?.value,
        tenant: table.text("tenant").map(|t| t.value),
        ttl,
        acr: table.text("acr").map(|a| a.value),
        auth_age_max: table.duration("auth_age_max").map(|d| d.value),
        require_sender_constraint: table.flag("require_sender_constraint"),
        freshness: freshness::resource(table, region, report),
    })
}

/// A lifetime of access tokens; one out of bounds is reported.
pub(super) fn token_ttl(ttl: &At<Ttl>, report: &mut Report<'_>) -> Option<Ttl> {
    if (1..=ACCESS_TOKEN_SECONDS_MAX).contains(&ttl.value.seconds()) {
        return Some(ttl.value);
    }
    let message = format!("the lifetime of a token is not 1s to {ACCESS_TOKEN_SECONDS_MAX}s");
    let hint = "who verifies offline learns of a revocation only when the token ends".to_owned();
    report.error(&ttl.place, message, Some(hint));
    None
}

/// RFC 6749 section 3.3.
fn is_scope_token(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic() && !b"\"\\".contains(&b))
}
