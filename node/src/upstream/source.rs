//! One issuer as a source of keys: finding the address, fetching the set, judging it. It keeps
//! nothing and decides nothing about when.

use std::sync::Arc;

use exequatur_federation::jose::{JwkSet, JwkSetError, sha256};

use super::{DiscoveryError, Fetch, FetchError, RemoteUrl, UrlError, discover};

/// An issuer, and how its keys are reached.
#[derive(Clone)]
pub struct IssuerSource {
    issuer: RemoteUrl,
    jwks_uri: Option<RemoteUrl>,
    fetch: Arc<dyn Fetch>,
}

/// Why an issuer's source was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The issuer is no acceptable address.
    #[error("issuer: {0}")]
    Issuer(UrlError),
    /// The address of the keys is not acceptable.
    #[error("jwks_uri: {0}")]
    JwksUri(UrlError),
}

impl IssuerSource {
    /// A source whose keys stand at `jwks_uri`, or where discovery says.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub fn new(
        issuer: &str,
        jwks_uri: Option<&str>,
        fetch: Arc<dyn Fetch>,
    ) -> Result<Self, SourceError> {
        Ok(Self {
            issuer: RemoteUrl::issuer(issuer).map_err(SourceError::Issuer)?,
            jwks_uri: jwks_uri
                .map(RemoteUrl::configured)
                .transpose()
                .map_err(SourceError::JwksUri)?,
            fetch,
        })
    }

    /// The exact issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.issuer.as_str()
    }

    /// Fetches the keys from `location` or the configured address, else from where discovery says.
    pub(super) async fn load(&self, location: Option<RemoteUrl>) -> Result<Loaded, RefreshError> {
        let (url, discovered) = match location.or_else(|| self.jwks_uri.clone()) {
            Some(url) => (url, false),
            None => (discover(&*self.fetch, &self.issuer).await?.jwks_uri, true),
        };
        let body = match self.fetch.fetch(&url).await {
            Ok(body) => body,
            Err(cause) => return Err(RefreshError::Keys { url: url.to_string(), cause }),
        };
        match JwkSet::parse(&body) {
            Ok(set) if set.keys().is_empty() => Err(RefreshError::NoKey { url: url.to_string() }),
            Ok(set) => {
                Ok(Loaded { set, digest: sha256(&body), discovered: discovered.then_some(url) })
            }
            Err(cause) => Err(RefreshError::Set { url: url.to_string(), cause }),
        }
    }
}

/// Why the keys of an issuer were not fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefreshError {
    /// Its metadata is not known.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// The address of the keys did not answer with a document.
    #[error("`{url}`: {cause}")]
    Keys {
        /// What was asked.
        url: String,
        /// Why there is no answer.
        cause: FetchError,
    },
    /// The set has no key that can verify a signature here; dropping all keys at once is more
    /// likely a mistake than a wish.
    #[error("`{url}` has no key for an algorithm known here")]
    NoKey {
        /// What was asked.
        url: String,
    },
    /// Nothing was fetched so far.
    #[error("no fetch has ended yet")]
    Pending,
    /// The set is malformed or poisoned; it is refused whole.
    #[error("the key set of `{url}` is refused: {cause}")]
    Set {
        /// What was asked.
        url: String,
        /// What is wrong with it.
        cause: JwkSetError,
    },
}

/// What one fetch brought.
pub(super) struct Loaded {
    pub(super) set: JwkSet,
    /// SHA-256 of the document.
    pub(super) digest: [u8; 32],
    /// The address of the keys, if this fetch had to find it out.
    pub(super) discovered: Option<RemoteUrl>,
}
