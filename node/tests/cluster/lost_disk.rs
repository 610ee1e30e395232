//! Directories that are not what the node left (F28, F29): each is refused with the way out, and the
//! way out leads back.

use std::{fs, time::Duration};

use super::lab::{Lab, Plan, pause, site::copy_directory};

/// The anchor is told once a second how far the log is.
const ANCHOR_INTERVAL: Duration = Duration::from_secs(1);
/// What every refusal advises.
const WAY_OUT: [&str; 4] =
    ["rejoin as a new node", "`exequatur init`", "`exequatur cluster invite`", "cluster join`"];

fn assert_way_out(said: &str) {
    for part in WAY_OUT {
        assert!(said.contains(part), "no {part} in: {said}");
    }
}

#[test]
fn a_wiped_node_is_refused_and_comes_back_as_another_in_place_of_the_old() {
    let mut lab = Lab::form(Plan::DRIVEN);
    lab.revoke_for_sure(0);
    let leader = lab.leader();
    let wiped = lab.others(leader)[0];
    let old = lab.sites[wiped].id().unwrap().to_owned();
    lab.kill(wiped);
    fs::remove_dir_all(lab.sites[wiped].path("cluster")).unwrap();
    let said = lab.start_in_vain(wiped);
    assert!(said.contains("wiped") && said.contains(&old), "{said}");
    assert_way_out(&said);

    lab.rejoin(wiped);
    let new = lab.sites[wiped].id().unwrap().to_owned();
    assert_ne!(new, old);
    let status =
        lab.status_when(wiped, "that it is a learner", |status| status.learners.contains(&new));
    assert!(status.voters.contains(&old), "{status:?}");
    lab.sites[wiped].exequatur(&["cluster", "promote", &new, "--replacing", &old]).done();
    lab.sites[wiped].exequatur(&["cluster", "remove", &old, "--yes-for-ever", &old]).done();
    for node in lab.running() {
        lab.status_when(node, "the new voters", |status| {
            status.voters.contains(&new)
                && !status.voters.contains(&old)
                && status.voters.len() == 3
                && status.survives_any_region
        });
    }
    lab.revoke_for_sure(wiped);
    lab.finish();
}

#[test]
fn a_directory_from_a_backup_is_refused_though_the_old_leader_is_dead() {
    let mut lab = Lab::form(Plan::DRIVEN);
    lab.revoke_for_sure(0);
    let leader = lab.leader();
    let restored = lab.others(leader)[0];
    let witness = lab.others(leader)[1];
    let (directory, anchor) =
        (lab.sites[restored].path("cluster"), lab.sites[restored].path("anchor"));
    let (backup, old_anchor) =
        (lab.sites[restored].path("cluster.backup"), lab.sites[restored].path("anchor.backup"));
    lab.stop(restored);
    copy_directory(&directory, &backup);
    copy_directory(&anchor, &old_anchor);
    lab.start(restored);
    lab.settle();
    let load = lab.load();
    lab.acknowledged.wait_for_more(50);
    let until = std::time::Instant::now() + ANCHOR_INTERVAL * 2;
    while std::time::Instant::now() < until {
        pause();
    }
    load.stop();
    lab.kill(restored);
    let newest_anchor = lab.sites[restored].path("anchor.newest");
    fs::rename(&anchor, &newest_anchor).unwrap();

    // With its anchor: the node cannot know, but the leader has seen what it held.
    fs::remove_dir_all(&directory).unwrap();
    copy_directory(&backup, &directory);
    copy_directory(&old_anchor, &anchor);
    lab.start(restored);
    lab.wait_for_log(leader, "it has forgotten what it had acknowledged");
    lab.kill(restored);
    lab.kill(leader);

    // Without: the node notices by itself, and the one that is left has no quorum with it. Together
    // they might have forgotten what the old leader had acknowledged.
    fs::remove_dir_all(&directory).unwrap();
    fs::remove_dir_all(&anchor).unwrap();
    copy_directory(&backup, &directory);
    fs::rename(&newest_anchor, &anchor).unwrap();
    let said = lab.start_in_vain(restored);
    assert!(said.contains("rolled back"), "{said}");
    assert_way_out(&said);

    lab.start(leader);
    lab.leader_among(&[leader, witness]);
    lab.revoke_for_sure(witness);
    lab.finish();
}

#[test]
fn directories_that_are_another_nodes_or_have_no_anchor_are_refused() {
    let mut lab = Lab::form(Plan::PRODUCT);
    let leader = lab.leader();
    let (one, other) = (lab.others(leader)[0], lab.others(leader)[1]);
    lab.stop(one);
    let kept = lab.sites[one].path("kept");
    let [directory, anchor] = ["cluster", "anchor"].map(|name| lab.sites[one].path(name));

    fs::rename(&directory, &kept).unwrap();
    copy_directory(&lab.sites[other].path("cluster"), &directory);
    let said = lab.start_in_vain(one);
    assert!(said.contains("made for another region"), "{said}");
    fs::remove_dir_all(&directory).unwrap();
    fs::rename(&kept, &directory).unwrap();

    fs::rename(&anchor, &kept).unwrap();
    fs::create_dir(&anchor).unwrap();
    let said = lab.start_in_vain(one);
    assert!(said.contains("anchor") && said.contains("missing"), "{said}");
    assert_way_out(&said);
    fs::remove_dir(&anchor).unwrap();
    fs::rename(&kept, &anchor).unwrap();

    // What was put back as it was is as good as before.
    lab.start(one);
    lab.finish();
}
