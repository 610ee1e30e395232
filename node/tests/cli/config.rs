//! `config check`, `config schema`, `config explain`.

use std::fs;
use std::path::Path;

use crate::exequatur;
use crate::region::{REGION, Region};

#[test]
fn a_sound_configuration_is_summed_up() {
    let region = Region::new();
    let text = region.run(&["config", "check"]).done();
    assert_eq!(
        text,
        "ok: region `eu-central` of federation `test`: 1 upstream issuer, 3 claim rules, \
         1 resource, 1 client\n"
    );
    let answer = region.run(&["config", "check", "--output", "json"]);
    assert_eq!(answer.code, Some(0));
    let json = answer.json();
    assert_eq!(json["errors"], serde_json::json!([]));
    assert_eq!(json["warnings"], serde_json::json!([]));
    assert_eq!(json["law_sha256"].as_str().unwrap().len(), 43, "{json}");
}

#[test]
fn every_error_of_both_files_is_shown_with_its_place_and_a_hint() {
    let broken = REGION
        .replace("plain_http = true", "plain_htpt = true")
        .replace("provider = \"software\"", "provider = \"softwear\"")
        .replace("grants       = [\"token-exchange\"]", "grants       = \"all\"");
    let region = Region::with(&broken);
    let federation = fs::read_to_string(region.path("federation.toml")).unwrap();
    region.file("federation.toml", &federation.replace("name = \"test\"", "name = 7"));

    let answer = region.run(&["config", "check"]);
    assert_eq!(answer.failed(1), "error: the configuration cannot be used: 5 errors\n");
    let shown = region.without_directory(&answer.out);
    for part in [
        "--> DIR/federation.toml:2:8 (federation.name)",
        "--> DIR/region.toml:9:1 (listen.plain_htpt)",
        "= hint: did you mean `plain_http`?",
        "--> DIR/region.toml:12:12 (keys.provider)",
        "= hint: did you mean `software`?",
        "(client[0].grants)",
    ] {
        assert!(shown.contains(part), "{part} is missing:\n{shown}");
    }

    let json = region.run(&["config", "check", "--output", "json"]).json();
    assert_eq!(json["errors"].as_array().unwrap().len(), 5, "{json}");
    assert_eq!(json["errors"][2]["line"], 9);
    assert_eq!(json["errors"][2]["key"], "listen.plain_htpt");
    assert_eq!(json["law_sha256"], serde_json::Value::Null);
}

#[test]
fn a_warning_does_not_fail_the_check() {
    let region = Region::with(&REGION.replace("[\"gateway\"]", "[\"*\"]"));
    let text = region.run(&["config", "check"]).done();
    assert!(text.starts_with("warning: `orders-gateway` may exchange every token"), "{text}");
    assert!(text.contains("\nok: region `eu-central`"), "{text}");
}

#[test]
fn a_secret_in_the_file_is_not_shown() {
    let secret = "correcthorsebatterystaple";
    let hash = "sha256:AAAAAAAAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let region = Region::with(&REGION.replace(hash, secret));
    for format in ["text", "json"] {
        let answer = region.run(&["config", "check", "--output", format]);
        assert_eq!(answer.code, Some(1));
        assert!(!answer.out.contains(secret) && !answer.err.contains(secret), "{}", answer.out);
    }
}

#[test]
fn a_missing_file_is_named_with_the_way_out() {
    let answer = exequatur(["config", "check", "--config", "/nowhere/region.toml"]);
    assert_eq!(
        answer.failed(1),
        "error: `/nowhere/region.toml` cannot be read: No such file or directory (os error 2)\n\
         name it with --config or --federation, or write one with `exequatur init region`\n"
    );
}

#[test]
fn the_examples_pass_and_their_borders_are_said_to_wait() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../region-configs");
    for (name, waits) in [("eu-central", true), ("us-east", false), ("ap-southeast", false)] {
        let file = examples.join(format!("{name}.toml"));
        let answer = exequatur(["config", "check", "--config", file.to_str().unwrap()]);
        assert_eq!(answer.code, Some(0), "{}{}", answer.out, answer.err);
        let said = answer.out.contains("border grants are not served yet");
        assert_eq!(said, waits, "{name}: {}", answer.out);
    }
}

#[test]
fn the_schema_is_the_committed_one() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../region-configs");
    for file in ["region", "federation"] {
        let printed: serde_json::Value = exequatur(["config", "schema", file]).json();
        let text = fs::read_to_string(committed.join(format!("{file}.schema.json"))).unwrap();
        let committed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(printed, committed, "{file}");
    }
}

#[test]
fn a_key_is_explained() {
    assert_eq!(
        exequatur(["config", "explain", "listen.public"]).done(),
        "listen.public\n  \
           file     region\n  \
           type     a text\n  \
           default  127.0.0.1:8443\n  \
           meaning  Address and port of the public OAuth endpoints.\n"
    );
    let json = exequatur(["config", "explain", "client.auth", "--output", "json"]).json();
    assert_eq!(json[0]["key"], "client[].auth");
    assert_eq!(json[0]["required"], true);
    assert!(json.as_array().unwrap().len() > 5, "the keys below it are explained too: {json}");
}

#[test]
fn without_a_key_every_key_is_listed() {
    let text = exequatur(["config", "explain"]).done();
    assert!(text.starts_with("region file\n"), "{text}");
    for key in ["  client[].auth.post ", "federation file\n", "  upstream[].home_region.services "]
    {
        assert!(text.contains(key), "{key}\n{text}");
    }
}

#[test]
fn a_misspelt_key_gets_the_nearest() {
    assert_eq!(
        exequatur(["config", "explain", "listen.pubilc"]).failed(1),
        "error: `listen.pubilc` is no key of a file: did you mean `listen.public`?\n"
    );
    assert_eq!(
        exequatur(["config", "explain", "zzzzzzzzzzzzzz"]).failed(1),
        "error: `zzzzzzzzzzzzzz` is no key of a file: `exequatur config explain` lists every key\n"
    );
}
