//! Which certificate authorities vouch for a global issuer's host: the system's, and where an
//! upstream names a `ca_file`, those in it as well. It makes connectors; it fetches nothing.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use super::FetchLimits;

/// Certificate authorities that a TLS server's certificate may chain to.
#[derive(Clone, Debug)]
pub struct TrustRoots {
    store: RootCertStore,
}

/// Why authorities were not loaded.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// The file holds no certificate.
    #[error("`{}` holds no certificate: it must be a PEM file with CERTIFICATE blocks", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The TLS library refuses its own defaults.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// A certificate of the file cannot be used as an authority.
    #[error("certificate {index} of `{}` is no usable authority: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Position in the file, from 0.
        index: usize,
        /// What the TLS library says.
        reason: String,
    },
    /// The file cannot be read.
    #[error("`{}` cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
}

impl TrustRoots {
    /// No authority at all: with this alone, every HTTPS server is refused.
    #[must_use]
    pub fn none() -> Self {
        Self { store: RootCertStore::empty() }
    }

    /// The system's authorities. A system without any is only logged: an upstream may bring its
    /// own, and on one that does not each fetch fails and says why.
    #[must_use]
    pub fn system() -> Self {
        let loaded = rustls_native_certs::load_native_certs();
        let mut store = RootCertStore::empty();
        let (added, ignored) = store.add_parsable_certificates(loaded.certs);
        if added == 0 {
            let errors = loaded.errors.len();
            tracing::warn!(
                errors,
                ignored,
                "the system has no certificate authorities: install ca-certificates, or name a ca_file"
            );
        }
        Self { store }
    }

    /// These authorities and those in the PEM file at `path`.
    ///
    /// # Errors
    /// See [`RootsError`].
    pub fn with_ca_file(&self, path: &Path) -> Result<Self, RootsError> {
        let unreadable = |e: rustls_pki_types::pem::Error| RootsError::Unreadable {
            path: path.to_owned(),
            reason: e.to_string(),
        };
        let mut store = self.store.clone();
        let before = store.len();
        let certificates = CertificateDer::pem_file_iter(path).map_err(unreadable)?;
        for (index, certificate) in certificates.enumerate() {
            store.add(certificate.map_err(unreadable)?).map_err(|e| RootsError::Unusable {
                path: path.to_owned(),
                index,
                reason: e.to_string(),
            })?;
        }
        if store.len() == before {
            return Err(RootsError::Empty { path: path.to_owned() });
        }
        Ok(Self { store })
    }

    /// A connector over TCP that checks servers against these authorities. Whether plain HTTP is
    /// acceptable was decided when the [`super::RemoteUrl`] was read.
    ///
    /// # Errors
    /// [`RootsError::Tls`].
    pub fn connector(
        &self,
        limits: FetchLimits,
    ) -> Result<HttpsConnector<HttpConnector>, RootsError> {
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| RootsError::Tls(e.to_string()))?
            .with_root_certificates(self.store.clone())
            .with_no_client_auth();
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        // Divided among the addresses of a name, so that a dead one leaves time for the next.
        http.set_connect_timeout(Some(limits.deadline));
        let builder = HttpsConnectorBuilder::new().with_tls_config(config);
        Ok(builder.https_or_http().enable_http1().wrap_connector(http))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_file_that_is_missing_empty_or_wrong_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        let roots = TrustRoots::none();
        let missing = roots.with_ca_file(&path).unwrap_err();
        assert!(matches!(missing, RootsError::Unreadable { .. }), "{missing}");
        std::fs::write(&path, "no certificate").unwrap();
        let empty = roots.with_ca_file(&path).unwrap_err();
        assert!(matches!(empty, RootsError::Empty { .. }), "{empty}");
        let block = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n";
        std::fs::write(&path, block).unwrap();
        let wrong = roots.with_ca_file(&path).unwrap_err();
        assert!(matches!(wrong, RootsError::Unusable { index: 0, .. }), "{wrong}");
        for error in [missing, empty, wrong] {
            assert!(error.to_string().contains("ca.pem"), "{error}");
        }
    }
}
