//! The example configurations, and the error messages of broken ones.

use exequatur_federation::config::{Compiled, Diagnostic, Severity, SourceFile, compile};

const FEDERATION: &str = include_str!("../../region-configs/federation.toml");

fn source(name: &str, text: &str) -> SourceFile {
    SourceFile { name: name.to_owned(), text: text.to_owned() }
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    let text = match path {
        "clients/analytics-batch.jwks" => {
            include_str!("../../region-configs/clients/analytics-batch.jwks")
        }
        "clients/catalogue-api.jwks" => {
            include_str!("../../region-configs/clients/catalogue-api.jwks")
        }
        "clients/orders-api.jwks" => include_str!("../../region-configs/clients/orders-api.jwks"),
        "clients/orders-gateway.jwks" => {
            include_str!("../../region-configs/clients/orders-gateway.jwks")
        }
        "clients/support-gateway-us.jwks" => {
            include_str!("../../region-configs/clients/support-gateway-us.jwks")
        }
        _ => return Err("no such file".to_owned()),
    };
    Ok(text.as_bytes().to_vec())
}

fn compiled(name: &str, text: &str) -> Result<Compiled, Vec<Diagnostic>> {
    compile(&source(name, text), &source("federation.toml", FEDERATION), &read)
}

fn rendered(findings: &[Diagnostic]) -> String {
    findings.iter().map(|d| format!("{d}\n\n")).collect()
}

#[test]
fn every_example_compiles_without_a_warning() {
    let examples = [
        ("eu-central.toml", include_str!("../../region-configs/eu-central.toml"), 3),
        ("us-east.toml", include_str!("../../region-configs/us-east.toml"), 2),
        ("ap-southeast.toml", include_str!("../../region-configs/ap-southeast.toml"), 1),
    ];
    for (name, text, clients) in examples {
        let compiled = compiled(name, text).unwrap_or_else(|e| panic!("{name}:\n{}", rendered(&e)));
        assert_eq!(compiled.warnings, [], "{}", rendered(&compiled.warnings));
        assert_eq!(format!("{}.toml", compiled.law.region), name);
        assert_eq!(compiled.law.clients.len(), clients, "{name}");
        assert_eq!(compiled.law.region_issuers.len(), 3);
        assert_eq!(compiled.federation.name, "example");
        let cluster = name == "eu-central.toml";
        assert_eq!(compiled.settings.cluster.is_some(), cluster, "{name}");
    }
}

#[test]
fn an_upstream_with_tenants_becomes_exact_issuers() {
    let text = include_str!("../../region-configs/us-east.toml");
    let law = compiled("us-east.toml", text).unwrap().law;
    let issuer = "https://login.microsoftonline.com/3f2b1c0d-9a8e-4d7c-b6f5-0e1d2c3b4a59/v2.0";
    let upstream = law.upstreams.get(issuer).unwrap();
    assert_eq!(upstream.name, "us-staff");
    assert_eq!(upstream.tenant.as_deref(), Some("3f2b1c0d-9a8e-4d7c-b6f5-0e1d2c3b4a59"));
}

#[test]
fn the_digest_of_the_law_covers_both_files_and_the_keys_of_clients() {
    let text = include_str!("../../region-configs/ap-southeast.toml");
    let digest = |region: &str, federation: &str, jwks: &'static str| {
        let read = move |_: &str| Ok(jwks.as_bytes().to_vec());
        let (region, federation) = (source("r", region), source("f", federation));
        compile(&region, &federation, &read).unwrap().law.digest
    };
    let one = include_str!("../../region-configs/clients/orders-api.jwks");
    let other = include_str!("../../region-configs/clients/catalogue-api.jwks");
    let base = digest(text, FEDERATION, one);
    assert_eq!(base, digest(text, FEDERATION, one));
    assert_ne!(base, digest(&format!("{text}\n"), FEDERATION, one));
    assert_ne!(base, digest(text, &format!("{FEDERATION}\n"), one));
    assert_ne!(base, digest(text, FEDERATION, other));
}

/// Each case is a folder: a broken file, and what is said about it.
macro_rules! cases {
    ($file:literal: $($name:literal),+ $(,)?) => {
        [$((
            $name,
            include_str!(concat!("../testdata/config/", $name, "/", $file)),
            include_str!(concat!("../testdata/config/", $name, "/expected.txt")),
        )),+]
    };
}

fn assert_said(name: &str, answer: Result<Compiled, Vec<Diagnostic>>, expected: &str) {
    let found = match answer {
        Ok(compiled) => compiled.warnings,
        Err(findings) => {
            assert!(findings.iter().any(|d| d.severity == Severity::Error), "{name}");
            findings
        }
    };
    let found = rendered(&found);
    assert!(found.trim() == expected.trim(), "{name} now says:\n{found}");
}

#[test]
fn broken_federations_are_answered_with_every_error_at_once() {
    let cases = cases![
        "federation.toml":
        "nodes_that_are_not_told_apart",
        "one_region_could_stop_all",
    ];
    for (name, text, expected) in cases {
        let region = include_str!("../../region-configs/ap-southeast.toml");
        let region = source("ap-southeast.toml", region);
        assert_said(name, compile(&region, &source("federation.toml", text), &read), expected);
    }
}

#[test]
fn broken_files_are_answered_with_every_error_at_once() {
    let cases = cases![
        "region.toml":
        "claim_rules_that_say_too_much",
        "clients_that_cannot_authenticate",
        "cluster_tables_that_lack_their_other_half",
        "cluster_that_is_stale_in_every_failover",
        "local_mode_that_never_begins",
        "names_that_nothing_has",
        "not_toml",
        "quasi_identifiers_leave_together",
        "resources_that_are_laxer_than_their_region",
        "secrets_in_the_file_are_not_shown",
        "unknown_missing_and_ill_typed_keys",
    ];
    for (name, text, expected) in cases {
        assert_said(name, compiled("region.toml", text), expected);
    }
}
