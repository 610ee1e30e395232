//! What changes something: arguments, answers, exit codes, records.

use std::fs;

use exequatur_node::consensus::control::ControlError;
use serde_json::json;

use super::service::{Service, invite, node, region, ticket};
use crate::exequatur;

const NODE: &str = "0000000000000003";
const OTHER: &str = "0000000000000002";

#[test]
fn each_verb_does_its_one_thing_and_is_recorded() {
    let service = Service::local();
    let cases: [(&[&str], &str, &str); 9] = [
        (
            &["promote", NODE],
            "promote 0000000000000003 false",
            "node 0000000000000003 is a voter now\n",
        ),
        (
            &["promote", NODE, "--replacing", OTHER],
            "promote 0000000000000003 replacing 0000000000000002 false",
            "node 0000000000000003 is a voter now in place of node 0000000000000002\n",
        ),
        (
            &["demote", NODE, "--accept-reduced-survival"],
            "demote 0000000000000003 true",
            "node 0000000000000003 is a learner now\n",
        ),
        (
            &["remove", NODE, "--yes-for-ever", NODE],
            "remove 0000000000000003 false",
            "node 0000000000000003 is removed for ever\n",
        ),
        (&["transfer-leader"], "transfer_leader None", "another voter leads now\n"),
        (
            &["transfer-leader", NODE],
            "transfer_leader Some(0000000000000003)",
            "node 0000000000000003 leads now\n",
        ),
        (&["drain"], "drain", "the node is drained: it can be stopped\n"),
        (&["snapshot"], "snapshot", "a snapshot is written\n"),
        (&["snapshot"], "snapshot", "a snapshot is written\n"),
    ];
    for (arguments, asked, told) in cases {
        assert_eq!(service.run(arguments).done(), told);
        assert_eq!(service.cluster.asked().last().map(String::as_str), Some(asked));
    }
    let records = service.records();
    assert_eq!(records.len(), 2 * cases.len());
    assert_eq!(records[4]["event"], "operator_acting", "{records:?}");
    assert_eq!((&records[7]["action"], &records[7]["target"]), (&json!("remove"), &json!(NODE)));
    assert_eq!(records[7]["outcome"], "done");
    assert!(records[7]["operator"].as_str().unwrap().starts_with("unix:"));
}

#[test]
fn a_voter_is_replaced_by_another_in_one_change() {
    let service = Service::local();
    let answer = service.run(&["promote", NODE, "--replacing", OTHER, "--output", "json"]).json();
    let expected =
        json!({ "action": "promote", "node": NODE, "replaced": OTHER, "repeated": false });
    assert_eq!(answer, expected);
    let records = service.records();
    for record in &records {
        assert_eq!((&record["target"], &record["replaced"]), (&json!(NODE), &json!(OTHER)));
    }
    assert_eq!(records.len(), 2);

    let itself = service.run(&["promote", NODE, "--replacing", NODE]);
    assert!(itself.failed(1).contains("nothing was done"), "{}", itself.err);
    let wrong = service.run(&["promote", NODE, "--replacing", "3"]);
    assert!(wrong.failed(1).contains("16 hexadecimal digits"), "{}", wrong.err);
    assert_eq!(service.cluster.asked().len(), 1);
    let help = exequatur(["cluster", "promote", "--help"]).done();
    assert!(help.contains("--replacing <OLD>"), "{help}");
}

#[test]
fn an_invite_is_written_beside_the_ticket_and_never_over_a_file() {
    let service = Service::local();
    let path = service.region.path("node.ticket");
    fs::write(&path, ticket().seal()).unwrap();
    let path = path.display().to_string();
    let written = service.run(&["invite", &path, "--output", "json"]).json();
    let to = service.region.path("node.invite");
    let expected = json!({
        "action": "invite", "node": "0000000000000009", "invite": to.display().to_string(),
        "expires_at": 1_800_000_000_u64, "repeated": false,
    });
    assert_eq!(written, expected);
    assert_eq!(fs::read(&to).unwrap(), invite().seal());
    let again = service.run(&["invite", &path]);
    let told = "error: the invite cannot be written to `DIR/node.invite`: it is there already: name \
                a file with --to\n";
    assert_eq!(service.region.without_directory(again.failed(1)), told);
    assert_eq!(service.cluster.asked().len(), 1, "it was not asked for");
    let other = service.region.path("other.invite").display().to_string();
    let text = service.run(&["invite", &path, "--to", &other]).done();
    assert!(text.starts_with("node 0000000000000009 may join as a learner\n"), "{text}");

    let wrong = service.region.file("wrong.ticket", "not a ticket");
    let answer = service.run(&["invite", &wrong]);
    assert!(answer.failed(1).contains("wrong.ticket` is no node ticket: "), "{}", answer.err);
    assert!(service.run(&["invite", "/nowhere"]).failed(1).contains("`/nowhere`"));
}

#[test]
fn a_request_that_is_sent_again_is_done_once() {
    let service = Service::local();
    let id = "00112233445566778899aabbccddeeff";
    let arguments = ["promote", NODE, "--request-id", id, "--output", "json"];
    let first = service.run(&arguments).json();
    assert_eq!(first, json!({ "action": "promote", "node": NODE, "repeated": false }));
    assert_eq!(service.run(&arguments).json()["repeated"], true);
    assert_eq!(service.cluster.asked().len(), 1);
    let other = service.run(&["demote", NODE, "--request-id", id]);
    assert!(other.failed(1).contains("used for another request"), "{}", other.err);
    assert_eq!(service.records()[0]["request_id"], id);
}

#[test]
fn each_cause_has_its_exit_code() {
    let service = Service::local();
    let cases = [
        (
            ControlError::NotLeader { leader: Some(node(2)) },
            2,
            "node 0000000000000002 does: ask the leader",
        ),
        (ControlError::NoQuorum, 2, "too few voters can be reached"),
        (ControlError::InProgress, 2, "under way"),
        (ControlError::Overloaded, 2, "try again later"),
        (ControlError::Local("the disk is full".to_owned()), 2, "the disk is full"),
        (ControlError::VoterRules("two regions are too few".to_owned()), 3, "two regions"),
        (ControlError::Unknown(node(3)), 3, "`exequatur cluster status` lists the members"),
        (ControlError::LaggingLearner { behind: 7 }, 3, "7 entries behind"),
        (ControlError::Pending, 4, "an operator of another region asks for the same"),
    ];
    for (error, code, part) in cases {
        service.cluster.fail(error);
        let answer = service.run(&["promote", NODE]);
        assert!(answer.failed(code).contains(part), "{}", answer.err);
        assert!(!answer.err.contains("--request-id"), "the outcome is known: {}", answer.err);
    }
}

#[test]
fn a_removal_is_typed_twice() {
    let service = Service::local();
    assert!(service.run(&["remove", NODE]).failed(1).contains("--yes-for-ever <NODE>"));
    let other = service.run(&["remove", NODE, "--yes-for-ever", "0000000000000004"]);
    let told = "error: `0000000000000003` is to be removed, but `--yes-for-ever` names \
                `0000000000000004`: nothing was done\n";
    assert_eq!(other.failed(1), told);
    for wrong in ["3", "000000000000000G", "0000000000000000", "00000000000000AB"] {
        let answer = service.run(&["remove", wrong, "--yes-for-ever", wrong]);
        assert!(answer.failed(1).contains("16 hexadecimal digits"), "{}", answer.err);
    }
    assert!(service.cluster.asked().is_empty());
    let help = exequatur(["cluster", "remove", "--help"]).done();
    assert!(help.contains("A removed id never comes back"), "{help}");
}

#[test]
fn over_tcp_a_certificate_decides() {
    let service = Service::remote();
    assert!(service.run_as("alice", &["status"]).done().contains("epoch 1, level 1"));
    assert!(service.run_as("audit", &["status"]).done().contains("epoch 1, level 1"));
    assert_eq!(
        service.run_as("alice", &["drain"]).done(),
        "the node is drained: it can be stopped\n"
    );
    let refused = service.run_as("audit", &["transfer-leader"]);
    let told = "error: the role `viewer` may not transfer leader: ask an operator\n";
    assert_eq!(refused.failed(3), told);
    let stranger = service.run_as("server", &["drain"]);
    assert!(stranger.err.contains("broke") || stranger.err.contains("reached"), "{}", stranger.err);
    stranger.failed(2);
    let records = service.records();
    let events: Vec<_> = records.iter().map(|r| r["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["operator_acting", "operator_acted", "operator_refused"]);
    assert_eq!(records[2]["operator"], "spiffe://test/operator/audit");
    assert_eq!(service.cluster.asked(), ["drain"]);
}

#[test]
fn a_node_that_cannot_be_asked_is_named_with_the_way_out() {
    let stopped = region();
    for verb in ["status", "drain"] {
        let answer = stopped.run(&["cluster", verb]);
        let told = "error: nothing listens on `DIR/admin.sock`: is the node running?\n";
        assert_eq!(stopped.without_directory(answer.failed(2)), told);
    }
    let silent = crate::region::Region::new();
    let answer = silent.run(&["cluster", "status"]);
    assert!(answer.failed(1).contains("has no `listen.admin`: add it"), "{}", answer.err);
    let answer = exequatur(["cluster", "status", "--address", "localhost:1"]);
    assert!(answer.failed(1).contains("--tls-certificate"), "{}", answer.err);
    let files = ["--tls-certificate", "/a.pem", "--tls-key", "/a.key", "--ca", "/ca.pem"];
    let remote = ["cluster", "status", "--address", "localhost:1"];
    let answer = exequatur(remote.iter().chain(&files));
    assert!(answer.failed(1).contains("`/ca.pem` is not the PEM file"), "{}", answer.err);
    exequatur(["cluster", "drain", "--request-id", "x"]).failed(1);
}
