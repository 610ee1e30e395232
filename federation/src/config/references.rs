//! Checks between the tables of a region's file: names that nothing has, names that two things
//! have, and, apart from these, what nobody uses.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    diagnostic::{Place, Report, meant},
    federation::Federation,
    region::Tables,
    table::{At, Table},
};
use crate::{
    client::{ClientId, Grant},
    law::Resource,
    region::RegionId,
    residency::Action,
    seal::FOREIGN_READERS_MAX,
};

/// Reports every broken or missing connection.
pub(super) fn check(
    tables: &Tables<'_>,
    here: Option<&RegionId>,
    federation: &Federation,
    report: &mut Report<'_>,
) {
    check_names(tables, federation, report);
    check_resources(tables, report);
    for (table, _) in &tables.resources {
        check_readers(table, here, federation, report);
    }
    check_client_numbers(tables, report);
    check_clients(tables, report);
    check_transfers(tables, report);
}

/// Warns of what is declared and has no effect.
pub(super) fn warn_of_unused(tables: &Tables<'_>, report: &mut Report<'_>) {
    warn_of_unused_claims(tables, report);
    warn_of_idle_clients(tables, report);
}

/// Resource ids, their short names, region issuers and client ids never collide: one text in
/// `audience`, `resource`, `aud` or `iss` means one thing.
fn check_names(tables: &Tables<'_>, federation: &Federation, report: &mut Report<'_>) {
    let mut taken: BTreeMap<String, &'static str> = BTreeMap::new();
    for region in federation.regions.values() {
        taken.insert(region.issuer.clone(), "the issuer of a region");
    }
    let mut take = |name: &str, what: &'static str, place: &Place, report: &mut Report<'_>| {
        if let Some(other) = taken.insert(name.to_owned(), what) {
            let message = format!("`{name}` names {what}, but is also {other}");
            report.error(place, message, None);
        }
    };
    for (table, resource) in &tables.resources {
        take(&resource.id, "a resource", &table.place_of("id"), report);
        if let Some(audience) = &resource.audience {
            take(audience, "the short name of a resource", &table.place_of("audience"), report);
        }
    }
    for (table, client) in &tables.clients {
        take(client.id.as_str(), "a client", &table.place_of("id"), report);
    }
    let mut ids = BTreeSet::new();
    for (table, transfer) in &tables.transfers {
        if !ids.insert(transfer.id.as_str()) {
            let message = format!("two transfers have the id `{}`", transfer.id);
            report.error(&table.place_of("id"), message, None);
        }
    }
}

fn check_resources(tables: &Tables<'_>, report: &mut Report<'_>) {
    let clients: Vec<&str> = tables.clients.iter().map(|(_, c)| c.id.as_str()).collect();
    for (table, _) in &tables.resources {
        known(&table.texts("claims"), &tables.targets(), "is released by no claim rule", report);
        known(&table.texts("introspect_as"), &clients, "is no client of this region", report);
        check_tenant(table, tables, report);
        known_acr(table.text("acr"), tables, report);
    }
}

/// Regions that may be asked about the tokens of a resource: each gets something sealed for it.
fn check_readers(
    table: &Table<'_>,
    here: Option<&RegionId>,
    federation: &Federation,
    report: &mut Report<'_>,
) {
    let readers = table.texts("introspect_in");
    if readers.len() > FOREIGN_READERS_MAX {
        let message = format!("at most {FOREIGN_READERS_MAX} other regions may be asked");
        let hint = "what is sealed for each takes 200 bytes of every token".to_owned();
        report.error(&table.place_of("introspect_in"), message, Some(hint));
    }
    let mut seen = BTreeSet::new();
    for text in readers {
        let Some(region) = federation.region(&text, report) else { continue };
        let numbered = |region: &RegionId| {
            let settings = federation.settings.as_ref();
            settings.is_none_or(|s| s.regions.get(region).is_some_and(|r| r.number.is_some()))
        };
        let without = [Some(&region), here].into_iter().flatten().find(|r| !numbered(r));
        if Some(&region) == here {
            let message = format!("`{region}` is this region, which is always asked");
            report.error(&text.place, message, None);
        } else if let Some(without) = without {
            let message = format!("`{without}` has no `number` in federation.toml");
            let hint = "what one region seals for another names both by number".to_owned();
            report.error(&text.place, message, Some(hint));
        } else if !seen.insert(region.clone()) {
            report.error(&text.place, format!("`{region}` stands there twice"), None);
        }
    }
}

/// Clients are revoked by numbers that follow from their ids: two with one number would be revoked
/// together. Among a thousand clients that happens once in 8,600 files.
fn check_client_numbers(tables: &Tables<'_>, report: &mut Report<'_>) {
    let mut taken: BTreeMap<u32, &ClientId> = BTreeMap::new();
    for (table, client) in &tables.clients {
        let other = taken.insert(client.id.number(), &client.id);
        if let Some(other) = other.filter(|other| **other != client.id) {
            let message = format!("`{}` would be revoked together with `{other}`", client.id);
            let hint = "their ids make one number: give one of them another id".to_owned();
            report.error(&table.place_of("id"), message, Some(hint));
        }
    }
}

fn check_clients(tables: &Tables<'_>, report: &mut Report<'_>) {
    let resources: Vec<&str> = tables.resources.iter().map(|(_, r)| r.id.as_str()).collect();
    let transfers: Vec<&str> = tables.transfers.iter().map(|(_, t)| t.id.as_str()).collect();
    for (table, _) in &tables.clients {
        known(&table.texts("resources"), &resources, "is no resource of this region", report);
        known(&table.texts("transfers"), &transfers, "is no transfer of this region", report);
        check_tenant(table, tables, report);
    }
}

fn check_transfers(tables: &Tables<'_>, report: &mut Report<'_>) {
    let clients: Vec<&str> = tables.clients.iter().map(|(_, c)| c.id.as_str()).collect();
    for (table, transfer) in &tables.transfers {
        known(&table.texts("claims"), &tables.targets(), "is released by no claim rule", report);
        for (id, value) in table.pairs("clients") {
            let text = At { value: id.clone(), place: value.place };
            known(std::slice::from_ref(&text), &clients, "is no client of this region", report);
            let found = tables.clients.iter().find(|(_, c)| c.id.as_str() == id);
            if found.is_some_and(|(_, c)| !c.transfers.contains(&transfer.id)) {
                let message = format!("the client `{id}` does not list `{}`", transfer.id);
                let hint = format!("write transfers = [\"{}\"] in its table", transfer.id);
                report.warning(&text.place, message, Some(hint));
            }
        }
        let limits = table.table("limits").and_then(|l| l.text("acr"));
        known_acr(limits, tables, report);
    }
}

fn check_tenant(table: &Table<'_>, tables: &Tables<'_>, report: &mut Report<'_>) {
    let Some(tenant) = table.text("tenant") else { return };
    let upstreams = tables.upstreams.iter().flat_map(|(_, u)| &u.upstreams);
    let tenants: Vec<&str> = upstreams.filter_map(|u| u.tenant.as_deref()).collect();
    known(&[tenant], &tenants, "is no tenant of an upstream", report);
}

fn known_acr(acr: Option<At<String>>, tables: &Tables<'_>, report: &mut Report<'_>) {
    let Some(acr) = acr else { return };
    let upstreams = tables.upstreams.iter().flat_map(|(_, u)| &u.upstreams);
    let order: Vec<&str> = upstreams.flat_map(|u| &u.acr_order).map(String::as_str).collect();
    known(&[acr], &order, "stands in no upstream's `acr.order`", report);
}

fn known(texts: &[At<String>], all: &[&str], problem: &str, report: &mut Report<'_>) {
    for text in texts.iter().filter(|t| !all.contains(&t.value.as_str())) {
        let message = format!("`{}` {problem}", text.value);
        report.error(&text.place, message, meant(&text.value, all));
    }
}

fn warn_of_unused_claims(tables: &Tables<'_>, report: &mut Report<'_>) {
    let by_resources = tables.resources.iter().flat_map(|(_, r)| &r.claims);
    let by_transfers = tables.transfers.iter().flat_map(|(_, t)| &t.claims);
    let used: BTreeSet<&String> = by_resources.chain(by_transfers).collect();
    for (table, rule) in &tables.rules {
        if rule.action != Action::Drop && !used.contains(&rule.to) {
            let message = format!("no resource and no transfer gets `{}`", rule.to);
            let hint = "list it in `claims` of a resource, or remove the rule".to_owned();
            report.warning(&table.place, message, Some(hint));
        }
    }
}

fn warn_of_idle_clients(tables: &Tables<'_>, report: &mut Report<'_>) {
    for (table, client) in &tables.clients {
        let asks = |r: &Resource| r.introspect_as.contains(&client.id);
        let targets = !client.resources.is_empty() || !client.transfers.is_empty();
        let place = table.place_of("id");
        if client.grants.is_empty() && targets {
            let message = "the client has targets but no grant, so it gets no token";
            report.warning(&place, message, Some("write grants = [\"token-exchange\"]".to_owned()));
        } else if client.grants.is_empty() && !tables.resources.iter().any(|(_, r)| asks(r)) {
            let message = "the client has no grant, and no resource names it in `introspect_as`";
            report.warning(&place, message, None);
        } else if client.grants.contains(&Grant::TokenExchange) && !targets {
            let message = "the client may exchange tokens, but for no resource and no transfer";
            report.warning(&place, message, None);
        }
    }
}
