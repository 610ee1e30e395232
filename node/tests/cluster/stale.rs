//! Nodes that cannot know whether they know every revocation (F03, F10, F11). What is asserted of an
//! answer is what it says of itself, compared with when it was asked for: a slow machine makes no
//! test fail.

use std::time::Duration;

use super::lab::{
    Lab, Plan,
    http::{Addresses, Answer, wall_seconds},
    pause, wait_for,
};

/// The least that a failover allows on one machine.
const MAX_STALENESS: u64 = 3;
/// The header has whole seconds, and so has the clock of a test.
const ROUNDED: u64 = 1;

const REFUSE: &str = r#"
[revocation]
max_staleness = "3s"
on_stale      = "refuse"
"#;
const LOCAL: &str = r#"
[revocation]
max_staleness = "3s"
local_max     = "12s"
"#;

/// A federation whose nodes go by these settings, and where they listen.
fn form(settings: &str) -> (Lab, Vec<Addresses>) {
    let mut lab = Lab::prepare(Plan::PRODUCT);
    for site in &lab.sites {
        let file = site.path("region.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(file, format!("{text}{settings}")).unwrap();
    }
    lab.found();
    lab.start_all();
    let addresses: Vec<Addresses> = lab.running().iter().map(|n| lab.addresses(*n)).collect();
    for node in &addresses {
        wait_for("a fresh view", || (node.introspect().status == 200).then_some(()));
    }
    (lab, addresses)
}

/// Asks a node, and checks that it was not served with a view that is too old.
fn ask(node: &Addresses) -> Answer {
    let asked = wall_seconds();
    let answer = node.introspect();
    assert!(answer.status == 200 || answer.is_stale(), "{answer:?}");
    if answer.status == 200 {
        let as_of = answer.as_of().unwrap();
        assert!(as_of + MAX_STALENESS + ROUNDED >= asked, "asked at {asked}: {answer:?}");
    }
    answer
}

/// Waits until a node knows everything that was revoked before now.
fn fresh_again(node: &Addresses) {
    let now = wall_seconds();
    wait_for("a fresh view", || node.introspect().as_of().filter(|as_of| *as_of > now));
}

#[test]
fn a_leader_that_lost_its_quorum_cannot_confirm_itself_and_refuses_what_it_cannot_know() {
    let (mut lab, addresses) = form(REFUSE);
    let leader = lab.leader();
    let others = lab.others(leader);
    for other in &others {
        lab.node(*other).pause();
    }
    let cut_off = &addresses[leader];
    wait_for("a refusal", || ask(cut_off).is_stale().then_some(()));
    let exchange = cut_off.exchange();
    assert!(exchange.is_stale() && exchange.header("retry-after").is_some(), "{exchange:?}");
    assert_eq!(cut_off.get("/jwks").status, 200);
    assert_eq!(cut_off.get("/.well-known/oauth-authorization-server").status, 200);
    wait_for("/readyz to say so", || {
        let said = cut_off.readiness();
        (said.status == 503 && said.body.contains("too old")).then_some(())
    });
    let metrics = cut_off.metrics();
    for line in
        [r#"exequatur_view_state{state="stale"} 1"#, r#"exequatur_view_state{state="fresh"} 0"#]
    {
        assert!(metrics.contains(line), "{metrics}");
    }
    let status = lab.sites[leader].exequatur(&["cluster", "status"]);
    assert!(status.refused(4).contains("view of revocations is stale"));

    for other in &others {
        lab.node(*other).resume();
    }
    for node in &addresses {
        fresh_again(node);
    }
    assert_eq!(cut_off.readiness().status, 200);
    lab.finish();
}

#[test]
fn a_follower_that_hears_no_leader_refuses_too_and_a_majority_goes_on() {
    let (mut lab, addresses) = form(REFUSE);
    let leader = lab.leader();
    let [first, second] = lab.others(leader)[..] else { panic!("three nodes") };
    // The leader alone is gone: the others find another, well before their views are stale.
    lab.node(leader).pause();
    lab.leader_among(&[first, second]);
    for node in [first, second] {
        fresh_again(&addresses[node]);
    }
    // Without a second one there is no leader at all.
    lab.node(second).pause();
    wait_for("a refusal", || ask(&addresses[first]).is_stale().then_some(()));
    lab.node(leader).resume();
    fresh_again(&addresses[first]);
    lab.node(second).resume();
    for node in &addresses {
        fresh_again(node);
    }
    lab.finish();
}

#[test]
fn in_local_mode_a_region_goes_on_for_a_while_and_says_how_long() {
    let (mut lab, addresses) = form(LOCAL);
    let cut_off = lab.others(lab.running()[0])[0];
    let others = lab.others(cut_off);
    for other in &others {
        lab.node(*other).pause();
    }
    let node = &addresses[cut_off];
    wait_for("local mode", || {
        let said = node.readiness();
        (said.status == 200 && said.body.contains("1 more minute")).then_some(())
    });
    let local = node.introspect();
    assert!(local.status == 200 || local.is_stale(), "{local:?}");
    // The text is no token and is looked at: it is not refused unseen.
    let exchange = node.exchange();
    assert!(exchange.error_id() == "subject_token_malformed" || exchange.is_stale());
    let status = lab.sites[cut_off].exequatur(&["cluster", "status"]);
    assert!(status.refused(4).contains("view of revocations is stale"));

    wait_for("the end of local mode", || node.introspect().is_stale().then_some(()));
    assert!(node.exchange().is_stale());
    assert_eq!(node.get("/jwks").status, 200);
    for other in &others {
        lab.node(*other).resume();
    }
    fresh_again(node);
    lab.finish();
}

#[test]
fn a_node_that_is_started_without_a_quorum_serves_nobody_even_in_local_mode() {
    let (mut lab, addresses) = form(LOCAL);
    let others = lab.others(0);
    for other in &others {
        lab.node(*other).pause();
    }
    wait_for("local mode", || {
        let said = addresses[0].readiness();
        (said.status == 200 && said.body.contains("more minute")).then_some(())
    });
    lab.kill(0);
    lab.start(0);
    let restarted = lab.addresses(0);
    let said = restarted.introspect();
    assert!(said.is_stale(), "a restart does not begin local mode anew: {said:?}");
    wait_for("/readyz to say so", || {
        restarted.readiness().body.contains("since the node started").then_some(())
    });
    for other in &others {
        lab.node(*other).resume();
    }
    fresh_again(&restarted);
    lab.finish();
}

#[test]
fn a_node_that_was_stopped_does_not_answer_with_what_it_knew_before() {
    let (mut lab, addresses) = form(REFUSE);
    let sleeper = lab.others(lab.running()[0])[0];
    let others = lab.others(sleeper);
    let node = addresses[sleeper];
    assert_eq!(ask(&node).status, 200);
    for stopped in [sleeper, others[0], others[1]] {
        lab.node(stopped).pause();
    }
    // It waits at the door of the sleeper, whom nobody can tell anything when it wakes.
    let asked = std::thread::spawn(move || node.introspect());
    let until = wall_seconds() + MAX_STALENESS + ROUNDED;
    while wall_seconds() <= until {
        pause();
    }
    assert!(!asked.is_finished(), "the node was not stopped");
    lab.node(sleeper).resume();
    let answer = asked.join().unwrap();
    assert!(answer.is_stale(), "{answer:?}");
    for other in &others {
        lab.node(*other).resume();
    }
    fresh_again(&node);
    lab.finish();
}

/// Long enough for several probes of every node.
const PROBED: Duration = Duration::from_secs(2);

#[test]
fn a_view_is_never_older_than_it_says_while_leaders_come_and_go() {
    let (mut lab, addresses) = form(REFUSE);
    for _ in 0..2 {
        let leader = lab.leader();
        lab.node(leader).pause();
        let others = lab.others(leader);
        let until = std::time::Instant::now() + PROBED;
        while std::time::Instant::now() < until {
            for other in &others {
                ask(&addresses[*other]);
            }
        }
        lab.node(leader).resume();
        ask(&addresses[leader]);
    }
    for node in &addresses {
        fresh_again(node);
    }
    lab.finish();
}
