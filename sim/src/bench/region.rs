//! One region as the benchmark runs it: its files, and the node's command line. Nothing else here
//! knows the shape of either.
//!
//! The region speaks plain HTTP on loopback, as the floor does: what is compared is the exchange,
//! and TLS is set up once a connection.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
};

use exequatur_federation::config::secret_hash_text;

use super::{
    issuer::{AUDIENCE, AUTHORIZED_PARTY, SCOPE},
    pin,
    program::{self, Program, ProgramError},
    request::{KeyClient, SecretClient, Target},
    softhsm::{self, Slot, write_private},
};

/// The resource that tokens are for.
const RESOURCE: &str = "https://api.eu.example/orders";
/// It guards keys that live as long as the run; the node wants at least 32 bytes.
const PASSPHRASE: &str = "a passphrase for the keys of one run\n";
/// The benchmark measures what the node can do, not what a client may ask of it.
const RATE: &str = "{ per_second = 1000000, burst = 1000000 }";

/// Who talks to the region.
#[derive(Clone, Copy)]
pub(crate) struct Parties<'a> {
    /// `iss` of the global issuer.
    pub(crate) upstream: &'a str,
    /// Exchanges by `client_secret_basic`.
    pub(crate) by_secret: &'a SecretClient,
    /// Exchanges by `private_key_jwt`.
    pub(crate) by_key: &'a KeyClient,
    /// Asks about tokens.
    pub(crate) resource_server: &'a SecretClient,
}

/// Where a region's signing keys are.
#[derive(Debug)]
pub(crate) enum Keys {
    /// In an HSM.
    Slot(Slot),
    /// In a sealed file.
    Software,
}

/// A region that was written down; `init` and `start` need the node's binary.
#[derive(Debug)]
pub(crate) struct Region {
    directory: PathBuf,
    public: SocketAddr,
    operations: SocketAddr,
    host: String,
    issuer: String,
    keys: Keys,
}

/// A region's files could not be written, or there is no free port.
#[derive(Debug, thiserror::Error)]
#[error("the region in `{}` could not be set up: {cause}", directory.display())]
pub(crate) struct RegionError {
    directory: PathBuf,
    cause: io::Error,
}

impl Region {
    /// Chooses ports and writes the files into `directory`, which must exist and be absolute.
    pub(crate) fn write(
        directory: &Path,
        keys: Keys,
        parties: Parties<'_>,
    ) -> Result<Self, RegionError> {
        let written = || {
            let (public, operations) = free_ports()?;
            let host = format!("localhost:{}", public.port());
            let issuer = format!("http://{host}");
            let directory = directory.to_owned();
            let region = Self { directory, public, operations, host, issuer, keys };
            region.write_files(parties)?;
            Ok(region)
        };
        written().map_err(|cause| RegionError { directory: directory.to_owned(), cause })
    }

    /// Runs `exequatur init`: keys and database.
    pub(crate) fn init(&self, node: &Path) -> Result<(), ProgramError> {
        let mut command = Command::new(node);
        self.complete(&mut command, "init");
        program::run_to_end("`exequatur init`", &mut command)
    }

    /// Starts `exequatur run` on the node's core. Health is asked at [`Self::operations`].
    pub(crate) fn start(&self, node: &Path) -> Result<Program, ProgramError> {
        let mut command = pin::on_node_core(node);
        self.complete(&mut command, "run");
        Program::start("`exequatur run`", &mut command, &self.directory.join("run.log"))
    }

    /// Where its files and its database are.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where the OAuth endpoints are.
    pub(crate) const fn public(&self) -> SocketAddr {
        self.public
    }

    /// Where `/readyz` is.
    pub(crate) const fn operations(&self) -> SocketAddr {
        self.operations
    }

    /// What requests to it must name.
    pub(crate) fn target(&self) -> Target<'_> {
        Target { host: &self.host, issuer: &self.issuer, resource: RESOURCE }
    }

    fn complete(&self, command: &mut Command, verb: &str) {
        command.arg(verb);
        command.arg("--config").arg(self.directory.join("region.toml"));
        command.arg("--federation").arg(self.directory.join("federation.toml"));
        if let Keys::Slot(slot) = &self.keys {
            command.env(softhsm::CONFIGURATION_VARIABLE, &slot.configuration);
        }
    }

    fn write_files(&self, parties: Parties<'_>) -> io::Result<()> {
        let here = |name: &str| self.directory.join(name);
        write_private(&here("passphrase"), PASSPHRASE)?;
        let keys = parties.by_key.key().to_jwk_set().to_string();
        std::fs::write(here("client.jwks"), keys)?;
        std::fs::write(here("federation.toml"), self.federation_file())?;
        std::fs::write(here("region.toml"), self.region_file(parties))
    }

    fn federation_file(&self) -> String {
        let issuer = &self.issuer;
        format!(
            r#"[federation]
name = "bench"

[[region]]
name         = "eu-central"
jurisdiction = "EU"
issuer       = "{issuer}"

[[upstream]]
name        = "global"
audience    = ["{AUDIENCE}"]
home_region = {{ from = "/region", map = {{ eu-central = "eu-central" }}, services = "here" }}
"#
        )
    }

    fn region_file(&self, parties: Parties<'_>) -> String {
        [self.node_tables(), law_tables(parties), self.client_tables(parties)].concat()
    }

    fn node_tables(&self) -> String {
        let Self { public, operations, issuer, .. } = self;
        let here = self.directory.display();
        let keys = match &self.keys {
            Keys::Slot(slot) => format!(
                "provider     = \"pkcs11\"\npkcs11       = {{ module = \"{}\", slot = \"{}\", \
                 pin_file = \"{}\" }}",
                slot.module.display(),
                slot.label,
                slot.pin_file.display(),
            ),
            Keys::Software => format!(
                "provider     = \"software\"\nsoftware     = {{ file = \"{here}/keys.sealed\", \
                 passphrase_file = \"{here}/passphrase\" }}"
            ),
        };
        format!(
            r#"[region]
name         = "eu-central"
jurisdiction = "EU"
issuer       = "{issuer}"

[listen]
public     = "{public}"
operations = "{operations}"
plain_http = true

[keys]
{keys}
access_token = {{ algorithm = "ES256" }}

[store]
url = "sqlite:{here}/region.db"
"#
        )
    }

    fn client_tables(&self, parties: Parties<'_>) -> String {
        let Parties { by_secret, by_key, resource_server, .. } = parties;
        let exchanges = format!(
            r#"grants       = ["token-exchange"]
resources    = ["{RESOURCE}"]
upstream_ids = ["{AUTHORIZED_PARTY}"]
acts_as      = "subject"
"#
        );
        let jwks = self.directory.join("client.jwks");
        [
            client(by_secret.id(), &secret_auth(by_secret), &exchanges),
            client(
                by_key.id(),
                &format!(r#"{{ private_key_jwt = "{}" }}"#, jwks.display()),
                &exchanges,
            ),
            client(resource_server.id(), &secret_auth(resource_server), "grants       = []\n"),
        ]
        .concat()
    }
}

fn law_tables(parties: Parties<'_>) -> String {
    let upstream = parties.upstream;
    let introspector = parties.resource_server.id();
    format!(
        r#"
[[upstream]]
name   = "global"
preset = "keycloak"
issuer = "{upstream}"

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
id            = "{RESOURCE}"
scopes        = ["{SCOPE}"]
claims        = ["roles", "age_over_18", "email_domain"]
introspect_as = ["{introspector}"]
"#
    )
}

fn client(id: &str, auth: &str, rest: &str) -> String {
    format!(
        "\n[[client]]\nid           = \"{id}\"\nauth         = {auth}\nrate         = {RATE}\n{rest}"
    )
}

fn secret_auth(client: &SecretClient) -> String {
    format!(r#"{{ secret_sha256 = ["{}"] }}"#, secret_hash_text(client.hash()))
}

/// Two loopback ports that nobody holds now; the listeners are dropped before the node binds them.
fn free_ports() -> io::Result<(SocketAddr, SocketAddr)> {
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let second = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok((first.local_addr()?, second.local_addr()?))
}

/// A loopback port that nobody holds now.
pub(crate) fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

#[cfg(test)]
mod tests {
    use exequatur_federation::{
        client::Grant,
        config::{Compiled, KeyProvider, SourceFile, Transport, compile},
    };

    use super::*;

    fn compiled(directory: &Path, keys: Keys) -> Compiled {
        let by_secret = SecretClient::generate("bench-secret").unwrap();
        let by_key = KeyClient::generate("bench-key").unwrap();
        let resource_server = SecretClient::generate("bench-api").unwrap();
        let parties = Parties {
            upstream: "http://127.0.0.1:1/realms/global",
            by_secret: &by_secret,
            by_key: &by_key,
            resource_server: &resource_server,
        };
        Region::write(directory, keys, parties).unwrap();
        let source = |name: &str| SourceFile {
            name: name.to_owned(),
            text: std::fs::read_to_string(directory.join(name)).unwrap(),
        };
        let read = |path: &str| std::fs::read(path).map_err(|e| e.to_string());
        compile(&source("region.toml"), &source("federation.toml"), &read).unwrap()
    }

    #[test]
    fn the_files_are_a_region_without_findings() {
        let directory = tempfile::tempdir().unwrap();
        let Compiled { law, settings, warnings, .. } = compiled(directory.path(), Keys::Software);
        assert!(warnings.is_empty(), "{warnings:?}");
        assert_eq!(settings.listen.transport, Transport::PlainHttp);
        let exchanging = |client: &&exequatur_federation::client::Client| {
            client.grants == [Grant::TokenExchange] && client.rate.per_second == 1_000_000
        };
        assert_eq!(law.clients.values().filter(exchanging).count(), 2);
    }

    #[test]
    fn a_slot_stands_in_the_files_as_it_was_made() {
        let directory = tempfile::tempdir().unwrap();
        let slot = Slot::make(directory.path()).unwrap();
        let pin = slot.pin_file.display().to_string();
        let provider = compiled(directory.path(), Keys::Slot(slot)).settings.keys.provider;
        assert!(
            matches!(&provider, KeyProvider::Pkcs11 { pin_file, .. } if *pin_file == pin),
            "{provider:?}"
        );
    }
}
