//! Three regions with a node each on loopback, formed by the documented steps: their files,
//! certificates and command lines. What the files look like is known here and nowhere else in the
//! ledger's benchmark.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use serde_json::Value;

use super::{
    program::{self, ProgramError},
    region::free_port,
    softhsm::write_private,
};

/// Name and jurisdiction; a region's number is its place here, from 1.
const REGIONS: [(&str, &str); 3] =
    [("eu-central", "EU"), ("us-east", "US"), ("ap-southeast", "SG")];
/// It guards keys that live as long as the run; the node wants at least 32 bytes.
const PASSPHRASE: &str = "a passphrase for the keys of one run\n";
/// An election on one machine takes less than a second; a loaded one may need far longer.
const LEADER_WITHIN: Duration = Duration::from_secs(30);
/// Between two looks for a leader.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Three nodes that are bootstrapped and do not run.
#[derive(Debug)]
pub(crate) struct Federation {
    nodes: Vec<Home>,
    exequatur: PathBuf,
}

#[derive(Debug)]
struct Home {
    directory: PathBuf,
    peer: String,
    id: String,
    identity: String,
}

/// Why there is no federation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FederationError {
    /// A file could not be written, or there is no free port.
    #[error("the federation in `{}` could not be set up: {cause}", directory.display())]
    Files {
        /// Where.
        directory: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// No certificate could be made.
    #[error("no certificate could be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A step failed.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// A step said something else than it should.
    #[error("`{command}` said what was not expected: {said}")]
    Said {
        /// The step.
        command: &'static str,
        /// Its output.
        said: String,
    },
    /// Nobody leads.
    #[error("no node leads after {} s", LEADER_WITHIN.as_secs())]
    NoLeader,
}

impl Federation {
    /// Forms one in `directory`, which must exist and be absolute.
    pub(crate) fn form(directory: &Path, exequatur: &Path) -> Result<Self, FederationError> {
        let files = |cause| FederationError::Files { directory: directory.to_owned(), cause };
        let mut nodes = Vec::new();
        for (name, _) in REGIONS {
            let home = directory.join(name);
            let peer = free_port().map_err(files)?.to_string();
            nodes.push(Home { directory: home, peer, id: String::new(), identity: String::new() });
        }
        let mut federation = Self { nodes, exequatur: exequatur.to_owned() };
        federation.write_files().map_err(files)?;
        federation.write_certificates(&[], files)?;
        for node in 0..REGIONS.len() {
            federation.init(node)?;
        }
        let ids: Vec<String> = federation.nodes.iter().map(|home| home.id.clone()).collect();
        federation.write_certificates(&ids, files)?;
        federation.write_law().map_err(files)?;
        federation.found()?;
        Ok(federation)
    }

    /// How many nodes it has.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Where a node's files are.
    pub(crate) fn directory(&self, node: usize) -> &Path {
        self.nodes.get(node).map_or(Path::new(""), |home| &home.directory)
    }

    /// Adds the arguments that name a node's files.
    pub(crate) fn complete(&self, node: usize, command: &mut Command) {
        let directory = self.directory(node);
        command.arg("--config").arg(directory.join("region.toml"));
        command.arg("--federation").arg(directory.join("federation.toml"));
        command.current_dir(directory);
    }

    /// Waits until a node leads; which.
    pub(crate) fn leader(&self) -> Result<usize, FederationError> {
        let started = Instant::now();
        while started.elapsed() < LEADER_WITHIN {
            for node in 0..self.len() {
                let mut command = self.command(node, &["--output", "json", "cluster", "status"]);
                let status = command.output().ok();
                let status = status.and_then(|o| serde_json::from_slice::<Value>(&o.stdout).ok());
                if status.is_some_and(|status| word(&status, "state") == Some("leader")) {
                    return Ok(node);
                }
            }
            std::thread::park_timeout(LOOK_EVERY);
        }
        Err(FederationError::NoLeader)
    }

    fn command(&self, node: usize, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.exequatur);
        command.args(arguments);
        self.complete(node, &mut command);
        command
    }

    fn init(&mut self, node: usize) -> Result<(), FederationError> {
        const NAME: &str = "exequatur init";
        let mut command = self.command(node, &["--output", "json", "init"]);
        let said = program::output_of(NAME, &mut command)?;
        let made: Value = serde_json::from_str(&said).unwrap_or_default();
        let node_made = made.get("node").unwrap_or(&Value::Null);
        let (Some(id), Some(identity)) = (word(node_made, "id"), word(node_made, "identity"))
        else {
            return Err(FederationError::Said { command: NAME, said });
        };
        if let Some(home) = self.nodes.get_mut(node) {
            home.id = id.to_owned();
            home.identity = identity.to_owned();
        }
        Ok(())
    }

    fn found(&self) -> Result<(), FederationError> {
        let mut bootstrap = self.command(0, &["cluster", "bootstrap"]);
        for home in &self.nodes {
            bootstrap.arg("--ticket").arg(home.directory.join("cluster/node.ticket"));
        }
        program::run_to_end("`exequatur cluster bootstrap`", &mut bootstrap)?;
        for node in 1..self.len() {
            let mut join = self.command(node, &["cluster", "join"]);
            join.arg("--genesis").arg(self.directory(0).join("cluster/genesis"));
            program::run_to_end("`exequatur cluster join`", &mut join)?;
        }
        Ok(())
    }

    fn write_files(&self) -> io::Result<()> {
        for (home, region) in self.nodes.iter().zip(REGIONS) {
            fs::create_dir_all(home.directory.join("tls"))?;
            fs::create_dir_all(home.directory.join("anchor"))?;
            write_private(&home.directory.join("passphrase"), PASSPHRASE)?;
            fs::write(home.directory.join("region.toml"), region_file(region, &home.peer))?;
        }
        self.write_law()
    }

    /// The same `federation.toml` everywhere, with what is known of nodes.
    fn write_law(&self) -> io::Result<()> {
        let law = federation_file(&self.nodes);
        self.nodes
            .iter()
            .try_for_each(|home| fs::write(home.directory.join("federation.toml"), &law))
    }

    /// An authority a region, everywhere, and a certificate for each id that is known.
    fn write_certificates(
        &self,
        ids: &[String],
        files: impl Fn(io::Error) -> FederationError + Copy,
    ) -> Result<(), FederationError> {
        for (number, (region, _)) in REGIONS.into_iter().enumerate() {
            let (authority, own) = authority(region)?;
            for home in &self.nodes {
                let path = home.directory.join("tls").join(format!("{region}-ca.pem"));
                fs::write(path, &own).map_err(files)?;
            }
            let (Some(id), Some(home)) = (ids.get(number), self.nodes.get(number)) else {
                continue;
            };
            let (certificate, key) = certificate(&authority, region, id)?;
            fs::write(home.directory.join("peer.pem"), certificate).map_err(files)?;
            write_private(&home.directory.join("peer.key"), &key).map_err(files)?;
        }
        Ok(())
    }
}

fn word<'a>(object: &'a Value, member: &str) -> Option<&'a str> {
    object.get(member).and_then(Value::as_str)
}

fn authority(region: &str) -> Result<(Issuer<'static, KeyPair>, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, format!("authority of {region}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key)?.pem();
    Ok((Issuer::new(params, key), certificate))
}

/// A node's certificate and private key.
fn certificate(
    authority: &Issuer<'_, KeyPair>,
    region: &str,
    id: &str,
) -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    let uri = format!("spiffe://bench/region/{region}/node/{id}");
    params.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    Ok((params.signed_by(&key, authority)?.pem(), key.serialize_pem()))
}

fn region_file((name, jurisdiction): (&str, &str), peer: &str) -> String {
    format!(
        r#"[region]
name         = "{name}"
jurisdiction = "{jurisdiction}"
issuer       = "https://{name}.id.example"

[listen]
public     = "127.0.0.1:0"
operations = "127.0.0.1:0"
plain_http = true
peer       = "{peer}"
admin      = "unix:admin.sock"

[cluster]
directory = "cluster"
anchor    = "anchor/node"
tls       = {{ certificate = "peer.pem", private_key = "peer.key" }}

[keys]
provider = "software"
software = {{ file = "keys.sealed", passphrase_file = "passphrase" }}

[store]
url = "sqlite:region.db"

[[upstream]]
name   = "global"
preset = "keycloak"
issuer = "http://127.0.0.1:1/realms/global"

[[claim]]
from   = "/email"
class  = "contact"
action = {{ coarsen = "email-domain", domains = ["example.com"] }}
to     = "email_domain"

[[resource]]
id     = "https://api.{name}.example/orders"
scopes = ["orders:read"]
claims = ["email_domain"]

[[client]]
id           = "orders-gateway"
auth         = {{ secret_sha256 = ["sha256:AAAAAAAAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] }}
grants       = ["token-exchange"]
resources    = ["https://api.{name}.example/orders"]
upstream_ids = ["gateway"]
acts_as      = "subject"
"#
    )
}

fn federation_file(nodes: &[Home]) -> String {
    let mut file = "[federation]\nname = \"bench\"\n".to_owned();
    for (number, ((name, jurisdiction), home)) in (1..).zip(REGIONS.into_iter().zip(nodes)) {
        file.push_str(&format!(
            "\n[[region]]\nnumber       = {number}\nname         = \"{name}\"\n\
             jurisdiction = \"{jurisdiction}\"\nissuer       = \"https://{name}.id.example\"\n"
        ));
        if !home.id.is_empty() {
            file.push_str(&format!(
                "identity     = \"{}\"\nca           = \"tls/{name}-ca.pem\"\n\
                 [[region.node]]\nid      = \"{}\"\naddress = \"{}\"\n",
                home.identity, home.id, home.peer
            ));
        }
    }
    file.push_str(
        r#"
[[upstream]]
name        = "global"
audience    = ["https://exequatur.example"]
home_region = { from = "/region", map = { eu = "eu-central" }, services = "here" }
"#,
    );
    file
}

#[cfg(test)]
mod tests {
    use exequatur_federation::config::{SourceFile, compile};

    use super::*;

    #[test]
    fn the_files_are_a_federation_without_findings() {
        let directory = tempfile::tempdir().unwrap();
        let home = |(number, (name, _)): (u16, (&str, &str))| Home {
            directory: directory.path().join(name),
            peer: format!("127.0.0.1:{number}"),
            id: format!("{number:016x}"),
            identity: String::new(),
        };
        let nodes: Vec<Home> = (8_001..).zip(REGIONS).map(home).collect();
        let federation = Federation { nodes, exequatur: PathBuf::new() };
        federation.write_files().unwrap();
        let source = |home: &Home, name: &str| SourceFile {
            name: name.to_owned(),
            text: fs::read_to_string(home.directory.join(name)).unwrap(),
        };
        for home in &federation.nodes {
            let mut law = source(home, "federation.toml");
            // No key was made, and none is needed to read the rest.
            law.text = law.text.replace("identity     = \"\"\n", "");
            let none = |path: &str| Err(format!("`{path}` is not needed"));
            let compiled = compile(&source(home, "region.toml"), &law, &none).unwrap();
            assert!(compiled.warnings.is_empty(), "{:?}", compiled.warnings);
            assert_eq!(compiled.federation.voters().len(), 3);
        }
    }

    #[test]
    fn a_certificate_names_its_node() {
        let (authority, _) = authority("eu-central").unwrap();
        let (certificate, key) = certificate(&authority, "eu-central", "0123").unwrap();
        assert!(certificate.starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(key.contains("PRIVATE KEY"));
    }
}
