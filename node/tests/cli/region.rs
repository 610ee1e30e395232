//! The files of one region in a directory of its own, and a node that runs on them.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{Answer, exequatur};

/// A start is a few hundred milliseconds; a loaded machine may need far longer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

pub(crate) const FEDERATION: &str = r#"[federation]
name = "test"

[[region]]
name         = "eu-central"
jurisdiction = "EU"
issuer       = "http://127.0.0.1:8443"

[[region]]
name         = "us-east"
jurisdiction = "US"
issuer       = "https://us-east.id.example"

[[upstream]]
name        = "global"
audience    = ["https://exequatur.example"]
home_region = { from = "/region", map = { eu = "eu-central", us = "us-east" }, services = "here" }
"#;

pub(crate) const REGION: &str = r#"[region]
name         = "eu-central"
jurisdiction = "EU"
issuer       = "http://127.0.0.1:8443"

[listen]
public     = "127.0.0.1:0"
operations = "127.0.0.1:0"
plain_http = true

[keys]
provider = "software"
software = { file = "keys.sealed", passphrase_file = "passphrase" }

[store]
url = "sqlite:region.db"

[[upstream]]
name   = "global"
preset = "keycloak"
issuer = "https://login.example.com/realms/global"

[[claim]]
from   = "/email"
class  = "contact"
action = { coarsen = "email-domain", domains = ["example.com"] }
to     = "email_domain"

[[claim]]
from   = "/realm_access/roles"
class  = "entitlement"
action = { map = { reader = "reader" } }
to     = "roles"

[[claim]]
from   = "/department"
class  = "organisation"
action = "keep"

[[resource]]
id       = "https://api.eu.example/orders"
audience = "orders"
scopes   = ["orders:read"]
claims   = ["roles", "email_domain", "department"]

[[client]]
id           = "orders-gateway"
auth         = { secret_sha256 = ["sha256:AAAAAAAAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] }
grants       = ["token-exchange"]
resources    = ["https://api.eu.example/orders"]
upstream_ids = ["gateway"]
acts_as      = "subject"
"#;

/// A client besides the first, so that one must be chosen.
pub(crate) const SECOND_CLIENT: &str = r#"
[[client]]
id        = "orders-batch"
auth      = { secret_sha256 = ["sha256:AAAAAAAAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] }
grants    = ["token-exchange"]
resources = ["https://api.eu.example/orders"]
"#;

/// The directory of a region; it is deleted with this value.
pub(crate) struct Region {
    directory: tempfile::TempDir,
}

impl Region {
    pub(crate) fn new() -> Self {
        Self::with(REGION)
    }

    pub(crate) fn with(region: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("region.toml"), region).unwrap();
        fs::write(directory.path().join("federation.toml"), FEDERATION).unwrap();
        Self { directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file beside the region's and returns its path as an argument.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.path(name).display().to_string()
    }

    pub(crate) fn config(&self) -> String {
        self.path("region.toml").display().to_string()
    }

    /// Runs a command with `--config` of this region.
    pub(crate) fn run(&self, arguments: &[&str]) -> Answer {
        let config = self.config();
        exequatur(arguments.iter().copied().chain(["--config", &config]))
    }

    /// A text in which the directory is called `DIR`, so that it can be compared.
    pub(crate) fn without_directory(&self, text: &str) -> String {
        text.replace(&self.directory.path().display().to_string(), "DIR")
    }

    /// Starts the node and returns once it answers: its first record is durable then.
    pub(crate) fn serve(&self) -> Node {
        let mut child = Command::new(env!("CARGO_BIN_EXE_exequatur"))
            .args(["run", "--config", &self.config()])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let operations = log.by_ref().find_map(|line| {
            line.split_once("operations=").map(|(_, address)| address.trim().to_owned())
        });
        let node = Node { child, _log: Box::new(log) };
        let mut stream = TcpStream::connect(operations.unwrap()).unwrap();
        stream.set_read_timeout(Some(ANSWERS_WITHIN)).unwrap();
        let request = "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        node
    }
}

/// A running node; it is ended with this value.
pub(crate) struct Node {
    child: Child,
    /// Kept open: a node whose standard error is closed could not log.
    _log: Box<dyn Iterator<Item = String>>,
}

impl Node {
    /// Asks the node to stop, and returns its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
