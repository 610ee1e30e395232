//! The node's part in the ledger: `[cluster]`, `[admin]`, and what they ask of `[listen]`
//! and `federation.toml`.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use super::{
    diagnostic::Report,
    federation::Federation,
    settings::{Admin, AdminAddress, Cluster, Listen, TlsFiles},
    table::Table,
};
use crate::{
    operator::{Role, Roles},
    region::RegionId,
};

/// Most operators' names: a list longer than this should be a group's certificate.
const ROLES_MAX: usize = 256;

/// Reads `[cluster]`; `None` within means that there is none.
pub(super) fn cluster(root: &Table<'_>, report: &mut Report<'_>) -> Option<Option<Cluster>> {
    if !root.has("cluster") {
        return Some(None);
    }
    let table = root.table("cluster")?;
    let (directory, anchor) = (table.text("directory"), table.text("anchor"));
    if let (Some(directory), Some(anchor)) = (&directory, &anchor)
        && lies_in(&anchor.value, &directory.value)
    {
        let message = "the anchor lies in the cluster's directory, so it would be lost or restored \
                       together with it";
        let hint = "name a file elsewhere, best on another disk".to_owned();
        report.error(&anchor.place, message, Some(hint));
    }
    Some(Some(Cluster { directory: directory?.value, anchor: anchor?.value, tls: tls(&table)? }))
}

/// Reads `[admin]`; `None` within means that there is none.
pub(super) fn admin(root: &Table<'_>, report: &mut Report<'_>) -> Option<Option<Admin>> {
    if !root.has("admin") {
        return Some(None);
    }
    let table = root.table("admin")?;
    let mut roles = BTreeMap::new();
    for (name, role) in table.pairs("roles") {
        if !name.starts_with("spiffe://") {
            let message = format!("`{name}` is no SAN URI of an operator's certificate");
            let hint = "as in \"spiffe://example/operator/audit\"".to_owned();
            report.error(&role.place, message, Some(hint));
        }
        let role = Role::ALL.into_iter().find(|known| role.value.as_str() == Some(known.as_str()));
        roles.extend(role.map(|role| (name, role)));
    }
    if table.has("roles") && roles.is_empty() {
        let message = "`roles` names nobody, so everybody would be refused";
        report.error(&table.place_of("roles"), message, None);
    }
    if roles.len() > ROLES_MAX {
        let message = format!("`roles` has more than {ROLES_MAX} names");
        report.error(&table.place_of("roles"), message, None);
    }
    let (tls, client_ca) = (tls(&table), table.text("client_ca"));
    Some(Some(Admin { tls: tls?, client_ca: client_ca?.value, roles: Roles::new(roles) }))
}

fn tls(table: &Table<'_>) -> Option<TlsFiles> {
    let tls = table.table("tls")?;
    Some(TlsFiles {
        certificate: tls.text("certificate")?.value,
        private_key: tls.text("private_key")?.value,
    })
}

/// Checks listeners against the tables that they need.
pub(super) fn check_listeners(root: &Table<'_>, listen: &Listen, report: &mut Report<'_>) {
    let Some(table) = root.table("listen") else { return };
    match (listen.peer.is_some(), root.has("cluster")) {
        (true, false) => {
            let message = "other nodes have nothing to say to a region without `[cluster]`";
            let hint = "add the table `[cluster]`, or remove `peer`".to_owned();
            report.error(&table.place_of("peer"), message, Some(hint));
        }
        (false, true) => {
            let message = "`[cluster]` needs `listen.peer`: other nodes could not reach this one";
            let hint = "write peer = \"0.0.0.0:8445\" under [listen]".to_owned();
            report.error(&root.place_of("cluster"), message, Some(hint));
        }
        _ => {}
    }
    if matches!(listen.admin, Some(AdminAddress::Tcp(_))) && !root.has("admin") {
        let message = "the operator's service would listen on the network and know no operator";
        let hint = "add the table `[admin]`, or listen on \"unix:/path\"".to_owned();
        report.error(&table.place_of("admin"), message, Some(hint));
    }
}

/// Checks this region against its part of `federation.toml`.
pub(super) fn check_federation(
    root: &Table<'_>,
    here: &RegionId,
    federation: &Federation,
    report: &mut Report<'_>,
) {
    let Some(settings) = &federation.settings else { return };
    let Some(region) = settings.regions.get(here) else { return };
    if !root.has("cluster") {
        if !region.nodes.is_empty() {
            let message = "federation.toml has nodes of this region, but without `[cluster]` this \
                           one is alone";
            report.warning(&root.place_of("region"), message, None);
        }
        return;
    }
    if region.number.is_none() {
        let message = format!("`{here}` has no `number` in federation.toml");
        let hint = "a region with `[cluster]` needs one: write number = … in its [[region]]";
        report.error(&root.place_of("cluster"), message, Some(hint.to_owned()));
    }
}

/// Whether a path lies in a directory, as far as their texts can tell: of a relative and an absolute
/// one they cannot.
fn lies_in(path: &str, directory: &str) -> bool {
    let (path, directory) = (plain(path), plain(directory));
    path.is_absolute() == directory.is_absolute() && path.starts_with(directory)
}

/// A path without `.` and, as far as text can tell, without `..`.
fn plain(path: &str) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if plain.file_name().is_some() => {
                plain.pop();
            }
            Component::ParentDir
            | Component::Normal(_)
            | Component::Prefix(_)
            | Component::RootDir => plain.push(part),
        }
    }
    plain
}
