//! Which authorities certify operators: a PEM file, read again while serving. A changed file counts
//! from the next handshake and the next request on; one that is not good is reported and not taken.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{Digest, SHA256, digest};
use exequatur_federation::time::UnixTime;
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{
    CertificateDer, UnixTime as TlsTime,
    pem::{self, PemObject as _},
};

use crate::{
    net::{certificate::pair::read_at_most, tls::provider},
    telemetry::metrics::Metrics,
};

/// Bytes of the file: some fifty authorities.
const PEM_BYTES_MAX: u64 = 256 * 1024;

/// The verifier of the next handshake.
pub(super) struct CurrentClients(ArcSwap<Arc<dyn ClientCertVerifier>>);

/// Reads the file again and replaces what is current.
pub(super) struct ClientsWatch {
    path: PathBuf,
    metrics: Arc<Metrics>,
    current: Arc<CurrentClients>,
    seen: Digest,
}

/// Why the authorities are not taken.
#[derive(Debug, thiserror::Error)]
pub enum ClientsError {
    /// The file cannot be read.
    #[error("`{}` (`admin.client_ca`) cannot be read", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is too long.
    #[error("`{}` (`admin.client_ca`) is longer than {PEM_BYTES_MAX} bytes", path.display())]
    TooLong {
        /// Which file.
        path: PathBuf,
    },
    /// The file is no PEM.
    #[error("`{}` (`admin.client_ca`) is no PEM file", path.display())]
    Pem {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// There is no authority in it that can be used.
    #[error("`{}` (`admin.client_ca`) holds no usable certificate of an authority: {reason}", path.display())]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl ClientsWatch {
    /// Reads the file for the first time.
    pub(super) async fn open(path: PathBuf, metrics: Arc<Metrics>) -> Result<Self, ClientsError> {
        let bytes = read(&path).await?;
        let current = Arc::new(CurrentClients(ArcSwap::from_pointee(verifier(&path, &bytes)?)));
        Ok(Self { path, metrics, current, seen: digest(&SHA256, &bytes) })
    }

    /// What handshakes use; it follows later reloads.
    pub(super) fn current(&self) -> Arc<CurrentClients> {
        Arc::clone(&self.current)
    }

    /// Reads the file, and takes what is in it if it is new and good; whether it did. One bad
    /// content is reported once.
    pub(super) async fn reload_if_changed(&mut self) -> Result<bool, ClientsError> {
        let bytes = read(&self.path).await?;
        let found = digest(&SHA256, &bytes);
        if found.as_ref() == self.seen.as_ref() {
            return Ok(false);
        }
        self.seen = found;
        self.current.0.store(Arc::new(verifier(&self.path, &bytes)?));
        Ok(true)
    }

    /// Reloads every `interval`, for ever.
    pub(super) async fn watch(mut self, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            match self.reload_if_changed().await {
                Ok(false) => {}
                Ok(true) => tracing::info!("the authorities of operators were replaced"),
                Err(error) => {
                    self.metrics.certificate_reload_failures.inc();
                    let error = crate::causes::with_causes(&error);
                    tracing::error!(%error, "new authorities of operators not taken");
                }
            }
        }
    }
}

impl CurrentClients {
    /// Whether this chain, leaf first, would be taken in a handshake at `now`.
    pub(super) fn accept(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> bool {
        let now = TlsTime::since_unix_epoch(Duration::from_secs(now.seconds()));
        let Some((leaf, intermediates)) = chain.split_first() else { return false };
        self.verify_client_cert(leaf, intermediates, now).is_ok()
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, ClientsError> {
    let read = read_at_most(path.to_owned(), PEM_BYTES_MAX + 1).await;
    let bytes = read.map_err(|source| ClientsError::Read { path: path.to_owned(), source })?;
    if bytes.len() as u64 > PEM_BYTES_MAX {
        return Err(ClientsError::TooLong { path: path.to_owned() });
    }
    Ok(bytes)
}

fn verifier(path: &Path, bytes: &[u8]) -> Result<Arc<dyn ClientCertVerifier>, ClientsError> {
    let unusable = |reason: String| ClientsError::Unusable { path: path.to_owned(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(bytes) {
        let certificate =
            certificate.map_err(|source| ClientsError::Pem { path: path.to_owned(), source })?;
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    let built = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build();
    built.map_err(|error| unusable(error.to_string()))
}

impl ClientCertVerifier for CurrentClients {
    /// No hints: they would tell strangers who certifies operators, and a command line has one
    /// certificate anyway.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: TlsTime,
    ) -> Result<ClientCertVerified, Error> {
        self.0.load().verify_client_cert(leaf, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.load().verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.load().verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.load().supported_verify_schemes()
    }
}

impl fmt::Debug for CurrentClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CurrentClients").finish_non_exhaustive()
    }
}
