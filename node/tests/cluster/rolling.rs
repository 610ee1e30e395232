//! Every node is restarted while all propose.

use super::lab::{Lab, Plan};

/// A restart moves the leader once at most.
const TERMS_MAX: u64 = 6;

#[test]
fn a_rolling_restart_under_load_loses_nothing_and_moves_the_leader_off_first() {
    let mut lab = Lab::form(Plan::DRIVEN);
    let load = lab.load();
    let leader = lab.leader();
    let term = lab.status(leader).unwrap().term;
    // The leader is restarted last, so that leadership moves at least then.
    let mut order = lab.others(leader);
    order.push(leader);
    for node in order {
        lab.acknowledged.wait_for_more(10);
        let survivors = lab.others(node);
        lab.stop(node);
        lab.leader_among(&survivors);
        lab.acknowledged.wait_for_more(10);
        lab.start(node);
        lab.settle();
    }
    let leader = lab.leader();
    let grown = lab.status(leader).unwrap().term - term;
    assert!(grown <= TERMS_MAX, "the term grew by {grown}");
    load.stop();
    lab.finish();
}

#[test]
fn a_leader_that_is_drained_hands_over_and_refuses_proposals_of_its_own() {
    let mut lab = Lab::form(Plan::DRIVEN);
    let drained = lab.leader();
    lab.sites[drained].exequatur(&["cluster", "drain"]).done();
    let leader = lab.leader();
    assert_ne!(leader, drained);
    let answer = lab.revoke(drained);
    assert!(matches!(&answer, super::lab::load::Answer::Failed(_)), "{answer:?}");
    lab.revoke_for_sure(leader);
    let status = lab.status(drained).unwrap();
    assert!(status.warnings.iter().any(|w| w.contains("drained")), "{status:?}");
    lab.finish();
}
