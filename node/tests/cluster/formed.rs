//! A federation is formed by the documented steps, and told from what is none.

use super::lab::{Lab, Plan};

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
