//! From settings to the places they name: database, log, files.

use std::path::{Path, PathBuf};

use exequatur_federation::{
    config::{NodeSettings, StoreEngine},
    region::RegionId,
};

use super::ListenError;
use crate::{
    entropy::EntropyError,
    facade::DocumentsError,
    hsm::{KeyStoreError, Purpose},
    store::{Binding, Location, LogId, OpenError, StoreError},
    upstream::{DuplicateIssuer, RootsError, SourceError},
};

/// Number of this node's audit log. A region has one node until nodes have identities of their own.
const LOG: LogId = LogId(1);

/// Why a node does not start. Each names what is missing and how to get it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The operator's service does not listen.
    #[error(transparent)]
    Admin(#[from] crate::admin::AdminListenError),
    /// The node does not take part in its federation.
    #[error(transparent)]
    Cluster(Box<super::ClusterError>),
    /// There is no key to seal something for another region with.
    #[error(
        "`introspect_in` names `{reader}`, but the key store has no key to seal for it with: run \
         `exequatur keys offer` there, `exequatur keys share` here with what it wrote, and \
         `exequatur keys take` there"
    )]
    BorderKeyMissing {
        /// The other region.
        reader: RegionId,
    },
    /// A document cannot be written.
    #[error(transparent)]
    Documents(#[from] DocumentsError),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// Two upstreams have one issuer.
    #[error(transparent)]
    Issuers(#[from] DuplicateIssuer),
    /// A key is not there.
    #[error("the key store has no {algorithm} key for `{purpose}`: run `exequatur init`")]
    KeyMissing {
        /// What it is for.
        purpose: Purpose,
        /// Its algorithm.
        algorithm: &'static str,
    },
    /// The key store does not open.
    #[error(transparent)]
    KeyStore(#[from] KeyStoreError),
    /// A listener does not open.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The HSM does not open.
    #[error(transparent)]
    Pkcs11(#[from] crate::hsm::pkcs11::OpenError),
    /// The region has a database, but not the secret under which people got their pseudonyms.
    #[error(
        "the region has a database, but its key store has no secret `pairwise`: restore the key \
         file, or with pkcs11 the `.secrets` file beside the region's file and its slot; \
         `exequatur init --renames-every-subject` makes a new one, and everybody's `sub` changes"
    )]
    PairwiseLost,
    /// Certificate authorities of an upstream cannot be read.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// A secret is not there.
    #[error("the key store has no secret `{name}`: run `exequatur init`")]
    SecretMissing {
        /// Its name.
        name: &'static str,
    },
    /// An upstream's address is not acceptable.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database does not open.
    #[error(transparent)]
    StoreOpen(#[from] OpenError),
}

impl From<super::ClusterError> for StartError {
    fn from(error: super::ClusterError) -> Self {
        Self::Cluster(Box::new(error))
    }
}

/// A path of the configuration, resolved against the directory of the region's file.
#[must_use]
pub fn resolve(directory: &Path, path: &str) -> PathBuf {
    directory.join(path)
}

/// Where the region's database is.
#[must_use]
pub fn location(settings: &NodeSettings, directory: &Path) -> Location {
    match &settings.store.engine {
        StoreEngine::Sqlite(path) => Location::Sqlite { path: resolve(directory, path) },
        StoreEngine::Postgres(url) => Location::Postgres {
            url: url.clone(),
            password_file: settings.store.password_file.as_ref().map(|f| resolve(directory, f)),
        },
    }
}

/// Which log of the database is this node's.
#[must_use]
pub fn log_binding(region: &RegionId) -> Binding {
    Binding { region: region.clone(), log: LOG }
}
