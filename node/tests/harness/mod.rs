//! A region as a test starts it: files in a directory, the built binary, and a certificate of an
//! authority made for the test. The shape of the files and of the command line is known here and
//! nowhere else in the tests.

pub(crate) mod certificate;
mod port;
pub(crate) mod process;
pub(crate) mod programs;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use port::free_port;
use process::Process;

/// The issuer has a path, so that RFC 8414's insertion of the well-known part is put to the test.
const ISSUER_PATH: &str = "/eu-central";
/// A start is a few hundred milliseconds; a loaded machine may need far longer.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// Between two looks at `/readyz`.
const POLL_EVERY: Duration = Duration::from_millis(20);

/// What differs between the regions of different tests.
pub(crate) struct Settings<'a> {
    /// Where every file of the region lies; holds `ID.jwks` of each client.
    pub directory: &'a Path,
    pub upstream_issuer: &'a str,
    pub upstream_audience: &'a str,
    pub resource: &'a str,
    pub scopes: &'a [&'a str],
    pub introspecting_client: &'a str,
    pub exchanging_clients: &'a [Client<'a>],
}

/// A client that asks for tokens by `private_key_jwt`.
pub(crate) struct Client<'a> {
    pub id: &'a str,
    /// Registered with `assertion_audience = "issuer-or-token-endpoint"`.
    pub endpoint_audience: bool,
}

/// A running region; it ends when this value is dropped.
pub(crate) struct Region {
    issuer: String,
    ca_file: PathBuf,
    _process: Process,
}

impl Region {
    /// Writes the files, runs `init` and `run`, and returns when the region says that it is ready.
    pub(crate) fn start(settings: &Settings<'_>) -> Self {
        let directory = settings.directory;
        let (public, operations) = (free_port(), free_port());
        let issuer = format!("https://localhost:{}{ISSUER_PATH}", public.port());
        let ca_file = certificate::write(directory);
        let region = region_file(settings, &issuer, public, operations);
        std::fs::write(directory.join("region.toml"), region).unwrap();
        std::fs::write(directory.join("federation.toml"), federation_file(settings, &issuer))
            .unwrap();

        process::run_to_end(&mut command(directory, "init"));
        let mut process =
            Process::start(&mut command(directory, "run"), &directory.join("run.log"));
        wait_until_ready(&mut process, operations);
        Self { issuer, ca_file, _process: process }
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The authority that the region's certificate is from.
    pub(crate) fn ca_file(&self) -> &Path {
        &self.ca_file
    }
}

fn command(directory: &Path, verb: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_exequatur"));
    command
        .arg(verb)
        .arg("--config")
        .arg(directory.join("region.toml"))
        .arg("--federation")
        .arg(directory.join("federation.toml"));
    command
}

fn federation_file(settings: &Settings<'_>, issuer: &str) -> String {
    let upstream_audience = settings.upstream_audience;
    format!(
        r#"[federation]
name = "test"

[[region]]
name         = "eu-central"
jurisdiction = "EU"
issuer       = "{issuer}"

[[upstream]]
name        = "global"
audience    = ["{upstream_audience}"]
home_region = {{ from = "/region", map = {{ eu-central = "eu-central" }}, services = "here" }}
"#
    )
}

fn region_file(
    settings: &Settings<'_>,
    issuer: &str,
    public: SocketAddr,
    operations: SocketAddr,
) -> String {
    let Settings { upstream_issuer, resource, introspecting_client, .. } = settings;
    let scopes = quoted(settings.scopes);
    let here = settings.directory.display();
    let mut file = format!(
        r#"[region]
name         = "eu-central"
jurisdiction = "EU"
issuer       = "{issuer}"

[listen]
public     = "{public}"
operations = "{operations}"
tls        = {{ certificate = "{here}/tls.pem", private_key = "{here}/tls.key" }}

[keys]
provider     = "software"
software     = {{ file = "{here}/keys.sealed", passphrase_file = "{here}/passphrase" }}
access_token = {{ algorithm = "ES256" }}

[store]
url = "sqlite:{here}/region.db"

[status_list]
publish_every = "1s"

[[upstream]]
name   = "global"
preset = "keycloak"
issuer = "{upstream_issuer}"

[[claim]]
from   = "/email"
class  = "contact"
action = {{ coarsen = "email-domain", domains = ["example.com"] }}
to     = "email_domain"

[[claim]]
from   = "/realm_access/roles"
class  = "entitlement"
action = {{ map = {{ reader = "reader" }} }}
to     = "roles"

[[claim]]
from   = "/birthdate"
class  = "identity"
action = {{ coarsen = "age-over", years = 18 }}
to     = "age_over_18"

[[resource]]
id            = "{resource}"
scopes        = [{scopes}]
claims        = ["roles", "age_over_18", "email_domain"]
introspect_as = ["{introspecting_client}"]

[[client]]
id     = "{introspecting_client}"
auth   = {{ private_key_jwt = "{here}/{introspecting_client}.jwks" }}
grants = []
"#
    );
    for client in settings.exchanging_clients {
        file.push_str(&client_table(client, settings));
    }
    file
}

fn client_table(client: &Client<'_>, settings: &Settings<'_>) -> String {
    let audience = if client.endpoint_audience { "issuer-or-token-endpoint" } else { "issuer" };
    format!(
        r#"
[[client]]
id           = "{id}"
auth         = {{ private_key_jwt = "{here}/{id}.jwks", assertion_audience = "{audience}" }}
grants       = ["token-exchange"]
resources    = ["{resource}"]
upstream_ids = ["gateway"]
acts_as      = "subject"
"#,
        id = client.id,
        here = settings.directory.display(),
        resource = settings.resource,
    )
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

fn wait_until_ready(process: &mut Process, operations: SocketAddr) {
    let started = Instant::now();
    loop {
        let said = readiness(operations).unwrap_or_else(|error| error.to_string());
        if said.starts_with("HTTP/1.1 200") {
            return;
        }
        process.require_running();
        let late = started.elapsed() > READY_WITHIN;
        assert!(!late, "not ready after {READY_WITHIN:?}: {said}\n{}", process.log());
        std::thread::park_timeout(POLL_EVERY);
    }
}

/// The answer of `/readyz`, head and body.
fn readiness(operations: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&operations, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
