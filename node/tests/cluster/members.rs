//! Changes of members (F80, F81, F83).

use super::lab::{Lab, Plan, load::Answer};

/// The law says no.
const REFUSED: i32 = 3;

#[test]
fn voters_that_would_not_survive_the_loss_of_a_region_are_not_founded() {
    let mut lab = Lab::prepare(Plan::PRODUCT);
    lab.sites[2].set_voter(false);
    lab.write_federation();
    let said = lab.bootstrap(&lab.tickets());
    assert_ne!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("voters"), "{said:?}");
    lab.sites[2].set_voter(true);
    lab.write_federation();
    // A founder's ticket is missing.
    let said = lab.bootstrap(&lab.tickets()[..2]);
    assert_ne!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains(lab.sites[2].id().unwrap()), "{said:?}");

    lab.found();
    lab.start_all();
    lab.finish();
}

#[test]
fn a_fourth_node_learns_does_not_vote_against_the_rules_and_once_removed_never_comes_back() {
    let mut lab = Lab::form(Plan::DRIVEN);
    let fourth = lab.add_node(0);
    let id = lab.sites[fourth].id().unwrap().to_owned();
    lab.status_when(0, "a learner", |status| status.learners.contains(&id));
    lab.status_when(fourth, "what the others have", |status| status.leader.is_some());

    let said = lab.sites[0].exequatur(&["cluster", "promote", &id]).refused(REFUSED);
    assert!(said.contains("voters"), "{said}");
    let voter = lab.sites[1].id().unwrap().to_owned();
    let said = lab.sites[0].exequatur(&["cluster", "demote", &voter]).refused(REFUSED);
    assert!(said.contains("voters"), "{said}");

    lab.stop(fourth);
    lab.sites[0].exequatur(&["cluster", "remove", &id, "--yes-for-ever", &id]).done();
    lab.status_when(0, "that it is gone", |status| {
        !status.learners.contains(&id) && status.voters.len() == 3
    });
    // Its ticket is still good, but its id is not.
    let ticket = lab.sites[fourth].ticket();
    let again = lab.sites[fourth].path("again.invite").display().to_string();
    let said =
        lab.sites[0].exequatur(&["cluster", "invite", &ticket, "--to", &again]).refused(REFUSED);
    assert!(said.contains("has left"), "{said}");
    // And with what it had, it is nobody.
    lab.start(fourth);
    let answer = lab.revoke(fourth);
    assert_eq!(answer, Answer::Failed("no-quorum".to_owned()));
    lab.kill(fourth);
    lab.finish();
}

#[test]
fn a_leader_that_is_replaced_as_a_voter_leads_no_more() {
    let mut lab = Lab::form(Plan::PRODUCT);
    let new = lab.add_node(0);
    let [old_id, new_id] = [0, new].map(|node| lab.sites[node].id().unwrap().to_owned());
    lab.status_when(0, "a learner", |status| status.learners.contains(&new_id));
    lab.sites[1].exequatur(&["cluster", "transfer-leader", &old_id]).done();
    lab.sites[1].exequatur(&["cluster", "promote", &new_id, "--replacing", &old_id]).done();
    for node in lab.running() {
        lab.status_when(node, "a voter that leads", |status| {
            status.voters.contains(&new_id)
                && status.learners.contains(&old_id)
                && status.voters.len() == 3
                && status.leader.as_ref().is_some_and(|leader| status.voters.contains(leader))
        });
    }
    lab.finish();
}

#[test]
fn a_change_of_voters_whose_leader_is_killed_ends_in_one_set_of_voters() {
    let mut lab = Lab::form(Plan::DRIVEN);
    let load = lab.load();
    lab.acknowledged.wait_for_more(10);
    let leader = lab.leader();
    let demoted = lab.others(leader)[0];
    let id = lab.sites[demoted].id().unwrap().to_owned();
    let change = ["cluster", "demote", &id, "--accept-reduced-survival"];
    let mut asking = lab.sites[demoted].command(&change).spawn().unwrap();
    // Somewhere between the request and its end.
    std::thread::park_timeout(std::time::Duration::from_millis(60));
    lab.kill(leader);
    asking.wait().unwrap();
    lab.start(leader);
    lab.settle();
    let voters = |lab: &mut Lab, node: usize| {
        let settled = lab.status_when(node, "one set of voters", |status| {
            !status.warnings.iter().any(|warning| warning.contains("under way"))
        });
        let mut voters = settled.voters;
        voters.sort();
        voters
    };
    let expected = voters(&mut lab, leader);
    assert!((2..=3).contains(&expected.len()), "{expected:?}");
    for node in lab.running() {
        lab.status_when(node, "the same voters", |status| {
            let mut voters = status.voters.clone();
            voters.sort();
            voters == expected
        });
    }
    if expected.len() == 2 {
        lab.sites[leader].exequatur(&["cluster", "promote", &id]).done();
    }
    lab.acknowledged.wait_for_more(10);
    load.stop();
    lab.finish();
}
