//! The serving certificate: read from two PEM files, checked as a pair, replaced while serving.
//!
//! Files are compared by content, because orchestrators swap symbolic links and keep times. A new
//! pair is served from the next handshake on; connections that are open keep theirs. A pair that
//! is not good is reported and not taken, and the old one goes on.

pub(crate) mod pair;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::digest::Digest;
use exequatur_federation::time::UnixTime;
use prometheus_client::metrics::gauge::Gauge;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use self::pair::{Contents, Pair};
pub use self::pair::{PairError, PairFiles};
use crate::clock::Clock;
use crate::telemetry::metrics::Metrics;

/// How often the files are read. Renewal happens days before expiry, and reading costs 0.1 ms.
pub const POLL_INTERVAL: Duration = Duration::from_secs(10);

/// The certificate of the next handshake.
pub struct CurrentCertificate(ArcSwap<CertifiedKey>);

/// Reads the files again and replaces what is current.
pub struct CertificateWatch {
    files: PairFiles,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    not_after: Gauge,
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
        let not_after = metrics.certificate_not_after_seconds.clone();
        Self::measured(files, clock, (metrics, not_after)).await
    }

    /// As [`open`](Self::open), for a certificate whose end of validity has a metric of its own.
    ///
    /// # Errors
    /// There is no pair that can be served.
    pub async fn measured(
        files: PairFiles,
        clock: Arc<dyn Clock>,
        (metrics, not_after): (Arc<Metrics>, Gauge),
    ) -> Result<Self, PairError> {
        let contents = Contents::read(&files).await?;
        let pair = contents.pair(&files, clock.now())?;
        not_after.set(gauge(pair.not_after));
        let current = Arc::new(CurrentCertificate(ArcSwap::from_pointee(pair.key)));
        Ok(Self { files, clock, metrics, not_after, current, seen: contents.digest() })
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
        self.not_after.set(gauge(not_after));
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

pub(crate) fn gauge(moment: UnixTime) -> i64 {
    i64::try_from(moment.seconds()).unwrap_or(i64::MAX)
}
