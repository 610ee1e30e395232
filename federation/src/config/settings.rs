//! What the node needs to know besides the law: where it listens, signs, stores and fetches.
//!
//! Secrets appear as paths of files only. Paths are as written; whoever reads them resolves them
//! against the directory of the region's file.

use std::{collections::BTreeMap, net::SocketAddr};

use crate::{jose::Algorithm, operator::Roles, time::Ttl};

/// Settings of one region's nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSettings {
    /// Where the node listens.
    pub listen: Listen,
    /// Where signing keys are.
    pub keys: Keys,
    /// The region's database.
    pub store: Store,
    /// The audit log.
    pub audit: Audit,
    /// Publication of status lists.
    pub status_list: StatusLists,
    /// Quotas.
    pub limits: Limits,
    /// How keys of global issuers are fetched, by exact issuer.
    pub upstreams: BTreeMap<String, UpstreamFetch>,
    /// The node's part in the ledger; `None` for a region alone.
    pub cluster: Option<Cluster>,
    /// Who may use the operator's service over TCP.
    pub admin: Option<Admin>,
}

/// A node's part in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Directory of the log, the snapshots and the node's key.
    pub directory: String,
    /// File outside that directory which tells whether it was wiped or restored.
    pub anchor: String,
    /// This node's certificate for other nodes.
    pub tls: TlsFiles,
}

/// The operator's service over TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Its certificate.
    pub tls: TlsFiles,
    /// PEM file of the authority that certifies operators.
    pub client_ca: String,
    /// Which operator may do what.
    pub roles: Roles,
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM file of the certificate chain.
    pub certificate: String,
    /// PEM file of its private key.
    pub private_key: String,
}

/// Addresses of the listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The public OAuth endpoints.
    pub public: SocketAddr,
    /// How the public endpoints are protected.
    pub transport: Transport,
    /// Clients with certificates. Takes effect with sender-constrained tokens.
    pub mtls: Option<SocketAddr>,
    /// Other nodes of the federation.
    pub peer: Option<SocketAddr>,
    /// The operator's service. Takes effect with the admin service.
    pub admin: Option<AdminAddress>,
    /// Health and metrics.
    pub operations: SocketAddr,
}

/// How the public endpoints are protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Not at all: loopback only.
    PlainHttp,
    /// TLS.
    Tls {
        /// PEM file of the certificate chain.
        certificate: String,
        /// PEM file of its private key.
        private_key: String,
    },
}

/// Where the operator's service listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminAddress {
    /// A TCP port.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(String),
}

/// The region's signing keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Where they live.
    pub provider: KeyProvider,
    /// Algorithm of access tokens.
    pub algorithm: Algorithm,
    /// Age at which a key is replaced. Takes effect with key rotation.
    pub rotate_every: Ttl,
    /// How long a replaced key stays published. Takes effect with key rotation.
    pub overlap: Ttl,
}

/// Where keys live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyProvider {
    /// In an HSM.
    Pkcs11 {
        /// The library.
        module: String,
        /// Label of the slot's token.
        slot: String,
        /// File with the PIN.
        pin_file: String,
        /// Sessions that sign at the same time.
        sessions: u32,
    },
    /// In a sealed file, for development.
    Software {
        /// The sealed file.
        file: String,
        /// File with the passphrase.
        passphrase_file: String,
    },
}

/// The region's database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// Which database it is.
    pub engine: StoreEngine,
    /// File with the password of the database's user.
    pub password_file: Option<String>,
}

/// A database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreEngine {
    /// A PostgreSQL server, by a URL without password.
    Postgres(String),
    /// An SQLite file, by its path.
    Sqlite(String),
}

/// The audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// How long personal parts are kept. Takes effect with erasure.
    pub keep: Ttl,
    /// Where records are sent. Takes effect with audit export.
    pub export: Option<AuditExport>,
}

/// Where records are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditExport {
    /// `syslog+tls://host:port` or `file:/path`.
    pub to: String,
    /// Their form.
    pub format: ExportFormat,
}

/// Form of exported records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// This project's own JSON.
    Json,
    /// Open Cybersecurity Schema Framework.
    Ocsf,
}

/// Publication of status lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusLists {
    /// How long a copy may be used before it is fetched anew.
    pub ttl: Ttl,
    /// How often lists that changed are published.
    pub publish_every: Ttl,
}

/// Quotas of the public endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at the same time.
    pub connections: u32,
    /// Requests that are worked on at the same time.
    pub requests_in_flight: u32,
}

/// How the keys of one global issuer are fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamFetch {
    /// Its name in rules and records.
    pub name: String,
    /// Where its keys are, if not where its discovery document says.
    pub jwks_uri: Option<String>,
    /// PEM file of the certificate authorities, if not the system's.
    pub ca_file: Option<String>,
    /// Whether it is reached over plain HTTP; then only on loopback.
    pub loopback_http: bool,
}
