//! `federation.toml`: regions and what all of them must agree on about a global provider. What the
//! ledger needs of it is read beside this file, in `nodes`.

use std::collections::BTreeMap;

use super::{
    diagnostic::{Place, Report, meant},
    federation_settings::FederationSettings,
    nodes,
    table::{At, Table},
    uri,
};
use crate::{
    region::{Jurisdiction, RegionId},
    trust::{HomeRegion, PeopleHome, ServicesHome},
};

/// What all regions share.
#[derive(Clone, Debug, Default)]
pub(super) struct Federation {
    pub(super) name: String,
    pub(super) regions: BTreeMap<RegionId, SharedRegion>,
    pub(super) upstreams: BTreeMap<String, SharedUpstream>,
    pub(super) settings: Option<FederationSettings>,
}

/// A region as the federation knows it.
#[derive(Clone, Debug)]
pub(super) struct SharedRegion {
    pub(super) jurisdiction: Jurisdiction,
    pub(super) issuer: String,
}

/// A global provider as the federation knows it.
#[derive(Clone, Debug)]
pub(super) struct SharedUpstream {
    pub(super) audience: Vec<String>,
    pub(super) home: HomeRegion,
}

impl Federation {
    pub(super) fn region_names(&self) -> Vec<&str> {
        self.regions.keys().map(RegionId::as_str).collect()
    }

    /// The region that a text names; an unknown one is reported.
    pub(super) fn region(&self, text: &At<String>, report: &mut Report<'_>) -> Option<RegionId> {
        let found = self.regions.keys().find(|r| r.as_str() == text.value);
        if found.is_none() {
            let message = format!("`{}` is no region of federation.toml", text.value);
            report.error(&text.place, message, meant(&text.value, &self.region_names()));
        }
        found.cloned()
    }
}

/// Reads the federation's file.
pub(super) fn compile(table: &Table<'_>, report: &mut Report<'_>) -> Federation {
    let mut federation = Federation::default();
    if let Some(name) = table.table("federation").and_then(|t| t.text("name")) {
        federation.name = name.value;
    }
    regions(table, &mut federation, report);
    upstreams(table, &mut federation, report);
    federation.settings = nodes::compile(table, &federation, table.digest(), report);
    federation
}

fn regions(table: &Table<'_>, federation: &mut Federation, report: &mut Report<'_>) {
    for region in table.tables("region") {
        if let Some((id, shared)) = shared_region(&region, report) {
            let issuer_taken = federation.regions.values().any(|r| r.issuer == shared.issuer);
            if issuer_taken {
                let message = format!("two regions have the issuer `{}`", shared.issuer);
                report.error(&region.place_of("issuer"), message, None);
            }
            if federation.regions.insert(id.clone(), shared).is_some() {
                let place = region.place_of("name");
                report.error(&place, format!("two regions are named `{id}`"), None);
            }
        }
    }
}

fn upstreams(table: &Table<'_>, federation: &mut Federation, report: &mut Report<'_>) {
    for upstream in table.tables("upstream") {
        let home = upstream.table("home_region").and_then(|t| home(&t, federation, report));
        let audience = upstream.strings("audience");
        if upstream.has("audience") && audience.is_empty() {
            let message =
                "no audience: no token of this provider could be meant for the federation";
            report.error(&upstream.place_of("audience"), message, None);
        }
        let (Some(name), Some(home)) = (upstream.text("name"), home) else { continue };
        let shared = SharedUpstream { audience, home };
        if federation.upstreams.insert(name.value.clone(), shared).is_some() {
            let message = format!("two upstreams are named `{}`", name.value);
            report.error(&name.place, message, None);
        }
    }
}

fn shared_region(table: &Table<'_>, report: &mut Report<'_>) -> Option<(RegionId, SharedRegion)> {
    let id = region_id(table.text("name"), report);
    let jurisdiction = jurisdiction(table.text("jurisdiction"), report);
    let issuer = region_issuer(table.text("issuer"), report);
    Some((id?, SharedRegion { jurisdiction: jurisdiction?, issuer: issuer? }))
}

/// The name of a `[[region]]`; `None` for a bad one, which was reported when the names were read.
pub(super) fn region_of(table: &Table<'_>) -> Option<RegionId> {
    RegionId::new(&table.text("name")?.value).ok()
}

/// A region's name; a bad one is reported.
pub(super) fn region_id(text: Option<At<String>>, report: &mut Report<'_>) -> Option<RegionId> {
    let text = text?;
    parsed(&text.place, RegionId::new(&text.value), report)
}

/// A jurisdiction; a bad one is reported.
pub(super) fn jurisdiction(
    text: Option<At<String>>,
    report: &mut Report<'_>,
) -> Option<Jurisdiction> {
    let text = text?;
    parsed(&text.place, Jurisdiction::new(&text.value), report)
}

/// A region's issuer; a bad one is reported.
pub(super) fn region_issuer(text: Option<At<String>>, report: &mut Report<'_>) -> Option<String> {
    let text = text?;
    let checked = uri::check_region_issuer(&text.value);
    let checked = checked.map_err(|fault| format!("`{}` is no issuer: {fault}", text.value));
    parsed(&text.place, checked, report).map(|_| text.value)
}

fn parsed<T, E: std::fmt::Display>(
    place: &Place,
    result: Result<T, E>,
    report: &mut Report<'_>,
) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            report.error(place, error.to_string(), None);
            None
        }
    }
}

fn home(table: &Table<'_>, federation: &Federation, report: &mut Report<'_>) -> Option<HomeRegion> {
    let services = services(table, federation, report);
    let people = match (table.text("fixed"), table.pointer("from")) {
        (Some(fixed), None) => PeopleHome::Fixed(federation.region(&fixed, report)?),
        (None, Some(from)) => {
            PeopleHome::Claim { from: from.value, map: home_map(table, federation, report) }
        }
        _ if table.has("from") && !table.has("fixed") => return None,
        _ => {
            let hint = "write { from = \"/claim\", map = { value = \"region\" } }, or \
                        { fixed = \"region\" } if all people are at home in one region";
            let message = "exactly one of `from` and `fixed` says where people are at home";
            report.error(&table.place, message, Some(hint.to_owned()));
            return None;
        }
    };
    if table.has("fixed") && table.has("map") {
        let message = "`map` belongs to `from`: with `fixed` there is nothing to look up";
        report.error(&table.place_of("map"), message, None);
    }
    Some(HomeRegion { people, services: services? })
}

fn home_map(
    table: &Table<'_>,
    federation: &Federation,
    report: &mut Report<'_>,
) -> BTreeMap<String, RegionId> {
    let mut map = BTreeMap::new();
    for (value, region) in table.pairs("map") {
        let Some(name) = region.value.as_str() else { continue };
        let text = At { value: name.to_owned(), place: region.place };
        if let Some(region) = federation.region(&text, report) {
            map.insert(value, region);
        }
    }
    if map.is_empty() && table.pairs("map").is_empty() {
        let message = "`map` is missing or empty: nobody would be at home anywhere";
        report.error(&table.place_of("map"), message, None);
    }
    map
}

fn services(
    table: &Table<'_>,
    federation: &Federation,
    report: &mut Report<'_>,
) -> Option<ServicesHome> {
    let text = table.text("services")?;
    match text.value.as_str() {
        "here" => Some(ServicesHome::Here),
        "refuse" => Some(ServicesHome::Refuse),
        _ => federation.region(&text, report).map(ServicesHome::Region),
    }
}
