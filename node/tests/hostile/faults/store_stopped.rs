//! A PostgreSQL server that is stopped under the running node and started again (fault matrix F27).
//! The server is the test's own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;
use tempfile::TempDir;

use super::{exchange, outcome, process::run_to_end, readiness, wait_for};
use crate::lab::{Lab, MARKER, region::Variation};

const BINARIES: &str = "/usr/lib/postgresql";
/// Ports below Linux's ephemeral range, so that no outgoing connection holds one.
const PORT_FIRST: u32 = 20_000;
const PORT_COUNT: u32 = 10_000;
const START_ATTEMPTS: u32 = 10;

#[test]
fn without_its_server_nothing_is_issued_or_revoked_and_with_it_all_is_well_again() {
    let server = Server::start();
    let mut lab = Lab::prepare(Variation { store: Some(server.url()), ..Variation::default() });
    lab.initialise();
    lab.run();
    let token = lab.issued();
    let unavailable = (503, "audit_unavailable".to_owned());
    let assertion = lab.assertion().header("kid", "signer-es").sign(&lab.keys.signer_es);
    let unused = exchange(&lab).assertion(&assertion);

    server.stop();
    for request in [exchange(&lab), lab.revoke(&token), unused.clone(), exchange(&lab)] {
        let answer = lab.send(&request);
        assert_eq!(outcome(&answer), unavailable, "{answer:?}");
        assert!(!answer.header("retry-after").is_empty());
    }
    // Nothing of these needs the database.
    assert_eq!(lab.send(&lab.introspect(&token)).json()["active"], json!(true));
    assert_eq!(lab.send(&lab.introspect(MARKER)).text(), r#"{"active":false}"#);
    assert_eq!(lab.send(&exchange(&lab).anonymous()).status, 401);
    wait_for("not ready", || (readiness(&lab).status == 503).then_some(()));
    // A refusal of a known client must be recorded, and cannot.
    let unrecorded = lab.send(&exchange(&lab).set("scope", MARKER));
    assert_eq!(outcome(&unrecorded), unavailable);

    server.start_again();
    wait_for("issuing again", || (lab.send(&exchange(&lab)).status == 200).then_some(()));
    wait_for("ready", || (readiness(&lab).status == 200).then_some(()));
    assert_eq!(lab.send(&unused).status, 200, "the assertion was not used up in vain");
    assert_eq!(lab.send(&unused).member("error_id"), "client_assertion_replayed");
    assert_eq!(lab.send(&lab.revoke(&token)).status, 200);
    assert_eq!(lab.send(&lab.introspect(&token)).text(), r#"{"active":false}"#);
    let log = lab.stop();
    assert_eq!(log.of_event("token_authorized").len(), 3, "one record for each token");
    assert_eq!(log.of_event("token_revoked").len(), 1);
    assert_eq!(log.counted("client_authentication_missing"), 1, "counted over the outage");
}

/// A server with a cluster of its own; it is stopped when this is dropped.
struct Server {
    directory: TempDir,
    binaries: PathBuf,
    port: u32,
}

impl Server {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut server = Self { directory, binaries: binaries(), port: 0 };
        let data = server.data();
        if is_root() {
            // PostgreSQL refuses to run as root.
            run_to_end(Command::new("chown").arg("postgres").arg(server.directory.path()));
        }
        let names = ["-U", "exequatur", "-E", "UTF8", "--locale=C.UTF-8", "--auth=trust"];
        run_to_end(server.command("initdb").arg("-D").arg(data).args(names).arg("--no-sync"));
        let first = std::process::id() % PORT_COUNT;
        let mut ports = (0..START_ATTEMPTS).map(|at| PORT_FIRST + (first + at) % PORT_COUNT);
        server.port = ports.find(|port| server.try_start(*port)).unwrap();
        server
    }

    fn url(&self) -> String {
        format!("postgres://exequatur@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }

    fn start_again(&self) {
        assert!(self.try_start(self.port), "the server does not start again");
    }

    /// As a crash: without saying goodbye to its clients.
    fn stop(&self) {
        run_to_end(
            self.command("pg_ctl").args(["stop", "-s", "-m", "immediate", "-D"]).arg(self.data()),
        );
    }

    fn try_start(&self, port: u32) -> bool {
        // What is asked of this server is its absence, not its survival of a power cut.
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories='' -c fsync=off"
        );
        let mut command = self.command("pg_ctl");
        command.args(["start", "-w", "-s", "-D"]).arg(self.data());
        command.arg("-l").arg(self.directory.path().join("server.log")).args(["-o", &options]);
        command.status().unwrap().success()
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let program = self.binaries.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        // The server's user may not be able to read the directory of the tests.
        command.current_dir(self.directory.path());
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut command = self.command("pg_ctl");
        command.args(["stop", "-s", "-m", "immediate", "-D"]).arg(self.data());
        // It may be stopped already.
        drop(command.output());
    }
}

fn binaries() -> PathBuf {
    let missing = "no PostgreSQL server: install the package `postgresql`";
    let versions = fs::read_dir(BINARIES).unwrap_or_else(|error| panic!("{missing} ({error})"));
    let mut found: Vec<PathBuf> = versions.map(|entry| entry.unwrap().path().join("bin")).collect();
    found.retain(|bin| bin.join("initdb").exists());
    found.sort();
    found.pop().unwrap_or_else(|| panic!("{missing}"))
}

fn is_root() -> bool {
    let owner = |path: &Path| std::os::unix::fs::MetadataExt::uid(&fs::metadata(path).unwrap());
    owner(Path::new("/proc/self")) == 0
}
