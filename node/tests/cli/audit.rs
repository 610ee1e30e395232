//! `audit verify`, `audit show`: beside a running node, and after somebody changed a record.

use std::fs;

use serde_json::Value;

use crate::region::Region;

#[test]
fn the_log_is_shown_and_verified_beside_a_running_node_and_a_changed_record_is_named() {
    let region = Region::new();
    region.run(&["init"]).done();
    let node = region.serve();

    let shown = region.run(&["audit", "show", "--output", "json"]).json();
    assert_eq!(shown["records"][0]["seq"], 0, "{shown}");
    assert_eq!(shown["records"][0]["record"]["event"], "node_started");
    assert!(shown["records"][0].get("personal").is_none(), "it was not asked for: {shown}");
    let personal = region.run(&[
        "audit",
        "show",
        "--from",
        "0",
        "--count",
        "1",
        "--personal",
        "--output",
        "json",
    ]);
    assert_eq!(personal.json()["records"][0]["personal"], Value::Null);
    assert!(personal.out.contains("\"personal\":null"), "{}", personal.out);
    let verified = region.run(&["audit", "verify", "--output", "json"]).json();
    assert!(verified["records"].as_u64().unwrap() >= 1, "{verified}");
    let root = verified["root"].as_str().unwrap();
    assert!(root.len() == 64 && root.bytes().all(|b| b"0123456789abcdef".contains(&b)), "{root}");
    assert_eq!(verified["without_personal"], verified["records"]);

    assert_eq!(node.stop(), Some(0), "a node that is told to stop ends well");
    let text = region.run(&["audit", "verify"]).done();
    assert!(
        text.starts_with("ok: every record is as it was written\nrecords           "),
        "{text}"
    );
    let line = region.run(&["audit", "show", "--last", "1"]).done();
    assert!(line.starts_with("     ") && line.contains("\"event\":"), "{line}");

    change_the_first_record(&region);
    let told = "record 0 was changed: the record does not match its leaf\n";
    assert_eq!(
        region.run(&["audit", "verify"]).failed(1),
        format!("error: the audit log is not what it was: {told}")
    );
    assert_eq!(
        region.run(&["audit", "show", "--from", "0", "--count", "1"]).failed(1),
        format!("error: {told}")
    );
}

#[test]
fn without_a_database_the_way_to_one_is_named() {
    let region = Region::new();
    for verb in ["verify", "show"] {
        let answer = region.run(&["audit", verb]);
        assert_eq!(
            region.without_directory(answer.failed(1)),
            "error: `DIR/region.db` holds no database of a region with this node's log: run \
             `exequatur init`\n"
        );
    }
}

#[test]
fn what_is_shown_is_bounded_and_named_in_one_way() {
    let region = Region::new();
    for wrong in
        [&["--last", "0"][..], &["--last", "1", "--from", "1", "--count", "1"], &["--from", "1"]]
    {
        let arguments: Vec<&str> =
            ["audit", "show"].into_iter().chain(wrong.iter().copied()).collect();
        region.run(&arguments).failed(1);
    }
}

fn change_the_first_record(region: &Region) {
    let path = region.path("region.db");
    let mut bytes = fs::read(&path).unwrap();
    let name = b"node_started";
    let at = bytes.windows(name.len()).position(|window| window == name).unwrap();
    bytes[at] = b'm';
    fs::write(&path, bytes).unwrap();
}
