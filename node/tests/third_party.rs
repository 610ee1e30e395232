//! The proof by others: a global issuer and clients that are not ours drive the built binary over
//! HTTPS. The programs are in `third-party/`; here they are only started, given a plan, and believed
//! when they exit with 0 and name what they did. RFC 7009, 7523, 7662, 8414, 8693, 9068, 9701;
//! Token Status List draft -21.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed setup step should fail the test"
)]

mod harness;

use std::path::Path;

use harness::{Client, Region, Settings, programs};
use serde_json::{Value, json};

/// The resource that the regional tokens are for, and the scope that is asked for it.
const RESOURCE: &str = "https://api.eu.example/orders";
const SCOPE: &str = "orders:read";

#[test]
fn a_client_written_with_authlib_and_joserfc_has_its_token_exchanged_verified_and_revoked() {
    let directory = tempfile::tempdir().unwrap();
    let issuer = programs::GlobalIssuer::start();
    let keys = [("orders-gateway", "ES256"), ("orders-api", "PS256"), ("orders-batch", "RS256")];
    programs::run(programs::python("keys.py").arg(directory.path()).args(key_arguments(&keys)));

    let region = start(directory.path(), &issuer);
    let plan = write_plan(directory.path(), &region, &issuer);
    let summary = programs::run(programs::python("journey.py").arg(plan));

    assert_eq!(
        clients_of(&summary["exchanges"]),
        ["orders-gateway", "orders-batch"],
        "the journey names the clients it exchanged for: {summary}"
    );
    assert_eq!(summary["refusals"].as_object().map(serde_json::Map::len), Some(5), "{summary}");
    let offline = &summary["offline"];
    assert_eq!([&offline["accepted"], &offline["refused"]], [2, 2], "{summary}");
}

#[test]
fn a_client_written_with_openid_client_and_oauth4webapi_has_its_token_exchanged_and_revoked() {
    let directory = tempfile::tempdir().unwrap();
    let issuer = programs::GlobalIssuer::start();
    let keys = [("orders-gateway", "ES256"), ("orders-api", "Ed25519"), ("orders-batch", "RS256")];
    let mut maker = programs::javascript("keys.mjs");
    programs::run(maker.arg(directory.path()).args(key_arguments(&keys)));

    let region = start(directory.path(), &issuer);
    let plan = write_plan(directory.path(), &region, &issuer);
    let mut journey = programs::javascript("journey.mjs");
    let summary = programs::run(journey.arg(plan).env("NODE_EXTRA_CA_CERTS", region.ca_file()));

    assert_eq!(summary["openid-client"]["client_id"], "orders-gateway", "{summary}");
    assert_eq!(
        clients_of(&summary["oauth4webapi"]),
        ["orders-gateway", "orders-batch"],
        "the journey names the clients it exchanged for: {summary}"
    );
}

fn start(directory: &Path, issuer: &programs::GlobalIssuer) -> Region {
    Region::start(&Settings {
        directory,
        upstream_issuer: &issuer.issuer,
        upstream_audience: "exequatur",
        resource: RESOURCE,
        scopes: &[SCOPE, "orders:write"],
        introspecting_client: "orders-api",
        exchanging_clients: &[
            Client { id: "orders-gateway", endpoint_audience: false },
            Client { id: "orders-batch", endpoint_audience: true },
        ],
    })
}

/// What the programs read: where everything is, and what the region's rules should write.
fn write_plan(
    directory: &Path,
    region: &Region,
    issuer: &programs::GlobalIssuer,
) -> std::path::PathBuf {
    let client = |id: &str| json!({ "id": id, "key_file": directory.join(format!("{id}.jwk")) });
    let plan = json!({
        "issuer": region.issuer(),
        "ca_file": region.ca_file(),
        "mint_url": issuer.mint_url,
        "resource": RESOURCE,
        "scope": SCOPE,
        "expected_claims": {
            "roles": ["reader"],
            "age_over_18": true,
            "email_domain": "example.com",
        },
        "clients": {
            "gateway": client("orders-gateway"),
            "api": client("orders-api"),
            "batch": client("orders-batch"),
        },
    });
    let path = directory.join("plan.json");
    std::fs::write(&path, plan.to_string()).unwrap();
    path
}

fn key_arguments(keys: &[(&str, &str)]) -> Vec<String> {
    keys.iter().map(|(id, algorithm)| format!("{id}:{algorithm}")).collect()
}

fn clients_of(exchanges: &Value) -> Vec<&str> {
    let listed = exchanges.as_array().map(Vec::as_slice).unwrap_or_default();
    listed.iter().filter_map(|exchange| exchange["client_id"].as_str()).collect()
}
