//! The built program as a process of its own, for faults that need one: an environment, a file
//! system or a log on standard error.

use std::{
    path::Path,
    process::{Command, Output},
};

use super::{
    port::free_port,
    process::{Process, run_to_end},
    wait_for,
};
use crate::lab::{Lab, clock::LabClock, http::HttpRequest, region::Variation};

/// A lab for a program that listens at addresses which are free now.
pub(super) fn lab(variation: Variation) -> Lab {
    let listen = Some([free_port(), free_port()]);
    Lab::prepare_at(LabClock::of_the_machine(), Variation { listen, ..variation })
}

/// The program with the lab's files.
pub(super) fn exequatur(lab: &Lab, verb: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_exequatur"));
    command.arg(verb).args(arguments(lab.directory()));
    command
}

/// Arguments that name the lab's files.
pub(super) fn arguments(directory: &Path) -> [String; 4] {
    let file = |name: &str| directory.join(name).display().to_string();
    ["--config".to_owned(), file("region.toml"), "--federation".to_owned(), file("federation.toml")]
}

/// Runs `exequatur init`.
pub(super) fn initialise(mut command: Command) {
    run_to_end(&mut command);
}

/// Starts `exequatur run` and returns when it says that it is ready.
pub(super) fn run(lab: &Lab, mut command: Command) -> Process {
    let mut process = Process::start(&mut command, &lab.directory().join("run.log"));
    wait_for("ready", || {
        process.require_running();
        let answer = HttpRequest::new("GET", "/readyz").try_send(lab.operations());
        answer.ok().filter(|answer| answer.status == 200)
    });
    process
}

/// Runs the program where it must not start; returns its exit code and standard error.
pub(super) fn refuse_to_start(mut command: Command) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command.output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}
