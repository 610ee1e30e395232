//! A pair of PEM files: read whole and bounded, parsed, and checked to belong together.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{self, Digest, SHA256};
use exequatur_federation::time::UnixTime;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::net::tls::provider;

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

/// A certificate chain with its key, checked, and until when its leaf is valid.
pub(crate) struct Pair {
    pub(crate) key: CertifiedKey,
    pub(crate) not_after: UnixTime,
}

/// The bytes of both files.
pub(crate) struct Contents {
    certificates: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl Contents {
    pub(crate) async fn read(files: &PairFiles) -> Result<Self, PairError> {
        let certificates = read_bounded(&files.certificates).await?;
        let key = Zeroizing::new(read_bounded(&files.key).await?);
        Ok(Self { certificates, key })
    }

    pub(crate) fn digest(&self) -> Digest {
        let mut context = digest::Context::new(&SHA256);
        // Each file is hashed for itself, so that no byte can move from one to the other unseen.
        context.update(digest::digest(&SHA256, &self.certificates).as_ref());
        context.update(digest::digest(&SHA256, &self.key).as_ref());
        context.finish()
    }

    pub(crate) fn pair(&self, files: &PairFiles, now: UnixTime) -> Result<Pair, PairError> {
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

pub(crate) async fn read_bounded(path: &Path) -> Result<Vec<u8>, PairError> {
    let read = read_at_most(path.to_owned(), PEM_BYTES_MAX + 1).await;
    let bytes = read.map_err(|source| PairError::Read { path: path.to_owned(), source })?;
    if bytes.len() as u64 > PEM_BYTES_MAX {
        return Err(PairError::TooLong { path: path.to_owned() });
    }
    Ok(bytes)
}

/// The first `max` bytes of a file, read by one job of the blocking pool: a job for each piece, which
/// is what an asynchronous file does, takes ten times as long.
pub(crate) async fn read_at_most(path: PathBuf, max: u64) -> io::Result<Vec<u8>> {
    let read = move || {
        let mut bytes = Vec::new();
        File::open(path)?.take(max).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
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
