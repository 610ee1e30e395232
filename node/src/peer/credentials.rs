//! What a node shows and trusts in TLS: its own certificate and key, and the authority of each
//! region. All files are read together and replaced together while the node runs; connections that
//! are open stay. What is not good is reported and not taken, and the old goes on.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{self, Digest, SHA256};
use exequatur_federation::{
    membership::NodeId,
    region::{RegionId, RegionNumber},
};
use rustls::{RootCertStore, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, UnixTime, pem, pem::PemObject as _};

use super::name::{PeerName, Usage};
use crate::{
    clock::Clock,
    net::certificate::{
        PairError, PairFiles, gauge,
        pair::{Contents, read_bounded},
    },
    telemetry::metrics::Metrics,
};

/// Where a node's certificate and the regions' authorities lie.
#[derive(Clone, Debug)]
pub struct CredentialFiles {
    /// The federation's name.
    pub federation: String,
    /// The node's name, which its certificate must have.
    pub own: PeerName,
    /// Its certificate and key.
    pub pair: PairFiles,
    /// The authorities: PEM files of one certificate, or of two while one follows the other.
    pub authorities: BTreeMap<RegionId, (RegionNumber, PathBuf)>,
}

/// What the next handshake goes by.
pub struct Credentials {
    pub(super) federation: String,
    pub(super) own: Arc<CertifiedKey>,
    pub(super) authorities: BTreeMap<RegionId, Authority>,
}

/// Who certifies the nodes of a region.
#[derive(Debug)]
pub(super) struct Authority {
    pub(super) number: RegionNumber,
    pub(super) roots: Arc<RootCertStore>,
}

/// The credentials of the next handshake; they follow reloads.
#[derive(Debug)]
pub struct CurrentCredentials(ArcSwap<Credentials>);

/// Reads the files again and replaces what is current.
pub struct CredentialWatch {
    files: CredentialFiles,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    current: Arc<CurrentCredentials>,
    seen: Digest,
}

/// Why files are not taken.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The node's own certificate and key are no pair that can be used.
    #[error("the certificate of this node (`cluster.tls` of the region file)")]
    Pair(#[source] Box<PairError>),
    /// An authority's file cannot be read.
    #[error("the authority of region `{region}` (`ca` in federation.toml)")]
    Authority {
        /// Of which region.
        region: RegionId,
        /// Why.
        source: Box<PairError>,
    },
    /// An authority's file holds no certificate that can sign others.
    #[error(
        "the authority of region `{region}`, `{}`, holds no certificate of an authority: expected \
         PEM blocks `CERTIFICATE`", path.display()
    )]
    NoAuthority {
        /// Of which region.
        region: RegionId,
        /// Which file.
        path: PathBuf,
    },
    /// The node's certificate would be refused by every other node.
    #[error(
        "the certificate of node {node} in `{}` would be refused by the other nodes: it must name \
         `{expected}`, be signed by the authority of its region, and be meant for server and \
         client authentication", path.display()
    )]
    Own {
        /// The node.
        node: NodeId,
        /// Which file.
        path: PathBuf,
        /// The name that is due.
        expected: String,
        /// Why.
        source: Box<rustls::Error>,
    },
}

impl CurrentCredentials {
    /// Those of the next handshake.
    #[must_use]
    pub fn load(&self) -> Arc<Credentials> {
        self.0.load_full()
    }
}

/// The bytes of all files.
struct Files {
    pair: Contents,
    authorities: BTreeMap<RegionId, Vec<u8>>,
}

impl Files {
    async fn read(files: &CredentialFiles) -> Result<Self, CredentialError> {
        let pair = Contents::read(&files.pair)
            .await
            .map_err(|error| CredentialError::Pair(Box::new(error)))?;
        let mut authorities = BTreeMap::new();
        for (region, (_, path)) in &files.authorities {
            let bytes = read_bounded(path).await.map_err(|source| CredentialError::Authority {
                region: region.clone(),
                source: Box::new(source),
            })?;
            authorities.insert(region.clone(), bytes);
        }
        Ok(Self { pair, authorities })
    }

    fn digest(&self) -> Digest {
        let mut context = digest::Context::new(&SHA256);
        context.update(self.pair.digest().as_ref());
        for bytes in self.authorities.values() {
            context.update(digest::digest(&SHA256, bytes).as_ref());
        }
        context.finish()
    }

    fn parse(
        &self,
        files: &CredentialFiles,
        now: exequatur_federation::time::UnixTime,
    ) -> Result<(Credentials, exequatur_federation::time::UnixTime), CredentialError> {
        let pair = self
            .pair
            .pair(&files.pair, now)
            .map_err(|error| CredentialError::Pair(Box::new(error)))?;
        let mut authorities = BTreeMap::new();
        for (region, (number, path)) in &files.authorities {
            let bytes = self.authorities.get(region).map(Vec::as_slice).unwrap_or_default();
            let none =
                || CredentialError::NoAuthority { region: region.clone(), path: path.clone() };
            let roots = roots(bytes).ok().flatten().ok_or_else(none)?;
            let authority = Authority { number: *number, roots: Arc::new(roots) };
            authorities.insert(region.clone(), authority);
        }
        let credentials = Credentials {
            federation: files.federation.clone(),
            own: Arc::new(pair.key),
            authorities,
        };
        credentials.check_own(files, now)?;
        Ok((credentials, pair.not_after))
    }
}

/// The certificates of a PEM file as trust anchors; `None` if there is none or one is unusable.
fn roots(bytes: &[u8]) -> Result<Option<RootCertStore>, pem::Error> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(bytes) {
        let certificate = certificate?;
        let is_authority = x509_parser::parse_x509_certificate(&certificate)
            .is_ok_and(|(_, certificate)| certificate.is_ca());
        if !is_authority || roots.add(certificate).is_err() {
            return Ok(None);
        }
    }
    Ok((!roots.is_empty()).then_some(roots))
}

impl Credentials {
    /// What every other node would ask of the node's certificate, asked here first.
    fn check_own(
        &self,
        files: &CredentialFiles,
        now: exequatur_federation::time::UnixTime,
    ) -> Result<(), CredentialError> {
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now.seconds()));
        let expected = files.own.uri(&files.federation);
        let refused = |source: rustls::Error| CredentialError::Own {
            node: files.own.node,
            path: files.pair.certificates.clone(),
            expected: expected.clone(),
            source: Box::new(source),
        };
        let none = || rustls::Error::NoCertificatesPresented;
        let (leaf, intermediates) =
            self.own.cert.split_first().ok_or_else(none).map_err(refused)?;
        for usage in [Usage::Server, Usage::Client] {
            let (name, _) = self.verify((leaf, intermediates), usage, now).map_err(refused)?;
            if name != files.own {
                let got = name.uri(&files.federation);
                return Err(refused(rustls::Error::General(format!("it names `{got}`"))));
            }
        }
        Ok(())
    }
}

impl CredentialWatch {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// They cannot be used.
    pub async fn open(
        files: CredentialFiles,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, CredentialError> {
        let contents = Files::read(&files).await?;
        let (credentials, not_after) = contents.parse(&files, clock.now())?;
        metrics.peer_certificate_not_after_seconds.set(gauge(not_after));
        let current = Arc::new(CurrentCredentials(ArcSwap::from_pointee(credentials)));
        let seen = contents.digest();
        Ok(Self { files, clock, metrics, current, seen })
    }

    /// What handshakes use; it follows later reloads.
    #[must_use]
    pub fn current(&self) -> Arc<CurrentCredentials> {
        Arc::clone(&self.current)
    }

    /// Reads the files, and takes them if they are new and good. Whether they were taken.
    ///
    /// # Errors
    /// They cannot be used; the old go on. One bad content is reported once.
    pub async fn reload_if_changed(&mut self) -> Result<bool, CredentialError> {
        let contents = Files::read(&self.files).await?;
        let digest = contents.digest();
        if digest.as_ref() == self.seen.as_ref() {
            return Ok(false);
        }
        let parsed = contents.parse(&self.files, self.clock.now());
        // What is only early will be good later; everything else stays bad until it changes.
        let early = matches!(
            &parsed,
            Err(CredentialError::Pair(error)) if matches!(**error, PairError::OutOfDate { .. })
        );
        if !early {
            self.seen = digest;
        }
        let (credentials, not_after) = parsed?;
        self.current.0.store(Arc::new(credentials));
        self.metrics.peer_certificate_not_after_seconds.set(gauge(not_after));
        Ok(true)
    }

    /// Reloads every `interval`, for ever; outcomes go to log and metrics.
    pub async fn watch(mut self, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            match self.reload_if_changed().await {
                Ok(false) => {}
                Ok(true) => tracing::info!("new certificates between nodes are in use"),
                Err(error) => {
                    self.metrics.certificate_reload_failures.inc();
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::error!(%error, cause, "new certificates between nodes not taken, the old go on");
                }
            }
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("authorities", &self.authorities.keys())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for CredentialWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialWatch").field("files", &self.files).finish_non_exhaustive()
    }
}
