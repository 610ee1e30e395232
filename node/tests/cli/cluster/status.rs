//! `cluster status`: text for people, a stable object for programs, and when it says "degraded".

use exequatur_federation::time::UnixTime;
use exequatur_node::consensus::control::{ViewState, ViewStatus};
use serde_json::json;

use super::service::Service;

const TABLE: &str = "\
REGION      NODE              ROLE     LAG  SEEN   BUILD  LEVELS  ADDRESS
ap-south    0000000000000004  learner  -    -      -      -       -
eu-central  0000000000000001  leader   0    0.1 s  0.1.0  1-1     eu-central.example:8445
us-east     0000000000000002  voter    0    0.1 s  0.1.0  1-1     us-east.example:8445
us-west     0000000000000003  voter    40   0.1 s  0.1.0  1-1     us-west.example:8445
";

#[test]
fn people_get_a_table() {
    let service = Service::local();
    let text = service.run(&["status"]).done();
    let head = "\
federation   000102030405060708090a0b0c0d0e0f, epoch 1, level 1
answered by  0000000000000001 (eu-central), leader in term 7
leader       0000000000000001 (eu-central)
log          last 120, committed 119, applied 118, snapshot 100, purged -
ledger time  ";
    assert!(text.starts_with(head), "{text}");
    assert!(text.contains(TABLE), "{text}");
    assert!(text.contains("\nrevocations  known up to 1.2 s ago: fresh\n"), "{text}");
    let tail = "\
survives the loss of any one region: yes
warning: the clock of us-east is 31 s slow
";
    assert!(text.ends_with(tail), "{text}");
    assert!(service.records().is_empty(), "looking is not recorded");
}

#[test]
fn programs_get_stable_names() {
    let service = Service::local();
    let replicated_time = service.cluster.status.lock().unwrap().replicated_time.seconds();
    let shown = service.run(&["status", "--output", "json"]).json();
    let known = |node: &str, region: &str, matched_index: Option<u64>| {
        json!({
            "node": node, "region": region, "voter": true,
            "address": format!("{region}.example:8445"), "matched_index": matched_index,
            "last_seen_ms": 140, "build": "0.1.0", "levels": { "lowest": 1, "highest": 1 },
        })
    };
    let expected = json!({
        "cluster": "000102030405060708090a0b0c0d0e0f",
        "epoch": 1,
        "node": "0000000000000001",
        "region": "eu-central",
        "state": "leader",
        "term": 7,
        "leader": "0000000000000001",
        "level": 1,
        "last_log_index": 120,
        "committed_index": 119,
        "applied_index": 118,
        "snapshot_index": 100,
        "purged_index": null,
        "replicated_time": replicated_time,
        "state_digest": "03".repeat(32),
        "law": "04".repeat(32),
        "nodes": [
            known("0000000000000003", "us-west", Some(80)),
            known("0000000000000001", "eu-central", None),
            known("0000000000000002", "us-east", Some(120)),
            {
                "node": "0000000000000004", "region": "ap-south", "voter": false,
                "address": null, "matched_index": null, "last_seen_ms": null, "build": null,
                "levels": null,
            },
        ],
        "survives_any_region": true,
        "view": { "state": "fresh", "age_ms": 1250, "local_seconds_left": null },
        "warnings": ["the clock of us-east is 31 s slow"],
        "degraded": [],
    });
    assert_eq!(shown, expected);
}

#[test]
fn a_federation_that_is_degraded_is_shown_and_ends_with_4() {
    let service = Service::local();
    {
        let mut status = service.cluster.status.lock().unwrap();
        status.leader = None;
        status.survives_any_region = false;
        status.replicated_time = UnixTime::from_seconds(1_700_000_000);
        status.view = Some(ViewStatus {
            age_ms: Some(61_000),
            state: ViewState::Local,
            local_seconds_left: Some(3_539),
        });
        status.warnings = vec!["\u{1b}[2J".to_owned()];
    }
    let answer = service.run(&["status"]);
    let told = "error: the federation is degraded: no leader: revocations and other proposals wait; \
                the loss of one region can stop the federation; time in the ledger is more than 2 \
                minutes ago: the node hears of nothing new, or a clock is wrong; the node's \
                view of revocations is stale: nothing crosses a border there\n";
    assert_eq!(answer.failed(4), told);
    assert!(answer.out.contains("\nleader       none known\n"), "{}", answer.out);
    let view = "\nrevocations  known up to 61.0 s ago: local for 59 min more\n";
    assert!(answer.out.contains(view), "{}", answer.out);
    assert!(answer.out.contains("survives the loss of any one region: NO\n"));
    assert!(!answer.out.contains('\u{1b}'), "a text of another node does not steer the terminal");
    let answer = service.run(&["status", "--output", "json"]);
    answer.failed(4);
    assert_eq!(
        answer.json()["degraded"],
        json!(["no_leader", "reduced_survival", "stale", "stale_view"])
    );
}
