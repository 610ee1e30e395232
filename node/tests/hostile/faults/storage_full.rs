//! A database without space (fault matrix F20): a small file system of its own is filled to the last
//! byte under the running node, and emptied again.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use exequatur_node::store::Location;
use serde_json::json;

use super::{exchange, outcome, process::Process, program, wait_for};
use crate::lab::{Lab, audit::Log, region::Variation};

/// Size of the file system: enough for `init` and some hundred records.
const SIZE: &str = "2m";
/// Exchanges until the node's own files have no room left: what was reserved is used up first.
const EXCHANGES_MAX: usize = 2_000;
const UNAVAILABLE: (u16, &str) = (503, "audit_unavailable");

#[test]
fn without_space_nothing_is_issued_or_revoked_and_with_space_all_is_well_again() {
    let lab = program::lab(Variation {
        store: Some("sqlite:small/region.db".to_owned()),
        ..Variation::default()
    });
    fs::create_dir(lab.directory().join("small")).unwrap();
    let mut process = program::run(&lab, on_a_small_file_system(&lab));
    let small = inside(&lab);
    let token = lab.issued();
    let mut issued = 1;

    fill(&small.join("filler"));
    let refused = loop {
        let answer = lab.send(&exchange(&lab));
        if answer.status != 200 {
            break answer;
        }
        issued += 1;
        assert!(issued < EXCHANGES_MAX, "the file system never was full");
    };
    assert_eq!(outcome(&refused), (UNAVAILABLE.0, UNAVAILABLE.1.to_owned()), "{refused:?}");
    assert!(!refused.header("retry-after").is_empty());
    let revocation = lab.send(&lab.revoke(&token));
    assert_eq!(outcome(&revocation), (UNAVAILABLE.0, UNAVAILABLE.1.to_owned()));
    let answer = lab.send(&lab.introspect(&token));
    assert_eq!(answer.json()["active"], json!(true), "what was not revoked is alive: {answer:?}");
    let assertion = lab.assertion().header("kid", "signer-es").sign(&lab.keys.signer_es);
    let unused = exchange(&lab).assertion(&assertion);
    assert_eq!(outcome(&lab.send(&unused)).0, 503);
    process.require_running();

    fs::remove_file(small.join("filler")).unwrap();
    wait_for("issuing again", || (lab.send(&exchange(&lab)).status == 200).then_some(()));
    issued += 1;
    assert_eq!(lab.send(&unused).status, 200, "the assertion was not used up in vain");
    issued += 1;
    assert_eq!(lab.send(&lab.revoke(&token)).status, 200);
    assert_eq!(lab.send(&lab.introspect(&token)).text(), r#"{"active":false}"#);
    process.require_running();
    let log = log_after_a_crash(&lab, &small, process);
    assert_eq!(log.of_event("token_authorized").len(), issued, "one record for each token");
    assert_eq!(log.of_event("token_revoked").len(), 1);
}

/// Ends the node at once and reads its log. The file system goes with the process, but not before
/// the last open file of it is closed.
fn log_after_a_crash(lab: &Lab, small: &Path, process: Process) -> Log {
    let held = ["region.db", "region.db-wal"].map(|name| (name, File::open(small.join(name))));
    drop(process);
    for (name, file) in held {
        let mut copy = File::create(lab.directory().join(name)).unwrap();
        io::copy(&mut file.unwrap(), &mut copy).unwrap();
    }
    Log::read(&Location::Sqlite { path: lab.directory().join("region.db") })
}

/// `init` and `run` in a mount namespace whose directory `small` is a file system of its own. The
/// shell becomes the node, so the process is the node's.
fn on_a_small_file_system(lab: &Lab) -> Command {
    let script = r#"
        set -e
        mount -t tmpfs -o size="$1" tmpfs "$2"
        program=$3
        shift 3
        "$program" init "$@"
        echo $$ > pid
        exec "$program" run "$@"
    "#;
    let mut command = Command::new("unshare");
    if !may_mount() {
        // Without being root, one may mount in a user namespace of one's own.
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--mount", "sh", "-c", script, "sh", SIZE]);
    command.arg(lab.directory().join("small")).arg(env!("CARGO_BIN_EXE_exequatur"));
    command.args(program::arguments(lab.directory())).current_dir(lab.directory());
    command
}

fn may_mount() -> bool {
    Command::new("unshare").args(["--mount", "true"]).output().unwrap().status.success()
}

/// The file system as the node sees it.
fn inside(lab: &Lab) -> PathBuf {
    let directory = lab.directory().join("small");
    let process = fs::read_to_string(lab.directory().join("pid")).unwrap();
    PathBuf::from(format!("/proc/{}/root", process.trim()))
        .join(directory.strip_prefix("/").unwrap())
}

/// Writes until nothing more fits.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for chunk in [4_096, 1] {
        let zeros = vec![0; chunk];
        while file.write(&zeros).is_ok_and(|written| written > 0) {}
    }
}
