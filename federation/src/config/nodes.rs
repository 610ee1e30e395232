//! The ledger's part of `federation.toml`: numbers, identity keys, stand-ins and nodes of the
//! regions, each by itself and against the others.

use std::{collections::BTreeMap, fmt::Display, time::Duration};

use super::{
    diagnostic::{Place, Report},
    federation::{Federation, region_of},
    federation_settings::{FederationNode, FederationRegion, FederationSettings},
    table::{At, Table},
};
use crate::{
    ledger::{Fixed, IdentityKey, LawVersion, NODES_MAX, REGIONS_MAX, STAND_INS_MAX},
    membership::{
        NodeId,
        voters::{self, VoterFault},
    },
    region::{RegionId, RegionNumber},
};

/// Longest host name (RFC 1035 section 2.3.4).
const HOST_BYTES_MAX: usize = 253;

/// What was seen so far, so that nothing is given twice.
#[derive(Default)]
struct Taken {
    numbers: BTreeMap<RegionNumber, RegionId>,
    identities: BTreeMap<IdentityKey, RegionId>,
    nodes: BTreeMap<NodeId, RegionId>,
    addresses: BTreeMap<String, NodeId>,
}

/// Reads what the ledger needs. `digest` is that of the law.
pub(super) fn compile(
    root: &Table<'_>,
    federation: &Federation,
    digest: [u8; 32],
    report: &mut Report<'_>,
) -> Option<FederationSettings> {
    let identity = root.table("federation")?;
    let tables = root.tables("region");
    let mut taken = Taken::default();
    let mut regions = BTreeMap::new();
    for table in &tables {
        let Some(name) = region_of(table) else { continue };
        let region = region(table, &name, federation, (&mut taken, report));
        regions.insert(name, region);
    }
    let settings = FederationSettings {
        name: federation.name.clone(),
        law: LawVersion { digest: Fixed(digest), version: u64::from(identity.integer("version")?) },
        max_rtt: Duration::from_millis(u64::from(identity.integer("max_rtt_ms")?)),
        regions,
    };
    check_whole((root, &tables), &settings, report);
    Some(settings)
}

/// Gives a thing to an owner; one that has an owner already is reported.
fn take<T: Ord + Display, O: Clone + Display>(
    all: &mut BTreeMap<T, O>,
    (what, thing): (&str, T),
    owner: &O,
    (place, report): (&Place, &mut Report<'_>),
) {
    if let Some(other) = all.get(&thing) {
        report.error(place, format!("{what} `{thing}` is already that of `{other}`"), None);
        return;
    }
    all.insert(thing, owner.clone());
}

fn region(
    table: &Table<'_>,
    name: &RegionId,
    federation: &Federation,
    (taken, report): (&mut Taken, &mut Report<'_>),
) -> FederationRegion {
    let number = table.has("number").then(|| table.integer("number")).flatten();
    let number = number.and_then(|n| u16::try_from(n).ok()).and_then(RegionNumber::new);
    if let Some(number) = number {
        let place = table.place_of("number");
        take(&mut taken.numbers, ("the number", number), name, (&place, report));
    }
    let identity = table.text("identity").and_then(|text| identity(&text, report));
    if let Some(key) = identity {
        let place = table.place_of("identity");
        take(&mut taken.identities, ("the identity key", key), name, (&place, report));
    }
    let mut nodes = BTreeMap::new();
    for node in table.tables("node") {
        if let Some((id, node)) = self::node(&node, name, taken, report) {
            nodes.insert(id, node);
        }
    }
    FederationRegion {
        number,
        identity,
        ca: table.text("ca").map(|text| text.value),
        stand_ins: stand_ins(table, name, federation, report),
        witness: table.flag("witness"),
        prefer_leader: table.flag("prefer_leader"),
        nodes,
    }
}

fn identity(text: &At<String>, report: &mut Report<'_>) -> Option<IdentityKey> {
    match IdentityKey::parse(&text.value) {
        Ok(key) => Some(key),
        Err(error) => {
            let hint = "copy the line `identity = …` that `exequatur init` prints in that region";
            let message = format!("`{}` is no identity key: {error}", text.value);
            report.error(&text.place, message, Some(hint.to_owned()));
            None
        }
    }
}

fn stand_ins(
    table: &Table<'_>,
    name: &RegionId,
    federation: &Federation,
    report: &mut Report<'_>,
) -> Vec<RegionId> {
    let mut found = Vec::new();
    for text in table.texts("stand_ins") {
        let Some(stand_in) = federation.region(&text, report) else { continue };
        if stand_in == *name {
            report.error(&text.place, "a region does not stand in for itself", None);
        } else if found.contains(&stand_in) {
            report.error(&text.place, format!("`{stand_in}` is listed twice"), None);
        } else {
            found.push(stand_in);
        }
    }
    if found.len() > STAND_INS_MAX {
        let message = format!("a region has at most {STAND_INS_MAX} stand-ins");
        report.error(&table.place_of("stand_ins"), message, None);
    }
    found
}

fn node(
    table: &Table<'_>,
    region: &RegionId,
    taken: &mut Taken,
    report: &mut Report<'_>,
) -> Option<(NodeId, FederationNode)> {
    let text = table.text("id");
    let id = text.as_ref().and_then(|text| {
        let id = NodeId::from_hex(&text.value);
        if id.is_none() {
            let hint = "copy the lines `[[region.node]]` that `exequatur init` prints there";
            let message = format!("`{}` is no node id: 16 of 0-9 and a-f", text.value);
            report.error(&text.place, message, Some(hint.to_owned()));
        }
        id
    });
    let address = table.text("address").and_then(|text| address(text, report));
    let (id, address) = (id?, address?);
    take(&mut taken.nodes, ("the node id", id), region, (&table.place_of("id"), report));
    let place = table.place_of("address");
    take(&mut taken.addresses, ("the address", address.clone()), &id, (&place, report));
    Some((id, FederationNode { address, voter: table.flag("voter") }))
}

/// Host and port. An IPv6 address stands in brackets.
fn address(text: At<String>, report: &mut Report<'_>) -> Option<String> {
    let fault = match text.value.rsplit_once(':') {
        Some((host, port)) if is_host(host) => {
            let digits = port.bytes().all(|b| b.is_ascii_digit());
            let port = port.parse::<u16>().ok().filter(|port| digits && *port != 0);
            if port.is_some() {
                return Some(text.value);
            }
            "the port is no number from 1 to 65535"
        }
        Some(_) => "the host is neither a name nor an address",
        None => "the port is missing",
    };
    let message = format!("`{}` is no address of a node: {fault}", text.value);
    let hint = "as in eu1.example:8445, 192.0.2.7:8445 or [2001:db8::7]:8445".to_owned();
    report.error(&text.place, message, Some(hint));
    None
}

fn is_host(text: &str) -> bool {
    if let Some(inner) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        return inner.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    let sized = !text.is_empty() && text.len() <= HOST_BYTES_MAX;
    sized && text.bytes().all(plain) && !text.starts_with(['.', '-'])
}

/// What can be judged only when every region was read.
fn check_whole(
    (root, tables): (&Table<'_>, &[Table<'_>]),
    settings: &FederationSettings,
    report: &mut Report<'_>,
) {
    let regions = &settings.regions;
    if regions.len() > REGIONS_MAX {
        let message = format!("a federation has at most {REGIONS_MAX} regions");
        report.error(&root.place_of("region"), message, None);
    }
    let nodes: usize = regions.values().map(|region| region.nodes.len()).sum();
    let Some(first) = tables.iter().find(|table| table.has("node")) else { return };
    for table in tables.iter().filter(|table| !table.has("number")) {
        let message = "the region has no `number`, but the federation has nodes";
        let hint = "give every region a number that no region ever had".to_owned();
        report.error(&table.place_of("name"), message, Some(hint));
    }
    if nodes > NODES_MAX {
        report.error(&first.place, format!("a federation has at most {NODES_MAX} nodes"), None);
    }
    // A node that could not be read may be the voter that seems to be missing.
    if !report.has_errors() {
        check_voters(tables, settings, first, report);
    }
}

fn check_voters(
    tables: &[Table<'_>],
    settings: &FederationSettings,
    first: &Table<'_>,
    report: &mut Report<'_>,
) {
    for fault in voters::faults(settings.voters().into_values()) {
        let hint = "add the nodes that are missing, or write `voter = false` for those that are \
                    not to vote yet";
        match fault {
            VoterFault::Empty => {
                let message = "no node is a voter: the cluster cannot be bootstrapped";
                report.warning(&first.place_of("node"), message, None);
            }
            VoterFault::Even { .. } | VoterFault::FewRegions { .. } => {
                let place = first.place_of("node");
                report.error(&place, fault.to_string(), Some(hint.to_owned()));
            }
            VoterFault::Concentrated { region, got, count, max } => {
                let name = settings.region(region).map(|(name, _)| name);
                let table = tables.iter().find(|table| region_of(table).as_ref() == name);
                let message = format!(
                    "the region has {got} of {count} voters, but may have {max}: without it, the \
                     others would be no quorum"
                );
                report.error(&table.unwrap_or(first).place_of("node"), message, None);
            }
        }
    }
}

#[cfg(test)]
#[path = "nodes_test.rs"]
mod tests;
