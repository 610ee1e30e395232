//! A federation is formed by the documented steps, and told from what is none.

use super::lab::{Lab, Plan, wait_for};

#[test]
fn three_processes_form_a_federation_by_the_documented_steps() {
    let mut lab = Lab::form(Plan::PRODUCT);
    let leader = lab.leader();
    let ids: Vec<String> = lab.sites.iter().map(|site| site.id().unwrap().to_owned()).collect();
    for node in lab.running() {
        let status = lab.status(node).unwrap();
        let mut voters = status.voters.clone();
        voters.sort();
        let mut expected = ids.clone();
        expected.sort();
        assert_eq!(voters, expected, "{status:?}");
        assert!(status.survives_any_region && status.learners.is_empty(), "{status:?}");
        assert_eq!(status.leader.as_deref(), Some(ids[leader].as_str()));
    }
    lab.finish();
}

#[test]
fn every_region_publishes_its_keys_and_they_sign_once_all_nodes_have_them() {
    let mut lab = Lab::form(Plan::PRODUCT);
    lab.leader();
    for node in lab.running() {
        // Whatever is missing of keys and configurations is a warning.
        lab.status_when(node, "a federation without drift", |status| {
            status.applied > Some(1) && status.warnings.is_empty()
        });
    }
    // A region whose configuration is another says so.
    let node = 1;
    lab.stop(node);
    let file = lab.sites[node].path("region.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let changed = text.replace("[\"orders:read\"]", "[\"orders:read\", \"orders:write\"]");
    assert_ne!(changed, text);
    std::fs::write(&file, changed).unwrap();
    lab.start(node);
    let announced = wait_for("the announcement of another configuration", || {
        let entry = lab.sites[0].exequatur(&["cluster", "entry"]).done();
        entry.contains("AnnounceConfig").then_some(entry)
    });
    assert!(announced.contains("  signed by region 2, node "), "{announced}");
    lab.finish();
}
