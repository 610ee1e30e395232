//! `[[upstream]]`: which global issuers a region believes, and how their tokens are read.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::{
    diagnostic::{Place, Report, meant},
    federation::Federation,
    preset::preset,
    profile,
    settings::UpstreamFetch,
    table::{At, Table, texts_of},
    uri,
};
use crate::{
    jose::Algorithm,
    time::Ttl,
    trust::{ScopeRule, Upstream},
};

/// Stands for the tenant in an issuer template.
const TENANT: &str = "{tenant}";
/// Largest slack for a provider's clock: more would stretch every cut-off of a revocation.
const CLOCK_SLACK_SECONDS_MAX: u32 = 60;

/// One `[[upstream]]`: an exact issuer for each tenant, or just one.
pub(super) struct CompiledUpstream {
    pub(super) upstreams: Vec<Upstream>,
    pub(super) fetches: Vec<(String, UpstreamFetch)>,
}

/// Reads one `[[upstream]]` table.
pub(super) fn compile(
    table: &Table<'_>,
    federation: &Federation,
    report: &mut Report<'_>,
) -> Option<CompiledUpstream> {
    let template = template(table, federation, report);
    let jwks_uri = table.text("jwks_uri");
    let issuers = issuers(table, report);
    let template = template?;
    let mut compiled = CompiledUpstream { upstreams: Vec::new(), fetches: Vec::new() };
    for (tenant, issuer) in issuers {
        let loopback_http = checked(&issuer, report)?;
        let filled = |text: &str| text.replace(TENANT, tenant.as_deref().unwrap_or_default());
        let jwks_uri = jwks_uri.clone().map(|uri| uri.map(|text| filled(&text)));
        if let Some(uri) = &jwks_uri {
            let _is_loopback: Option<bool> = checked(uri, report);
        }
        let fetch = UpstreamFetch {
            name: template.name.clone(),
            jwks_uri: jwks_uri.map(|uri| uri.value),
            ca_file: table.text("ca_file").map(|t| t.value),
            loopback_http,
        };
        compiled.fetches.push((issuer.value.clone(), fetch));
        compiled.upstreams.push(Upstream { issuer: issuer.value, tenant, ..template.clone() });
    }
    Some(compiled)
}

/// Everything that is alike for all tenants.
fn template(
    table: &Table<'_>,
    federation: &Federation,
    report: &mut Report<'_>,
) -> Option<Upstream> {
    let preset = preset(table.text("preset").as_ref().map(|t| t.value.as_str()));
    let profile = profile::compile(table, preset.profile, report);
    let clock_slack = table.duration("clock_slack");
    if let Some(slack) =
        clock_slack.as_ref().filter(|s| s.value.seconds() > CLOCK_SLACK_SECONDS_MAX)
    {
        let message = format!("the slack is longer than {CLOCK_SLACK_SECONDS_MAX}s");
        let hint = "set the provider's clock, or this one's".to_owned();
        report.error(&slack.place, message, Some(hint));
    }
    let listed = algorithms(table);
    let name = table.text("name")?;
    let Some(shared) = federation.upstreams.get(&name.value) else {
        let known: Vec<&str> = federation.upstreams.keys().map(String::as_str).collect();
        let message = format!(
            "`{}` is no upstream of federation.toml, which says its audience and home region",
            name.value
        );
        report.error(&name.place, message, meant(&name.value, &known));
        return None;
    };
    Some(Upstream {
        name: name.value,
        issuer: String::new(),
        tenant: None,
        algorithms: if listed.is_empty() { preset.algorithms } else { listed },
        profile,
        audience: shared.audience.clone(),
        home: shared.home.clone(),
        scopes: scopes(table),
        acr_order: table.table("acr").map(|t| t.strings("order")).unwrap_or_default(),
        clock_slack: clock_slack.map_or(Ttl::from_seconds(0), |s| s.value),
        lifetime_max: table.duration("lifetime_max").map_or(preset.lifetime_max, |t| t.value),
    })
}

/// Algorithms that a table lists.
pub(super) fn algorithms(table: &Table<'_>) -> Vec<Algorithm> {
    table.strings("algorithms").iter().filter_map(|name| Algorithm::from_name(name)).collect()
}

/// The exact issuers, each with its tenant.
fn issuers(table: &Table<'_>, report: &mut Report<'_>) -> Vec<(Option<String>, At<String>)> {
    let Some(issuer) = table.text("issuer") else { return Vec::new() };
    let tenants = table.texts("tenants");
    let is_template = issuer.value.contains(TENANT);
    if is_template == tenants.is_empty() {
        let message = "`tenants` and `{tenant}` in `issuer` belong together";
        let hint = "an issuer that serves any tenant would be everybody's: list the tenants";
        report.error(&issuer.place, message, Some(hint.to_owned()));
        return Vec::new();
    }
    if !is_template {
        return vec![(None, issuer)];
    }
    let exact = |tenant: At<String>| {
        let value = issuer.value.replace(TENANT, &tenant.value);
        (Some(tenant.value), At { value, place: issuer.place.clone() })
    };
    tenants.into_iter().map(exact).collect()
}

/// Whether a URL is plain HTTP on loopback; an unacceptable one is reported.
fn checked(url: &At<String>, report: &mut Report<'_>) -> Option<bool> {
    match uri::check(&url.value) {
        Ok(checked) => Some(checked.loopback_http),
        Err(fault) => {
            report.error(&url.place, format!("`{}` is not acceptable: {fault}", url.value), None);
            None
        }
    }
}

fn scopes(table: &Table<'_>) -> ScopeRule {
    match table.raw("scopes").map(|raw| raw.value) {
        Some(DeValue::String(text)) if text == "policy" => ScopeRule::ByPolicy,
        Some(DeValue::Table(_)) => {
            let pair = |(name, value): (String, At<&DeValue<'_>>)| {
                (name, texts_of(&value).into_iter().map(|t| t.value).collect())
            };
            ScopeRule::FromToken(table.pairs("scopes").into_iter().map(pair).collect())
        }
        _ => ScopeRule::FromToken(BTreeMap::new()),
    }
}

/// Reports upstreams whose names or issuers are taken, or belong to a region.
pub(super) fn check_collisions(
    compiled: &[(Table<'_>, CompiledUpstream)],
    federation: &Federation,
    report: &mut Report<'_>,
) {
    let mut names: BTreeMap<&str, ()> = BTreeMap::new();
    let mut issuers: BTreeMap<&str, ()> = BTreeMap::new();
    for (table, compiled) in compiled {
        let place = |key| -> Place { table.place_of(key) };
        if let Some(first) = compiled.upstreams.first()
            && names.insert(&first.name, ()).is_some()
        {
            report.error(&place("name"), format!("two upstreams are named `{}`", first.name), None);
        }
        for upstream in &compiled.upstreams {
            let issuer = upstream.issuer.as_str();
            if issuers.insert(issuer, ()).is_some() {
                let message = format!("two upstreams have the issuer `{issuer}`");
                report.error(&place("issuer"), message, None);
            }
            if federation.regions.values().any(|r| r.issuer == issuer) {
                let message = format!("`{issuer}` is the issuer of a region, not a global one");
                report.error(&place("issuer"), message, None);
            }
        }
    }
}
