//! Processes that a test starts: each is ended through the handle it was started with, when its
//! value is dropped, and what it wrote is shown when it fails.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running program.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program whose output goes to the file `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Self {
        let output = File::create(log).unwrap();
        let errors = output.try_clone().unwrap();
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn().unwrap();
        Self { child, log: log.to_owned() }
    }

    /// Fails the test when the program has ended.
    pub(crate) fn require_running(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("the program ended with {status}:\n{}", self.log());
        }
    }

    /// What the program wrote so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Ends a child by its handle and collects it.
pub(crate) fn end(child: &mut Child) {
    child.kill().ok();
    child.wait().ok();
}

/// Runs a program to its end, and returns its standard output if it succeeded.
pub(crate) fn run_to_end(command: &mut Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?} did not start: {error}"));
    assert!(
        output.status.success(),
        "{command:?} ended with {}:\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    String::from_utf8(output.stdout).unwrap()
}
