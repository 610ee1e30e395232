//! Wall clocks that are wrong, or are set while a node runs (F40, F41). The age of a view goes by
//! the uptime of the machine, so that neither makes an old view look fresh.

use std::{fs, path::PathBuf};

use super::lab::{
    Lab, Plan,
    http::{Addresses, wall_seconds},
    wait_for,
};

const REFUSE: &str = r#"
[revocation]
max_staleness = "3s"
on_stale      = "refuse"
"#;

/// The library by which a process sees another wall clock, and no other clock differently.
fn library() -> String {
    let folders = fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let files = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
    let found = files.filter(|file| file.exists()).map(|file| file.display().to_string()).next();
    found.expect("libfaketime is missing: install the package (`make test` does)")
}

/// The file that says by how much the clock of a node is wrong.
fn offset_file(lab: &Lab, node: usize) -> PathBuf {
    lab.sites[node].path("clock")
}

/// Sets the clock of a node: how far it is from the machine's.
fn set(lab: &Lab, node: usize, offset: &str) {
    let file = offset_file(lab, node);
    // Whole or not at all: a node reads it all the time.
    let aside = file.with_extension("aside");
    fs::write(&aside, offset).unwrap();
    fs::rename(aside, file).unwrap();
}

/// A federation in which one node has a wall clock of its own.
fn form(wrong: usize, offset: &str) -> (Lab, Vec<Addresses>) {
    let mut lab = Lab::prepare(Plan::PRODUCT);
    for site in &lab.sites {
        let file = site.path("region.toml");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(file, format!("{text}{REFUSE}")).unwrap();
    }
    set(&lab, wrong, offset);
    let file = offset_file(&lab, wrong).display().to_string();
    lab.run_with(
        wrong,
        &[
            ("LD_PRELOAD", &library()),
            ("FAKETIME_TIMESTAMP_FILE", &file),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ],
    );
    lab.found();
    lab.start_all();
    let addresses: Vec<Addresses> = lab.running().iter().map(|n| lab.addresses(*n)).collect();
    for node in &addresses {
        wait_for("a fresh view", || (node.introspect().status == 200).then_some(()));
    }
    (lab, addresses)
}

#[test]
fn a_node_whose_clock_is_ten_minutes_ahead_is_as_fresh_as_the_others() {
    let (lab, addresses) = form(2, "+600s");
    let now = wall_seconds();
    let as_of = addresses[2].introspect().as_of();
    assert!(as_of.is_none_or(|as_of| as_of > now + 300), "the clock is not wrong: {as_of:?}");
    for _ in 0..2 {
        let now = wall_seconds();
        wait_for("views that go on", || {
            let right = addresses[0].introspect().as_of()? > now;
            let wrong = addresses[2].introspect().as_of()? > now + 600;
            (right && wrong).then_some(())
        });
    }
    lab.finish();
}

#[test]
fn a_wall_clock_that_is_set_makes_the_view_stale_until_the_node_is_confirmed_again() {
    for offset in ["+300s", "-300s"] {
        let (mut lab, addresses) = form(1, "+0s");
        let node = &addresses[1];
        // Nobody can confirm the view any more, which is still fresh.
        for other in [0, 2] {
            lab.node(other).pause();
        }
        set(&lab, 1, offset);
        let answer = node.introspect();
        assert!(answer.is_stale(), "{offset}: {answer:?}");
        for other in [0, 2] {
            lab.node(other).resume();
        }
        wait_for("a fresh view", || (node.introspect().status == 200).then_some(()));
        set(&lab, 1, "+0s");
        wait_for("a fresh view", || (node.introspect().status == 200).then_some(()));
        lab.finish();
    }
}
