//! Networks that fail in part (F10 to F16). Namespaces need root.

use std::time::{Duration, Instant};

use super::lab::{Lab, Plan, load::Answer};

/// Several elections long.
const LONG: Duration = Duration::from_secs(5);
/// Most terms that a fault which lasts [`LONG`] may cost: one for the leader that is lost, and one
/// for an election that was under way.
const TERMS_MAX: u64 = 2;

/// Lets time pass in which the load must go on; how many terms it took.
fn endure(lab: &mut Lab, nodes: &[usize]) -> u64 {
    let highest = |lab: &mut Lab| {
        nodes.iter().filter_map(|node| lab.status(*node)).map(|status| status.term).max().unwrap()
    };
    let before = highest(lab);
    let until = Instant::now() + LONG;
    while Instant::now() < until {
        lab.acknowledged.wait_for_more(5);
    }
    highest(lab) - before
}

#[test]
fn a_leader_that_is_cut_off_is_replaced_and_acknowledges_nothing() {
    let mut lab = Lab::form(Plan::NETWORKS);
    lab.revoke_for_sure(0);
    let cut_off = lab.leader();
    let majority = lab.others(cut_off);
    let before = lab.status(cut_off).unwrap();
    lab.network().isolate(cut_off);
    let (switchboard, acknowledged) = (lab.switchboard.clone(), lab.acknowledged.clone());
    let minority = std::thread::spawn(move || switchboard.revoke(cut_off, &acknowledged));

    let leader = lab.leader_among(&majority);
    let load = lab.load_at(&majority);
    let terms = endure(&mut lab, &majority);
    assert!(terms <= TERMS_MAX, "{terms} terms");
    assert_eq!(minority.join().unwrap(), Answer::Failed("no-quorum".to_owned()));
    assert!(lab.network().unheard(cut_off) > 0, "nothing was cut");
    load.stop();

    lab.network().heal();
    let leader = lab.sites[leader].id().unwrap().to_owned();
    let after = lab.status_when(cut_off, "that it follows", |status| {
        status.leader.as_deref() == Some(leader.as_str())
    });
    assert!(after.term > before.term, "{before:?}, then {after:?}");
    lab.finish();
}

#[test]
fn a_follower_that_never_hears_its_leader_again_neither_rises_nor_disturbs() {
    let mut lab = Lab::form(Plan::NETWORKS);
    let leader = lab.leader();
    let followers = lab.others(leader);
    let load = lab.load_at(&[leader, followers[1]]);
    lab.network().deafen(followers[0], leader);
    let nodes = lab.running();
    let terms = endure(&mut lab, &nodes);
    assert!(terms <= TERMS_MAX, "{terms} terms");
    assert!(lab.network().unheard(followers[0]) > 0, "nothing was lost");
    // The other way round as well, on top of it: the leader hears neither.
    lab.network().deafen(leader, followers[0]);
    let terms = endure(&mut lab, &nodes);
    assert!(terms <= TERMS_MAX, "{terms} terms");
    load.stop();
    lab.finish();
}

#[test]
fn a_leader_that_nobody_answers_gives_way() {
    let mut lab = Lab::form(Plan::NETWORKS);
    let deaf = lab.leader();
    let others = lab.others(deaf);
    for other in &others {
        lab.network().deafen(deaf, *other);
    }
    lab.leader_among(&others);
    let load = lab.load_at(&others);
    let terms = endure(&mut lab, &others);
    assert!(terms <= TERMS_MAX, "{terms} terms");
    assert!(lab.network().unheard(deaf) > 0, "nothing was lost");
    load.stop();
    lab.finish();
}

#[test]
fn two_regions_that_reach_each_other_only_through_a_third_go_on() {
    let mut lab = Lab::form(Plan::NETWORKS);
    let leader = lab.leader();
    let followers = lab.others(leader);
    let (bridge, far) = (followers[0], followers[1]);
    lab.network().cut(leader, far);
    let load = lab.load_at(&[leader, bridge]);
    let nodes = lab.running();
    let terms = endure(&mut lab, &nodes);
    assert!(terms <= TERMS_MAX, "{terms} terms");
    assert!(lab.network().unheard(far) > 0, "nothing was cut");
    load.stop();
    // Now the one that both reach leads, and everybody has everything though the cut is there.
    let id = lab.sites[bridge].id().unwrap().to_owned();
    lab.sites[leader].exequatur(&["cluster", "transfer-leader", &id]).done();
    assert_eq!(lab.leader(), bridge);
    let last = lab.revoke_for_sure(leader);
    lab.status_when(far, "all of it", |status| status.applied >= Some(last));
    lab.finish();
}

#[test]
fn a_link_that_comes_and_goes_starts_no_storm_of_elections() {
    const FLAP: Duration = Duration::from_millis(200);
    let mut lab = Lab::form(Plan::NETWORKS);
    let leader = lab.leader();
    let followers = lab.others(leader);
    let before = lab.status(leader).unwrap().term;
    let load = lab.load_at(&[leader, followers[1]]);
    let until = Instant::now() + LONG;
    let mut lost = 0;
    while Instant::now() < until {
        lab.network().cut(leader, followers[0]);
        std::thread::park_timeout(FLAP);
        lost += lab.network().unheard(followers[0]);
        lab.network().heal();
        std::thread::park_timeout(FLAP);
        lab.acknowledged.wait_for_more(1);
    }
    assert!(lost > 0, "nothing was cut");
    let leader = lab.leader();
    let terms = lab.status(leader).unwrap().term - before;
    assert!(terms <= TERMS_MAX, "{terms} terms");
    load.stop();
    lab.finish();
}

#[test]
fn nodes_that_go_deaf_one_after_another_and_hear_again_in_another_order_go_on() {
    const APART: Duration = Duration::from_millis(500);
    let lab = Lab::form(Plan::NETWORKS);
    let load = lab.load();
    for (deaf, hearing) in [([0, 1, 2], [1, 2, 0]), ([2, 0, 1], [0, 2, 1])] {
        for node in deaf {
            lab.network().clog(node);
            std::thread::park_timeout(APART);
        }
        for node in hearing {
            assert!(lab.network().unheard(node) > 0, "node {node} was never deaf");
            lab.network().unclog(node);
            std::thread::park_timeout(APART);
        }
        lab.acknowledged.wait_for_more(5);
    }
    load.stop();
    lab.finish();
}

#[test]
fn a_snapshot_arrives_over_a_slow_link_that_loses_packets() {
    /// Login sessions in the ledger: some 40 bytes each in a snapshot.
    const SESSIONS: u32 = 8_000;
    let mut lab = Lab::form(Plan::NETWORKS);
    let leader = lab.leader();
    let behind = lab.others(leader)[0];
    lab.kill(behind);
    let lines = lab.node(leader).lines().unwrap().clone();
    let said = lines.ask(&format!("sessions 0 {SESSIONS}")).unwrap();
    assert!(said.starts_with("decided"), "{said}");
    // The log is kept back to the snapshot before the newest.
    for _ in 0..2 {
        lab.revoke_for_sure(leader);
        lab.sites[leader].exequatur(&["cluster", "snapshot"]).done();
    }
    let purged = lab.status_when(leader, "a log without its beginning", |s| s.purged > Some(10));
    for sender in lab.running() {
        lab.network().narrow(sender, "1mbit");
    }
    lab.network().lose(behind, 5);
    lab.start(behind);
    lab.status_when(behind, "a snapshot", |status| status.snapshot >= purged.purged);
    assert!(lab.network().unheard(behind) > 0, "nothing was lost");
    lab.finish();
}
