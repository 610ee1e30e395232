//! `cluster entry`: what the log holds, decoded and byte by byte.

use exequatur_node::consensus::control::ControlError;

use super::service::Service;

#[test]
fn people_see_the_command_and_every_byte() {
    let service = Service::local();
    let text = service.run(&["entry"]).done();
    assert!(text.starts_with("entry 118 of term 7, led by 0000000000000002: commands, "), "{text}");
    assert!(text.contains("  by region 2, node 0000000000000002, serial 9, at 1700000000\n"));
    assert!(text.contains("    Revoke(Revoke { owner: "), "{text}");
    let said = service.run(&["entry", "--output", "json"]).json();
    let frame = said["frame"].as_str().unwrap();
    let dumped: String = text
        .lines()
        .filter(|line| line.starts_with("  0000"))
        .flat_map(|line| line.get(10..).unwrap().chars().take(47))
        .filter(char::is_ascii_hexdigit)
        .collect();
    assert_eq!(dumped, frame);
    assert!(service.records().is_empty(), "looking is not recorded");
}

#[test]
fn an_entry_is_named_by_its_index() {
    let service = Service::local();
    let said = service.run(&["entry", "42", "--output", "json"]).json();
    assert_eq!(said["index"], 42);
    assert_eq!(said["commands"].as_array().unwrap().len(), 1);
    let answer = service.run(&["entry", "x"]);
    assert!(answer.err.contains("invalid value"), "{}", answer.err);
}

#[test]
fn an_entry_that_the_log_does_not_hold_is_refused_with_those_it_holds() {
    let service = Service::local();
    service.cluster.fail(ControlError::NoEntry(Some((17, 118))));
    let answer = service.run(&["entry", "3"]);
    assert_eq!(answer.code, Some(3), "{}", answer.err);
    let told = "this node's log holds committed entries 17 to 118: name one of them";
    assert!(answer.err.contains(told), "{}", answer.err);
}

#[test]
fn a_viewer_does_not_see_the_log() {
    let service = Service::remote();
    let answer = service.run_as("audit", &["entry"]);
    assert!(answer.err.contains("may not see the log: ask an operator"), "{}", answer.err);
    assert_eq!(service.run_as("alice", &["entry"]).code, Some(0));
}
