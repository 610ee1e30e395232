//! The configuration of a lab: one region, three global issuers, and clients and resources of every
//! kind that a case needs.

use std::path::Path;

use exequatur_federation::{client::SecretHash, config::secret_hash_text};
use serde_json::{Value, json};

use super::pages::Pages;

/// The region's issuer. Nothing is served there: what is sent to the node names it or does not.
pub(crate) const ISSUER: &str = "https://eu.exequatur.example/eu";
/// Issuer and host of another region of the federation.
pub(crate) const OTHER_ISSUER: &str = "https://us.exequatur.example/us";
pub(crate) const OTHER_HOST: &str = "us.exequatur.example";
pub(crate) const ORDERS: &str = "https://api.example/orders";
pub(crate) const BILLING: &str = "https://api.example/billing";
pub(crate) const VAULT: &str = "https://api.example/vault";
pub(crate) const TREASURY: &str = "https://api.example/treasury";
pub(crate) const TENANT_ONLY: &str = "https://api.example/tenant-a";
/// Meant for this federation.
pub(crate) const AUDIENCE: &str = "exequatur";
/// The secret of every client that has one.
pub(crate) const SECRET: &str = "AbcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ";

/// Clients with a secret: id, and the rest of the table.
const SECRET_CLIENTS: &[(&str, &str)] = &[
    (
        "gateway",
        r#"grants = ["token-exchange"]
resources = ["ORDERS", "BILLING", "VAULT", "TREASURY", "TENANT"]
upstream_ids = ["gateway-upstream"]
acts_as = "subject""#,
    ),
    (
        "single",
        r#"grants = ["token-exchange"]
resources = ["ORDERS"]
upstream_ids = ["gateway-upstream"]"#,
    ),
    (
        "outsider",
        r#"grants = ["token-exchange"]
resources = ["ORDERS"]"#,
    ),
    (
        "bound",
        r#"grants = ["token-exchange"]
resources = ["ORDERS"]
upstream_ids = ["*"]
tenant = "tenant-a""#,
    ),
    (
        "bearer",
        r#"grants = ["jwt-bearer"]
resources = ["ORDERS"]"#,
    ),
    (
        "slow",
        r#"grants = ["token-exchange"]
resources = ["ORDERS"]
upstream_ids = ["gateway-upstream"]
rate = { per_second = 1, burst = 2 }"#,
    ),
    ("watcher", "grants = []"),
    ("biller", "grants = []"),
    ("idle", "grants = []"),
];

/// Clients with keys: id, and what stands in `auth` beside the file.
const KEY_CLIENTS: &[(&str, &str)] =
    &[("signer", ""), ("lenient", r#", assertion_audience = "issuer-or-token-endpoint""#)];

/// What differs between labs.
#[derive(Clone, Default)]
pub(crate) struct Variation {
    /// `[keys]`; software keys in the directory if left out.
    pub(crate) keys: Option<String>,
    /// URL of the database; a file in the directory if left out.
    pub(crate) store: Option<String>,
    /// A client that is not registered.
    pub(crate) without_client: Option<&'static str>,
    /// Address of the public listener; a free port if left out.
    pub(crate) listen: Option<[std::net::SocketAddr; 2]>,
}

/// Writes `federation.toml`, `region.toml` and the key sets of clients.
pub(crate) fn write(directory: &Path, pages: &Pages, clients: &Value, variation: &Variation) {
    let put = |name: &str, text: String| std::fs::write(directory.join(name), text).unwrap();
    put("federation.toml", federation_file());
    put("region.toml", region_file(pages, variation));
    for (id, keys) in clients.as_object().unwrap() {
        put(&format!("{id}.jwks"), json!({"keys": keys}).to_string());
    }
}

fn federation_file() -> String {
    format!(
        r#"[federation]
name = "lab"

[[region]]
name = "eu-central"
jurisdiction = "EU"
issuer = "{ISSUER}"

[[region]]
name = "us-east"
jurisdiction = "US"
issuer = "{OTHER_ISSUER}"

[[upstream]]
name = "global"
audience = ["{AUDIENCE}"]
home_region = {{ from = "/region", map = {{ eu = "eu-central", us = "us-east" }}, services = "here" }}

[[upstream]]
name = "partner"
audience = ["{AUDIENCE}"]
home_region = {{ fixed = "eu-central" }}

[[upstream]]
name = "entra"
audience = ["{AUDIENCE}"]
home_region = {{ fixed = "eu-central" }}
"#
    )
}

fn region_file(pages: &Pages, variation: &Variation) -> String {
    let keys = variation.keys.clone().unwrap_or_else(|| {
        "provider = \"software\"\n\
         software = { file = \"keys.sealed\", passphrase_file = \"passphrase\" }"
            .to_owned()
    });
    let store = variation.store.as_deref().unwrap_or("sqlite:region.db");
    let free = || "127.0.0.1:0".to_owned();
    let [public, operations] = match variation.listen {
        Some(addresses) => addresses.map(|address| address.to_string()),
        None => [free(), free()],
    };
    let [global, partner, entra] = ["/global", "/partner", ""].map(|path| pages.url(path));
    let mut file = format!(
        r#"[region]
name = "eu-central"
jurisdiction = "EU"
issuer = "{ISSUER}"

[listen]
public = "{public}"
operations = "{operations}"
plain_http = true

[keys]
{keys}

[store]
url = "{store}"

[status_list]
publish_every = "1s"

[limits]
rate = {{ per_second = 1000000, burst = 1000000 }}

[[upstream]]
name = "global"
preset = "keycloak"
issuer = "{global}"
acr = {{ order = ["bronze", "silver", "gold"] }}

[[upstream]]
name = "partner"
issuer = "{partner}"
algorithms = ["ES256"]

[[upstream]]
name = "entra"
preset = "entra"
issuer = "{entra}/{{tenant}}/v2.0"
tenants = ["tenant-a", "tenant-b"]
algorithms = ["ES256"]
scopes = "policy"
"#
    );
    file.push_str(RULES);
    file.push_str(&resources());
    for (id, rest) in SECRET_CLIENTS.iter().filter(|(id, _)| variation.without_client != Some(id)) {
        let hash = secret_hash_text(&SecretHash::of([7; 16], SECRET));
        let post = if *id == "single" { ", post = true" } else { "" };
        let auth = format!("auth = {{ secret_sha256 = [\"{hash}\"]{post} }}");
        file.push_str(&format!("\n[[client]]\nid = \"{id}\"\n{auth}\n{}\n", named(rest)));
    }
    for (id, rest) in KEY_CLIENTS {
        file.push_str(&format!(
            r#"
[[client]]
id = "{id}"
auth = {{ private_key_jwt = "{id}.jwks"{rest} }}
grants = ["token-exchange"]
resources = ["{ORDERS}"]
upstream_ids = ["gateway-upstream"]
"#
        ));
    }
    file
}

const RULES: &str = r#"
[[claim]]
upstream = "global"
from = "/realm_access/roles"
class = "entitlement"
action = { map = { reader = "reader" } }
to = "roles"

[[claim]]
upstream = "global"
from = "/department"
class = "organisation"
action = "keep"
required = true
when = { at = "/needs_department", equals = true }

[[claim]]
upstream = "entra"
from = "/groups"
class = "entitlement"
action = { map = { g1 = "reader" } }
to = "groups"
"#;

fn resources() -> String {
    let resource = |id: &str, rest: &str| format!("\n[[resource]]\nid = \"{id}\"\n{rest}\n");
    [
        resource(
            ORDERS,
            r#"audience = "orders"
scopes = ["orders:read", "orders:write"]
claims = ["roles", "department", "groups"]
introspect_as = ["watcher", "signer"]"#,
        ),
        resource(BILLING, "introspect_as = [\"biller\"]"),
        resource(VAULT, "require_sender_constraint = true"),
        resource(TREASURY, "acr = \"silver\"\nauth_age_max = \"300s\""),
        resource(TENANT_ONLY, "tenant = \"tenant-a\""),
    ]
    .concat()
}

fn named(text: &str) -> String {
    [
        ("ORDERS", ORDERS),
        ("BILLING", BILLING),
        ("VAULT", VAULT),
        ("TREASURY", TREASURY),
        ("TENANT", TENANT_ONLY),
    ]
    .iter()
    .fold(text.to_owned(), |text, (name, id)| {
        text.replace(&format!("\"{name}\""), &format!("\"{id}\""))
    })
}
