//! Nodes that end without warning (F01, F02).

use super::lab::{Lab, Plan};

/// Acknowledged proposals that show that a federation works.
const SOME: usize = 20;

/// Calls of a node that is gone, in the second or two of a test: pauses between them grow to a second,
/// and heartbeats go on. Without pauses there would be thousands.
const CALLS_MAX: usize = 300;

#[test]
fn a_leader_that_is_killed_takes_no_acknowledged_revocation_with_it() {
    let mut lab = Lab::form(Plan::DRIVEN);
    let load = lab.load();
    lab.acknowledged.wait_for_more(SOME);
    let killed = lab.leader();
    lab.kill(killed);
    let survivors = lab.running();
    let next = lab.leader_among(&survivors);
    assert_ne!(next, killed);
    lab.acknowledged.wait_for_more(SOME);
    lab.start(killed);
    lab.settle();
    load.stop();
    lab.finish();
}

#[test]
fn a_follower_that_is_killed_stops_nobody() {
    let mut lab = Lab::form(Plan::DRIVEN);
    let load = lab.load();
    let leader = lab.leader();
    let term = lab.status(leader).unwrap().term;
    let follower = lab.others(leader)[0];
    lab.kill(follower);
    lab.acknowledged.wait_for_more(10 * SOME);
    let calls = lab.node(leader).log().matches("Unreachable").count();
    assert!(calls < CALLS_MAX, "{calls} calls of a node that is gone");
    let status = lab.status(leader).unwrap();
    assert!(status.leads() && status.term == term, "{status:?}");
    lab.start(follower);
    lab.settle();
    load.stop();
    lab.finish();
}

#[test]
fn nodes_that_are_killed_at_once_come_back_in_every_order() {
    let mut lab = Lab::form(Plan::DRIVEN);
    for [first, second, third] in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
    {
        let load = lab.load();
        lab.acknowledged.wait_for_more(SOME);
        for node in lab.running() {
            lab.kill(node);
        }
        load.stop();
        lab.start(first);
        lab.status_when(first, "an answer", |_| true);
        lab.start(second);
        lab.leader_among(&[first, second]);
        lab.revoke_for_sure(first);
        lab.start(third);
        lab.settle();
    }
    lab.finish();
}
