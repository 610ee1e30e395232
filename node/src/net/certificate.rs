//! The serving certificate: read from two PEM files, checked as a pair, replaced while serving.
//!
//! Files are compared by content, because orchestrators swap symbolic links and keep times. A new
//! pair is served from the next handshake on; connections that are open keep theirs. A pair that
//! is not good is reported and not taken, and the old one goes on.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{self, Digest, SHA256};
use exequatur_federation::time::UnixTime;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncReadExt as _;
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::net::tls::provider;
use crate::telemetry::metrics::Metrics;

/// How often the files are read. Renewal happens days before expiry, and reading costs 0.1 ms.
pub const POLL_INTERVAL: Duration = Duration::from_secs(10);

/// Bytes of one PEM file: a chain of ten RSA-4096 certificates takes a quarter of it.
const PEM_BYTES_MAX: u64 = 64 * 1024;

/// Where a certificate chain and its private key lie, both as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairFiles {
    /// The certificates, leaf first.
    pub certificates: PathBuf,
    /// The private key: PKCS#8, PKCS#1 or SEC 1.
    pub key: PathBuf,
}

/// The certificate of the next handshake.
pub struct CurrentCertificate(ArcSwap<CertifiedKey>);

/// Reads the files again and replaces what is current.
pub struct CertificateWatch {
    files: PairFiles,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    current: Arc<CurrentCertificate>,
    seen: Digest,
}

/// What looking at the files found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// The files are those already judged.
    Unchanged,
    /// A new pair is served now.
    Replaced {
        /// Until when it is valid.
        not_after: UnixTime,
    },
}

/// Why a pair is not served.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// The file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is too long to be a certificate chain or key.
    #[error("`{}` is longer than {PEM_BYTES_MAX} bytes: name the PEM file itself", path.display())]
    TooLong {
        /// Which file.
        path: PathBuf,
    },
    /// The file holds no certificate.
    #[error("`{}` holds no certificate: expected PEM blocks `CERTIFICATE`, leaf first", path.display())]
    NoCertificate {
        /// Which file.
        path: PathBuf,
    },
    /// The file is no PEM, or holds no private key.
    #[error("`{}` is not the PEM file that is expected here", path.display())]
    Pem {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// Key and certificate do not belong together, or one of them is of a kind that we do not use.
    #[error("key `{}` does not serve certificate `{}`: install both of one issuance", key.display(), certificates.display())]
    NoPair {
        /// The certificates' file.
        certificates: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The leaf is no X.509 certificate.
    #[error("the first certificate of `{}` cannot be parsed", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
    },
    /// The leaf is valid only before or after now.
    #[error(
        "the certificate is valid from {not_before} to {not_after}, and it is {now}: check the clock, or renew it"
    )]
    OutOfDate {
        /// When it begins to be valid.
        not_before: UnixTime,
        /// Until when it is valid.
        not_after: UnixTime,
        /// What the node's clock says.
        now: UnixTime,
    },
}

impl CertificateWatch {
    /// Reads the pair for the first time.
    ///
    /// # Errors
    /// There is no pair that can be served.
    pub async fn open(
        files: PairFiles,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, PairError> {
        let contents = Contents::read(&files).await?;
        let pair = contents.pair(&files, clock.now())?;
        metrics.certificate_not_after_seconds.set(gauge(pair.not_after));
        let current = Arc::new(CurrentCertificate(ArcSwap::from_pointee(pair.key)));
        Ok(Self { files, clock, metrics, current, seen: contents.digest() })
    }

    /// What handshakes use; it follows later reloads.
    #[must_use]
    pub fn current(&self) -> Arc<CurrentCertificate> {
        Arc::clone(&self.current)
    }

    /// Reads the files, and serves the pair in them if it is new and good.
    ///
    /// # Errors
    /// The pair cannot be served; the old one goes on. One bad content is reported once.
    pub async fn reload_if_changed(&mut self) -> Result<Reload, PairError> {
        let contents = Contents::read(&self.files).await?;
        let digest = contents.digest();
        if digest.as_ref() == self.seen.as_ref() {
            return Ok(Reload::Unchanged);
        }
        let pair = contents.pair(&self.files, self.clock.now());
        // What is only early will be good later; everything else stays bad until it changes.
        if !matches!(pair, Err(PairError::OutOfDate { .. })) {
            self.seen = digest;
        }
        let Pair { key, not_after } = pair?;
        self.current.0.store(Arc::new(key));
        self.metrics.certificate_not_after_seconds.set(gauge(not_after));
        Ok(Reload::Replaced { not_after })
    }

    /// Reloads every `interval`, for ever; outcomes go to log and metrics.
    pub async fn watch(mut self, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            match self.reload_if_changed().await {
                Ok(Reload::Unchanged) => {}
                Ok(Reload::Replaced { not_after }) => {
                    tracing::info!(%not_after, "serving a new certificate");
                }
                Err(error) => {
                    self.metrics.certificate_reload_failures.inc();
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::error!(%error, cause, "new certificate not taken, the old one serves on");
                }
            }
        }
    }
}

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl fmt::Debug for CurrentCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CurrentCertificate").finish_non_exhaustive()
    }
}

impl fmt::Debug for CertificateWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateWatch").field("files", &self.files).finish_non_exhaustive()
    }
}

struct Pair {
    key: CertifiedKey,
    not_after: UnixTime,
}

/// The bytes of both files.
struct Contents {
    certificates: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl Contents {
    async fn read(files: &PairFiles) -> Result<Self, PairError> {
        let certificates = read_bounded(&files.certificates).await?;
        let key = Zeroizing::new(read_bounded(&files.key).await?);
        Ok(Self { certificates, key })
    }

    fn digest(&self) -> Digest {
        let mut context = digest::Context::new(&SHA256);
        // Each file is hashed for itself, so that no byte can move from one to the other unseen.
        context.update(digest::digest(&SHA256, &self.certificates).as_ref());
        context.update(digest::digest(&SHA256, &self.key).as_ref());
        context.finish()
    }

    fn pair(&self, files: &PairFiles, now: UnixTime) -> Result<Pair, PairError> {
        let path = || files.certificates.clone();
        let chain = CertificateDer::pem_slice_iter(&self.certificates)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| PairError::Pem { path: path(), source })?;
        let leaf = chain.first().ok_or_else(|| PairError::NoCertificate { path: path() })?;
        let (not_before, not_after) =
            validity(leaf).ok_or_else(|| PairError::Malformed { path: path() })?;
        if now < not_before || now > not_after {
            return Err(PairError::OutOfDate { not_before, not_after, now });
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|source| PairError::Pem { path: files.key.clone(), source })?;
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|source| {
            PairError::NoPair { certificates: path(), key: files.key.clone(), source }
        })?;
        Ok(Pair { key, not_after })
    }
}

async fn read_bounded(path: &Path) -> Result<Vec<u8>, PairError> {
    let read = async {
        let mut bytes = Vec::new();
        let file = tokio::fs::File::open(path).await?;
        file.take(PEM_BYTES_MAX + 1).read_to_end(&mut bytes).await?;
        Ok(bytes)
    };
    let bytes = read.await.map_err(|source| PairError::Read { path: path.to_owned(), source })?;
    if bytes.len() as u64 > PEM_BYTES_MAX {
        return Err(PairError::TooLong { path: path.to_owned() });
    }
    Ok(bytes)
}

fn validity(leaf: &CertificateDer<'_>) -> Option<(UnixTime, UnixTime)> {
    let (_, certificate) = x509_parser::parse_x509_certificate(leaf).ok()?;
    let validity = certificate.validity();
    let moment = |time: x509_parser::time::ASN1Time| {
        // Before 1970 is "always was" for our purpose.
        UnixTime::from_seconds(u64::try_from(time.timestamp()).unwrap_or(0))
    };
    Some((moment(validity.not_before), moment(validity.not_after)))
}

fn gauge(moment: UnixTime) -> i64 {
    i64::try_from(moment.seconds()).unwrap_or(i64::MAX)
}
