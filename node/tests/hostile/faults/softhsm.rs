//! An HSM whose slot vanishes under the running node and comes back (fault matrix F30), and one
//! that refuses the PIN (F34). SoftHSM2 stands for it; the node is a process of its own, as
//! SoftHSM reads from the environment where its objects are.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;

use super::{
    exchange, outcome,
    process::run_to_end,
    program::{self, exequatur, refuse_to_start},
    wait_for,
};
use crate::lab::{Lab, MARKER, audit::Log, node::database, region::Variation};

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const SLOT: &str = "eu-central";
const PIN: &str = "correct-pin-1";
const WRONG_PIN: &str = "mistaken-pin-2";
const SIGNED: &str = "application/token-introspection+jwt";

#[test]
fn without_its_hsm_nothing_is_issued_and_with_it_all_is_well_again() {
    let lab = lab();
    program::initialise(with_softhsm(&lab, exequatur(&lab, "init")));
    let keys = objects(&slots(&lab));
    assert!(!keys.is_empty());
    let mut process = program::run(&lab, with_softhsm(&lab, exequatur(&lab, "run")));
    let (token, revoked) = (lab.issued(), lab.issued());
    let unavailable = (503, "signing_unavailable".to_owned());

    let away = lab.directory().join("away");
    fs::rename(slots(&lab), &away).unwrap();
    for _ in 0..3 {
        let answer = lab.send(&exchange(&lab));
        assert_eq!(outcome(&answer), unavailable, "{answer:?}");
        assert!(!answer.header("retry-after").is_empty());
    }
    // What the request's own record used up is no replay.
    let assertion = lab.assertion().header("kid", "signer-es").sign(&lab.keys.signer_es);
    let asserted = exchange(&lab).assertion(&assertion);
    assert_eq!(outcome(&lab.send(&asserted)), unavailable);
    assert_eq!(lab.send(&lab.introspect(&token)).json()["active"], json!(true));
    let signed = lab.send(&lab.introspect(&token).header("Accept", SIGNED));
    assert_eq!(outcome(&signed), unavailable, "no unsigned answer in its place");
    assert_eq!(lab.send(&lab.revoke(&revoked)).status, 200);
    assert_eq!(lab.send(&lab.introspect(&revoked)).text(), r#"{"active":false}"#);
    process.require_running();

    fs::rename(&away, slots(&lab)).unwrap();
    wait_for("issuing again", || (lab.send(&exchange(&lab)).status == 200).then_some(()));
    assert_eq!(objects(&slots(&lab)), keys, "no key was made");
    assert_eq!(lab.send(&lab.introspect(&token).header("Accept", SIGNED)).status, 200);
    process.require_running();
    let log = Log::read(&database(lab.directory()));
    let failed = log.of_event("signing_failed");
    let authorized = log.of_event("token_authorized");
    assert!(failed.len() >= 3, "each token that nobody got is told of");
    assert_eq!(authorized.len(), failed.len() + 3, "and each other one was issued");
    for record in failed {
        assert!(authorized.iter().any(|a| a["token_id"] == record["token_id"]), "{record}");
    }
}

#[test]
fn a_wrong_pin_is_tried_once_and_the_start_refused() {
    let lab = lab();
    program::initialise(with_softhsm(&lab, exequatur(&lab, "init")));
    write_pin(&lab, WRONG_PIN);
    let (code, told) = refuse_to_start(with_softhsm(&lab, exequatur(&lab, "run")));
    assert_eq!(code, Some(1), "{told}");
    for word in [SLOT, "refused the PIN", "pin", "not tried again"] {
        assert!(told.contains(word), "`{word}` is not in `{told}`");
    }
    assert!(!told.contains(WRONG_PIN) && !told.contains(PIN), "{told}");
    // The slot is not locked: with the right PIN, the node starts and signs.
    write_pin(&lab, PIN);
    let _process = program::run(&lab, with_softhsm(&lab, exequatur(&lab, "run")));
    assert_eq!(lab.send(&exchange(&lab)).status, 200);
}

#[test]
fn a_slot_that_is_missing_or_empty_stops_the_start_and_stays_so() {
    let lab = lab();
    program::initialise(with_softhsm(&lab, exequatur(&lab, "init")));
    let away = lab.directory().join("away");
    fs::rename(slots(&lab), &away).unwrap();
    fs::create_dir(slots(&lab)).unwrap();
    let (code, told) = refuse_to_start(with_softhsm(&lab, exequatur(&lab, "run")));
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains(&format!("no slot is labelled `{SLOT}`")), "{told}");
    assert!(objects(&slots(&lab)).is_empty(), "nothing was made in its place");
    make_slot(&lab);
    let (code, told) = refuse_to_start(with_softhsm(&lab, exequatur(&lab, "run")));
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("exequatur init"), "{told}");
    assert!(objects(&slots(&lab)).is_empty(), "zero keys are never a reason to make one");
    assert!(!told.contains(MARKER));
}

fn lab() -> Lab {
    let missing = "SoftHSM is missing: install the package `softhsm2`";
    assert!(Path::new(MODULE).exists(), "{missing}");
    let keys = format!(
        "provider = \"pkcs11\"\n\
         pkcs11 = {{ module = \"{MODULE}\", slot = \"{SLOT}\", pin_file = \"pin\" }}"
    );
    let lab = program::lab(Variation { keys: Some(keys), ..Variation::default() });
    fs::create_dir(slots(&lab)).unwrap();
    let configuration =
        format!("directories.tokendir = {}\nlog.level = ERROR\n", slots(&lab).display());
    fs::write(lab.directory().join("softhsm2.conf"), configuration).unwrap();
    write_pin(&lab, PIN);
    make_slot(&lab);
    lab
}

fn make_slot(lab: &Lab) {
    let mut command = Command::new("softhsm2-util");
    command.args(["--init-token", "--free", "--label", SLOT, "--so-pin", "so-pin-1", "--pin", PIN]);
    run_to_end(&mut with_softhsm(lab, command));
}

fn with_softhsm(lab: &Lab, mut command: Command) -> Command {
    command.env("SOFTHSM2_CONF", lab.directory().join("softhsm2.conf"));
    command
}

fn write_pin(lab: &Lab, pin: &str) {
    let path = lab.directory().join("pin");
    fs::write(&path, format!("{pin}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Where SoftHSM keeps its slots.
fn slots(lab: &Lab) -> PathBuf {
    lab.directory().join("tokens")
}

/// Names of the files of all keys.
fn objects(slots: &Path) -> Vec<PathBuf> {
    let entries = |path: &Path| -> Vec<PathBuf> {
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let is_key = |path: &PathBuf| {
        path.extension().is_some_and(|e| e == "object") && !path.ends_with("token.object")
    };
    let mut found: Vec<PathBuf> =
        entries(slots).iter().flat_map(|slot| entries(slot)).filter(is_key).collect();
    found.sort();
    found
}
