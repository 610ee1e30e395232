//! Scopes narrow: what is granted was asked for, is known to the resource, and stands in the
//! subject token (RFC 6749 section 3.3).

use std::collections::BTreeSet;

use crate::{
    law::Resource,
    refusal::{self, Refusal},
    trust::ScopeRule,
    verified::Admitted,
};

/// Most scopes in one request.
const SCOPES_MAX: usize = 64;

/// The names of a scope parameter; `None` if it does not follow the grammar of RFC 6749.
pub(super) fn parse(scope: Option<&str>) -> Option<BTreeSet<&str>> {
    let Some(text) = scope else { return Some(BTreeSet::new()) };
    let legal = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
    };
    let names: Vec<&str> = text.split(' ').collect();
    (names.len() <= SCOPES_MAX && names.iter().all(|n| legal(n)))
        .then(|| names.into_iter().collect())
}

/// The scopes that are granted, in the resource's order. A name that was asked for and cannot be
/// granted is a refusal, never left out silently; without a request everything that the token and
/// the resource share is granted.
pub(super) fn narrow(
    requested: Option<&str>,
    resource: &Resource,
    subject: &Admitted<'_>,
) -> Result<String, Refusal> {
    let requested_names = parse(requested).ok_or(refusal::SCOPE_MALFORMED)?;
    let carried = carried(resource, subject);
    if requested_names.iter().any(|name| !carried.contains(name)) {
        return Err(refusal::SCOPE_NOT_ALLOWED.into());
    }
    let wanted = |name: &&str| requested_names.is_empty() || requested_names.contains(name);
    let granted: Vec<&str> = carried.into_iter().filter(wanted).collect();
    if granted.is_empty() && !resource.scopes.is_empty() {
        return Err(refusal::SCOPE_NOT_ALLOWED.into());
    }
    Ok(granted.join(" "))
}

/// The resource's scopes that the subject token carries.
fn carried<'r>(resource: &'r Resource, subject: &Admitted<'_>) -> Vec<&'r str> {
    let known = resource.scopes.iter().map(String::as_str);
    let map = match &subject.upstream.scopes {
        ScopeRule::ByPolicy => return known.collect(),
        ScopeRule::FromToken(map) => map,
    };
    let in_token = subject.scopes();
    let mapped = |name: &str| {
        in_token.iter().any(|global| match map.get(*global) {
            Some(regional) => regional.iter().any(|r| r == name),
            None => *global == name,
        })
    };
    known.filter(|name| mapped(name)).collect()
}
