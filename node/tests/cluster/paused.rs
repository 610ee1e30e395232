//! A leader that is stopped and does not know it (F03).

use std::time::Duration;

use super::lab::{Lab, Plan, load::Answer};

/// Far longer than an election.
const PAUSE: Duration = Duration::from_secs(5);

#[test]
fn a_leader_that_wakes_up_writes_nothing_in_its_old_term() {
    let mut lab = Lab::form(Plan::DRIVEN);
    let load = lab.load();
    lab.acknowledged.wait_for_more(20);
    let paused = lab.leader();
    let before = lab.status(paused).unwrap();
    load.stop();
    lab.node(paused).pause();

    // What is proposed at the sleeper waits in its standard input, and is the first that it sees.
    let (switchboard, acknowledged) = (lab.switchboard.clone(), lab.acknowledged.clone());
    let asleep = std::thread::spawn(move || switchboard.revoke(paused, &acknowledged));
    let awake = lab.others(paused);
    let leader = lab.leader_among(&awake);
    let load = lab.load_at(&awake);
    let until = std::time::Instant::now() + PAUSE;
    while std::time::Instant::now() < until {
        lab.acknowledged.wait_for_more(10);
    }
    lab.node(paused).resume();

    let id = lab.sites[leader].id().unwrap().to_owned();
    let after = lab.status_when(paused, "that it follows", |status| {
        status.leader.as_deref() == Some(id.as_str())
    });
    assert!(after.term > before.term, "{before:?}, then {after:?}");
    // Either it was told so in time, or the new leader agreed to it: whatever was acknowledged is
    // looked for on every node at the end.
    let answer = asleep.join().unwrap();
    assert!(matches!(answer, Answer::Decided(_) | Answer::Failed(_)), "{answer:?}");
    load.stop();
    lab.finish();
}
