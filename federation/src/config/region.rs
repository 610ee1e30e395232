//! The file of one region: reads every table, checks them against each other, and makes the law
//! and the node's settings.

use std::collections::BTreeMap;

use super::{
    Files, claim, client, cluster,
    diagnostic::Report,
    federation::{Federation, jurisdiction, region_id, region_issuer},
    freshness, node, quasi, references, resource,
    settings::NodeSettings,
    table::Table,
    transfer,
    upstream::{self, CompiledUpstream},
};
use crate::{
    client::{Client, ClientId},
    freshness::Bounds,
    law::{Law, Resource},
    region::{Jurisdiction, RegionId},
    residency::{Action, ClaimRule, TransferRule},
    time::Ttl,
};

/// What the tables of the file say, each with its table, so that a finding has a place.
pub(super) struct Tables<'d> {
    pub(super) upstreams: Vec<(Table<'d>, CompiledUpstream)>,
    pub(super) rules: Vec<(Table<'d>, ClaimRule)>,
    pub(super) transfers: Vec<(Table<'d>, TransferRule)>,
    pub(super) resources: Vec<(Table<'d>, Resource)>,
    pub(super) clients: Vec<(Table<'d>, Client)>,
}

/// Which region this is.
struct Identity {
    region: RegionId,
    jurisdiction: Jurisdiction,
    issuer: String,
}

impl Tables<'_> {
    /// Names that rules release.
    pub(super) fn targets(&self) -> Vec<&str> {
        let releasing = self.rules.iter().filter(|(_, r)| r.action != Action::Drop);
        releasing.map(|(_, r)| r.to.as_str()).collect()
    }
}

/// Reads the region's file. `None` means that errors were reported; the law's digest is not set.
pub(super) fn compile(
    root: &Table<'_>,
    federation: &Federation,
    files: &Files<'_>,
    report: &mut Report<'_>,
) -> Option<(Law, NodeSettings)> {
    let identity = identity(root, federation, report);
    let here = identity.as_ref().map(|i| &i.region);
    let freshness = freshness::region(root, report);
    let tables = tables(root, (here, freshness.as_ref()), (federation, files), report);
    claim::check_targets(&tables.rules, report);
    upstream::check_collisions(&tables.upstreams, federation, report);
    references::check(&tables, here, federation, report);
    let settings = settings(root, report);
    if let Some(here) = here {
        cluster::check_federation(root, here, federation, report);
    }
    if root.has("cluster") {
        freshness::check_failover(root, &tables.resources, federation, report);
    }
    // What is unused or adds up can be told only of a file that is whole.
    if !report.has_errors() {
        references::warn_of_unused(&tables, report);
        quasi::check(&tables, report);
        if !root.has("upstream") {
            let message = "the region has no `[[upstream]]`, so no token can be exchanged";
            report.warning(&root.place, message, None);
        }
    }
    let identity = identity?;
    let (mut settings, ttl) = settings?;
    settings.upstreams =
        tables.upstreams.iter().flat_map(|(_, u)| u.fetches.iter().cloned()).collect();
    Some((law((identity, freshness?, ttl), federation, tables), settings))
}

fn tables<'d>(
    root: &Table<'d>,
    (here, freshness): (Option<&RegionId>, Option<&Bounds>),
    (federation, files): (&Federation, &Files<'_>),
    report: &mut Report<'_>,
) -> Tables<'d> {
    let upstreams = compiled(root, "upstream", |t| upstream::compile(t, federation, report));
    // Rules may name an upstream that did not compile: one mistake gives one finding.
    let names = root.tables("upstream").into_iter().filter_map(|t| Some(t.text("name")?.value));
    let names: Vec<String> = names.collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let default_rate = root.table("limits").map(|t| node::rate(&t));
    let default_rate = default_rate.unwrap_or(crate::client::Rate { per_second: 1, burst: 1 });
    Tables {
        upstreams,
        rules: compiled(root, "claim", |t| claim::compile(t, &names, report)),
        transfers: compiled(root, "transfer", |t| transfer::compile(t, here, federation, report)),
        resources: compiled(root, "resource", |t| resource::compile(t, freshness, report)),
        clients: compiled(root, "client", |t| client::compile(t, default_rate, files, report)),
    }
}

fn compiled<'d, T>(
    root: &Table<'d>,
    key: &str,
    mut compile: impl FnMut(&Table<'d>) -> Option<T>,
) -> Vec<(Table<'d>, T)> {
    let pair = |table: Table<'d>| compile(&table).map(|value| (table, value));
    root.tables(key).into_iter().filter_map(pair).collect()
}

fn identity(
    root: &Table<'_>,
    federation: &Federation,
    report: &mut Report<'_>,
) -> Option<Identity> {
    let table = root.table("region")?;
    let region = region_id(table.text("name"), report);
    let jurisdiction = jurisdiction(table.text("jurisdiction"), report);
    let issuer = region_issuer(table.text("issuer"), report);
    let identity = Identity { region: region?, jurisdiction: jurisdiction?, issuer: issuer? };
    let name = table.text("name")?;
    let _known: RegionId = federation.region(&name, report)?;
    let shared = federation.regions.get(&identity.region)?;
    let differs = |key: &str, here: &str, there: &str, report: &mut Report<'_>| {
        if here != there {
            let message = format!("`{here}` here, but `{there}` in federation.toml");
            let hint = "every region must see the same region: make them equal".to_owned();
            report.error(&table.place_of(key), message, Some(hint));
        }
    };
    differs("issuer", &identity.issuer, &shared.issuer, report);
    let (here, there) = (identity.jurisdiction.as_str(), shared.jurisdiction.as_str());
    differs("jurisdiction", here, there, report);
    Some(identity)
}

fn settings(root: &Table<'_>, report: &mut Report<'_>) -> Option<(NodeSettings, Ttl)> {
    let listen = node::listen(root, report);
    let keys = node::keys(root, report);
    let store = node::store(root, report);
    let audit = node::audit(root);
    let status_list = node::status_list(root, report);
    let cluster = cluster::cluster(root, report);
    let admin = cluster::admin(root, report);
    if let Some(listen) = &listen {
        cluster::check_listeners(root, listen, report);
    }
    let (limits, ttl) = node::limits(root, report)?;
    let settings = NodeSettings {
        listen: listen?,
        keys: keys?,
        store: store?,
        audit: audit?,
        status_list: status_list?,
        limits,
        upstreams: BTreeMap::new(),
        cluster: cluster?,
        admin: admin?,
    };
    Some((settings, ttl))
}

fn law(
    (identity, freshness, ttl): (Identity, Bounds, Ttl),
    federation: &Federation,
    tables: Tables<'_>,
) -> Law {
    let upstreams = tables.upstreams.into_iter().flat_map(|(_, u)| u.upstreams);
    let clients = tables.clients.into_iter().map(|(_, c)| (c.id.clone(), c));
    let clients: BTreeMap<ClientId, Client> = clients.collect();
    Law {
        region: identity.region,
        jurisdiction: identity.jurisdiction,
        issuer: identity.issuer,
        region_issuers: federation
            .regions
            .iter()
            .map(|(id, region)| (id.clone(), region.issuer.clone()))
            .collect(),
        // Filled in by `compile`, which has them.
        region_numbers: BTreeMap::new(),
        upstreams: upstreams.map(|u| (u.issuer.clone(), u)).collect(),
        rules: tables.rules.into_iter().map(|(_, rule)| rule).collect(),
        transfers: tables.transfers.into_iter().map(|(_, t)| (t.id.clone(), t)).collect(),
        resources: tables.resources.into_iter().map(|(_, r)| (r.id.clone(), r)).collect(),
        clients,
        access_token_ttl: ttl,
        freshness,
        digest: [0; 32],
    }
}
