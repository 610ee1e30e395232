//! A directory without room (F20): on a file system of its own, filled to the last byte under the
//! running node, and emptied again.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

use super::lab::{Lab, Plan, load::Answer};

/// What a node keeps free for itself is 64 MiB beyond its log.
const SIZE: &str = "112m";

#[test]
fn a_leader_without_room_refuses_before_it_acknowledges_and_goes_on_when_there_is_room() {
    let small = 0;
    let mut lab = Lab::form(Plan { small_disk: Some((small, SIZE)), ..Plan::DRIVEN });
    let id = lab.sites[small].id().unwrap().to_owned();
    lab.sites[small].exequatur(&["cluster", "transfer-leader", &id]).done();
    lab.status_when(small, "that it leads", |status| status.leads());
    lab.revoke_for_sure(small);

    let filler = inside(&mut lab, small).join("filler");
    fill(&filler);
    for node in lab.running() {
        let term = lab.status(small).unwrap().term;
        let answer = lab.revoke(node);
        let after = lab.status(small).unwrap();
        if after.leads() && after.term == term {
            assert!(matches!(answer, Answer::Failed(_)), "node {node}: {answer:?}");
        }
    }
    lab.node(small).require_running();

    fs::remove_file(&filler).unwrap();
    lab.revoke_for_sure(small);
    lab.node(small).require_running();
    lab.finish();
}

#[test]
fn a_follower_without_room_holds_up_nobody_and_catches_up_without_a_restart() {
    let small = 2;
    let mut lab = Lab::form(Plan { small_disk: Some((small, SIZE)), ..Plan::DRIVEN });
    let others = lab.others(small);
    if lab.leader() == small {
        let id = lab.sites[others[0]].id().unwrap().to_owned();
        lab.sites[small].exequatur(&["cluster", "transfer-leader", &id]).done();
    }
    lab.settle();
    let filler = inside(&mut lab, small).join("filler");
    fill(&filler);
    let mut last = 0;
    for _ in 0..20 {
        last = lab.revoke_for_sure(others[0]);
    }
    lab.node(small).require_running();
    fs::remove_file(&filler).unwrap();
    lab.status_when(small, "what it had missed", |status| status.applied >= Some(last));
    lab.finish();
}

/// The node's directory as the node sees it.
fn inside(lab: &mut Lab, node: usize) -> PathBuf {
    let pid = lab.node(node).pid();
    let directory = lab.sites[node].path("cluster");
    Path::new(&format!("/proc/{pid}/root")).join(directory.strip_prefix("/").unwrap())
}

/// Writes until nothing more fits.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for chunk in [1 << 20, 4_096, 1] {
        let zeros = vec![0; chunk];
        while file.write(&zeros).is_ok_and(|written| written > 0) {}
    }
}
