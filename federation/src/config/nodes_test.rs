//! The ledger's part of a federation: what it reads as, which keys are law, when it warns.

use std::time::Duration;

use super::super::{
    Compiled, Diagnostic, RegionsTableError, SourceFile, compile, compile_federation,
};
use crate::{
    ledger::{Fixed, IdentityKey},
    membership::NodeId,
    region::{RegionId, RegionNumber},
};

const KEY_A: &str = "p256:A2sX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKW";
const KEY_B: &str = "p256:A3zyexiNA09-ilI4AwS1GsPAiWnid_IbNaYLSPxHZpl4";

const REGION: &str = r#"
[region]
name         = "eu-central"
jurisdiction = "EU"
issuer       = "https://eu-central.id.example"
[listen]
plain_http = true
peer       = "127.0.0.1:8445"
[cluster]
directory = "cluster"
anchor    = "anchor"
tls       = { certificate = "peer.pem", private_key = "peer.key" }
[keys]
provider = "software"
software = { file = "keys", passphrase_file = "passphrase" }
[store]
url = "sqlite:region.db"
[[upstream]]
name   = "global"
preset = "keycloak"
issuer = "https://login.example.com/realms/global"
"#;

const FEDERATION: &str = r#"
[federation]
name       = "example"
version    = 7
max_rtt_ms = 40

[[region]]
number        = 1
name          = "eu-central"
jurisdiction  = "EU"
issuer        = "https://eu-central.id.example"
identity      = "p256:A2sX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKW"
ca            = "tls/eu.pem"
stand_ins     = ["us-east"]
witness       = false
prefer_leader = true
[[region.node]]
id      = "0000000000000001"
address = "eu1.example:8445"
[[region.node]]
id      = "0000000000000002"
address = "eu2.example:8445"
voter   = false

[[region]]
number       = 2
name         = "us-east"
jurisdiction = "US"
issuer       = "https://us-east.id.example"
identity     = "p256:A3zyexiNA09-ilI4AwS1GsPAiWnid_IbNaYLSPxHZpl4"
[[region.node]]
id      = "0000000000000003"
address = "[2001:db8::7]:8445"

[[region]]
number       = 9
name         = "ap-southeast"
jurisdiction = "SG"
issuer       = "https://ap-southeast.id.example"
identity     = "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
[[region.node]]
id      = "0000000000000004"
address = "192.0.2.7:8445"

[[upstream]]
name        = "global"
audience    = ["https://exequatur.example"]
home_region = { from = "/home", map = { eu = "eu-central" }, services = "here" }

[[upstream]]
name        = "staff"
audience    = ["api://staff"]
home_region = { fixed = "us-east" }
"#;

fn compiled(federation: &str) -> Result<Compiled, Vec<Diagnostic>> {
    let source =
        |name: &str, text: &str| SourceFile { name: name.to_owned(), text: text.to_owned() };
    let nothing = |_: &str| Err("no such file".to_owned());
    compile(&source("region.toml", REGION), &source("federation.toml", federation), &nothing)
}

fn read(federation: &str) -> Compiled {
    compiled(federation).unwrap_or_else(|found| {
        let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
        panic!("{}", texts.join("\n"))
    })
}

fn without(keys: &[&str]) -> String {
    let kept = |line: &&str| !keys.iter().any(|key| line.starts_with(key));
    FEDERATION.lines().filter(kept).collect::<Vec<_>>().join("\n")
}

fn region(name: &str) -> RegionId {
    RegionId::new(name).unwrap()
}

fn number(number: u16) -> RegionNumber {
    RegionNumber::new(number).unwrap()
}

fn node(bits: u64) -> NodeId {
    NodeId::new(bits).unwrap()
}

#[test]
fn a_federation_reads_as_it_is_written() {
    let settings = read(FEDERATION).federation;
    assert_eq!((settings.name.as_str(), settings.law.version), ("example", 7));
    assert_eq!(settings.max_rtt, Duration::from_millis(40));
    assert_eq!(settings.timing().heartbeat, Duration::from_millis(100));
    let (name, eu) = settings.region(number(1)).unwrap();
    assert_eq!(name, &region("eu-central"));
    assert_eq!(eu.identity, Some(IdentityKey::parse(KEY_A).unwrap()));
    assert_eq!((eu.ca.as_deref(), eu.witness, eu.prefer_leader), (Some("tls/eu.pem"), false, true));
    let (name, us, there) = settings.node(node(3)).unwrap();
    assert_eq!((name, there.address.as_str()), (&region("us-east"), "[2001:db8::7]:8445"));
    assert_eq!((us.witness, us.prefer_leader), (true, false));
    let voters = [(node(1), number(1)), (node(3), number(2)), (node(4), number(9))];
    assert_eq!(settings.voters(), voters.into());
}

#[test]
fn the_ledger_gets_the_regions_by_ascending_number() {
    let table = read(FEDERATION).federation.regions_table().unwrap();
    let numbers: Vec<u16> = table.items().iter().map(|entry| entry.region.number()).collect();
    assert_eq!(numbers, [1, 2, 9]);
    let eu = &table.items()[0];
    assert_eq!((eu.stand_ins.items(), eu.witness), (&[number(2)][..], false));
    assert_eq!(table.items()[1].identity, IdentityKey::parse(KEY_B).unwrap());
}

#[test]
fn the_ledger_takes_no_region_with_nodes_but_without_identity() {
    let settings = read(&without(&["identity     = \"ed25519"])).federation;
    let missing = RegionsTableError::IdentityMissing { region: region("ap-southeast") };
    assert_eq!(settings.regions_table(), Err(missing));
}

#[test]
fn a_region_that_is_not_set_up_yet_stays_out_of_the_ledger_unless_it_stands_in() {
    let nodes_and_keys = ["identity", "[[region.node]]", "id ", "address", "voter"];
    let settings = read(&without(&nodes_and_keys)).federation;
    assert_eq!(settings.regions_table().unwrap().items(), []);
    let key = format!("stand_ins     = [\"us-east\"]\nidentity = \"{KEY_A}\"");
    let text = without(&nodes_and_keys).replace("stand_ins     = [\"us-east\"]", &key);
    let (eu, us) = (region("eu-central"), region("us-east"));
    let missing = RegionsTableError::StandInMissing { region: eu, stand_in: us };
    assert_eq!(read(&text).federation.regions_table(), Err(missing));
}

#[test]
fn nodes_of_which_none_votes_are_a_warning() {
    let text = FEDERATION.replace("voter   = false", "");
    let text = text.replace(":8445\"", ":8445\"\nvoter = false");
    let warnings = read(&text).warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].message.contains("no node is a voter"), "{}", warnings[0]);
}

#[test]
fn every_key_of_the_law_changes_its_digest() {
    let base = read(FEDERATION).federation.law.digest;
    let changes = [
        ("\"example\"", "\"exemple\""),
        ("version    = 7", "version = 8"),
        ("version    = 7", ""),
        ("number        = 1", "number = 4"),
        ("\"ap-southeast\"", "\"ap-south\""),
        ("\"SG\"", "\"AU\""),
        ("https://us-east.id", "https://us.id"),
        (
            "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            "p256:Al7L5NGmMwpEyPfvlR1L8WXmxrch762phftBZhvG5_1s",
        ),
        (
            "identity     = \"ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"\n[[region.node]]\nid      = \"0000000000000004\"\naddress = \"192.0.2.7:8445\"",
            "\n[[region.node]]\nid      = \"0000000000000004\"\naddress = \"192.0.2.7:8445\"",
        ),
        ("stand_ins     = [\"us-east\"]", "stand_ins = [\"us-east\", \"ap-southeast\"]"),
        ("witness       = false", "witness = true"),
        ("name        = \"staff\"", "name = \"stuff\""),
        ("[\"https://exequatur.example\"]", "[\"https://exequatur.example\", \"b\"]"),
        ("from = \"/home\"", "from = \"/hame\""),
        ("map = { eu = ", "map = { ue = "),
        ("{ eu = \"eu-central\" }", "{ eu = \"us-east\" }"),
        ("services = \"here\"", "services = \"refuse\""),
        ("fixed = \"us-east\"", "fixed = \"eu-central\""),
        ("{ fixed = \"us-east\" }", "{ fixed = \"us-east\", services = \"here\" }"),
    ];
    for (from, to) in changes {
        let text = FEDERATION.replacen(from, to, 1);
        assert_ne!(text, FEDERATION, "{from}");
        // The region's own file does not fit every one of these; the digest is of the other.
        let source = SourceFile { name: "federation.toml".to_owned(), text };
        let digest = compile_federation(&source).unwrap().law.digest;
        assert_ne!(digest, base, "{from} -> {to}");
    }
}

#[test]
fn what_is_operational_and_how_it_is_written_change_nothing() {
    let base = read(FEDERATION).federation.law.digest;
    let (head, regions) = FEDERATION.split_once("[[region]]").unwrap();
    let (regions, upstreams) = regions.split_once("[[upstream]]").unwrap();
    let mut tables: Vec<&str> = regions.split("[[region]]").collect();
    tables.reverse();
    let reordered =
        format!("{head}[[upstream]]{upstreams}[[region]]{}", tables.join("\n[[region]]"));
    let texts = [
        FEDERATION.replace("max_rtt_ms = 40", "max_rtt_ms = 41"),
        without(&["max_rtt_ms", "ca ", "prefer_leader"]),
        without(&["[[region.node]]", "id ", "address", "voter"]),
        FEDERATION.replace("eu1.example:8445", "eu7.example:443"),
        FEDERATION.replace("tls/eu.pem", "tls/eu-2027.pem"),
        FEDERATION.replace("0000000000000004", "00000000000000aa"),
        FEDERATION.replace(" = ", "=").replace("version   =7", "version=0x07 # seven"),
        FEDERATION.replace("\"EU\"", "'EU'"),
        format!("# A comment.\r\n{}", FEDERATION.replace('\n', "\r\n")),
        reordered,
    ];
    for text in texts {
        assert_ne!(text, FEDERATION);
        assert_eq!(read(&text).federation.law.digest, base, "{text}");
    }
}

#[test]
fn the_digest_is_that_of_the_documented_text() {
    let text = r#"
        [federation]
        name = "é\"x"
        max_rtt_ms = 9
        [[region]]
        name = "b"
        jurisdiction = "B"
        issuer = "https://b.example"
        [[region]]
        name = "a"
        jurisdiction = "A"
        issuer = "https://a.example"
        witness = true
        ca = "x"
        [[upstream]]
        name = "g"
        audience = ["z", "y"]
        home_region = { fixed = "a" }
    "#;
    let canonical = concat!(
        r#"{"federation":{"name":"é\"x"},"region":["#,
        r#"{"issuer":"https://a.example","jurisdiction":"A","name":"a","witness":true},"#,
        r#"{"issuer":"https://b.example","jurisdiction":"B","name":"b"}],"#,
        r#""upstream":[{"audience":["z","y"],"home_region":{"fixed":"a"},"name":"g"}]}"#,
    );
    let (table, _) = toml::de::DeTable::parse_recoverable(text);
    let found = super::super::canonical::digest(table.get_ref(), &super::super::FEDERATION);
    assert_eq!(Fixed(found), Fixed(crate::jose::sha256(canonical.as_bytes())));
}
