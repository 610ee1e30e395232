//! The files of the lab's federation: what a region file and `federation.toml` look like is known
//! here and nowhere else in these tests.

use std::fmt::Write as _;

use super::{FEDERATION, NO_ISSUER, http, site::Site};

/// Elections follow the longest round trip; on one machine it is short.
const MAX_RTT_MS: u32 = 20;

/// The port of every node for clients.
const PUBLIC_PORT: u16 = 8443;

/// One region of the federation.
pub(crate) struct RegionNames {
    pub(crate) number: u16,
    pub(crate) name: &'static str,
    pub(crate) jurisdiction: &'static str,
}

/// All of them.
pub(crate) const REGIONS: [RegionNames; 3] = [
    RegionNames { number: 1, name: "eu-central", jurisdiction: "EU" },
    RegionNames { number: 2, name: "us-east", jurisdiction: "US" },
    RegionNames { number: 3, name: "ap-southeast", jurisdiction: "SG" },
];

impl RegionNames {
    fn issuer(&self) -> String {
        format!("https://{}.id.example", self.name)
    }
}

/// `region.toml` of a site.
pub(crate) fn region_file(region: &RegionNames, peer: &str, upstream: &str) -> String {
    let RegionNames { name, jurisdiction, .. } = region;
    let issuer = region.issuer();
    let (public, client, secret) = (public_address(peer), http::CLIENT, http::secret_hash());
    format!(
        r#"[region]
name         = "{name}"
jurisdiction = "{jurisdiction}"
issuer       = "{issuer}"

[listen]
public     = "{public}"
operations = "127.0.0.1:0"
plain_http = true
peer       = "{peer}"
admin      = "unix:admin.sock"

[cluster]
directory = "cluster"
anchor    = "anchor/node"
tls       = {{ certificate = "peer.pem", private_key = "peer.key" }}

[keys]
provider = "software"
software = {{ file = "keys.sealed", passphrase_file = "passphrase" }}

[store]
url = "sqlite:region.db"

[[upstream]]
name   = "global"
preset = "keycloak"
issuer = "{upstream}"

[[claim]]
from   = "/email"
class  = "contact"
action = {{ coarsen = "email-domain", domains = ["example.com"] }}
to     = "email_domain"

[[resource]]
id     = "https://api.{name}.example/orders"
scopes = ["orders:read"]
claims = ["email_domain"]
introspect_as = ["{client}"]

[[client]]
id           = "{client}"
auth         = {{ secret_sha256 = ["{secret}"] }}
grants       = ["token-exchange"]
resources    = ["https://api.{name}.example/orders"]
upstream_ids = ["gateway"]
acts_as      = "subject"
"#
    )
}

/// Where clients reach a node: beside where other nodes reach it, or anywhere in a network of its
/// own.
pub(crate) fn public_address(peer: &str) -> String {
    match peer.rsplit_once(':') {
        Some((host, _)) if host.starts_with("127.") => format!("{host}:{PUBLIC_PORT}"),
        _ => "127.0.0.1:0".to_owned(),
    }
}

/// What one copy of `federation.toml` says.
pub(crate) struct Law {
    /// Counted up with each change.
    pub(crate) version: u32,
    /// An audience that nothing uses: changing it changes the law.
    pub(crate) audience: String,
}

impl Default for Law {
    fn default() -> Self {
        Self { version: 1, audience: "https://exequatur.example".to_owned() }
    }
}

/// `federation.toml` with what is known of the sites: their ids and their regions' identities.
pub(crate) fn federation_file(law: &Law, sites: &[Site]) -> String {
    let Law { version, audience } = law;
    let mut file = format!(
        "[federation]\nname       = \"{FEDERATION}\"\nversion    = {version}\nmax_rtt_ms = {MAX_RTT_MS}\n"
    );
    for region in &REGIONS {
        file.push_str(&region_table(region, sites));
    }
    let map: Vec<String> =
        REGIONS.iter().map(|region| format!("{0} = \"{0}\"", region.name)).collect();
    write!(
        file,
        r#"
[[upstream]]
name        = "global"
audience    = ["{audience}"]
home_region = {{ from = "/region", map = {{ {map} }}, services = "here" }}
"#,
        map = map.join(", ")
    )
    .unwrap();
    file
}

fn region_table(region: &RegionNames, sites: &[Site]) -> String {
    let RegionNames { number, name, jurisdiction } = region;
    let issuer = region.issuer();
    let mut table = format!(
        r#"
[[region]]
number       = {number}
name         = "{name}"
jurisdiction = "{jurisdiction}"
issuer       = "{issuer}"
"#
    );
    let ours = || sites.iter().filter(|site| site.region().number == *number);
    if let Some(identity) = ours().find_map(Site::identity) {
        write!(table, "identity     = \"{identity}\"\nca           = \"tls/{name}-ca.pem\"\n")
            .unwrap();
    }
    for site in ours() {
        if let Some(id) = site.id() {
            let (address, voter) = (site.address(), site.is_voter());
            write!(
                table,
                "[[region.node]]\nid      = \"{id}\"\naddress = \"{address}\"\nvoter   = {voter}\n"
            )
            .unwrap();
        }
    }
    table
}

#[test]
fn the_files_are_those_of_a_region_without_findings() {
    let directory = tempfile::tempdir().unwrap();
    let sites: Vec<Site> = (0..REGIONS.len())
        .map(|n| {
            let home = directory.path().join(n.to_string());
            Site::new(home, &REGIONS[n], format!("127.0.0.1:{}", 8_445 + n), (true, NO_ISSUER))
        })
        .collect();
    for site in &sites {
        site.write_federation(&federation_file(&Law::default(), &sites));
        let said = site.exequatur(&["config", "check"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert_eq!(said.err, "", "{said:?}");
    }
}
