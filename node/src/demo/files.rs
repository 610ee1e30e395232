//! The files of the demo's region, in one directory that only its owner can enter: configuration,
//! certificate, passphrase, and the credentials of two clients for `curl`.
//!
//! It writes what an operator would write by hand; it starts nothing and reads nothing back.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
};

use zeroize::Zeroizing;

use super::{
    certificate, configuration,
    directory::{Directory, FilesError, hex},
    http::Credentials,
};
use crate::{entropy::draw, node::Seams};

/// Where everything is.
#[derive(Debug)]
pub(crate) struct Layout {
    /// The region's file.
    pub(crate) config: PathBuf,
    /// The federation's file.
    pub(crate) federation: PathBuf,
    /// The demo authority's certificate; `None` over plain HTTP.
    pub(crate) authority: Option<PathBuf>,
    /// What the region writes to standard error.
    pub(crate) log: PathBuf,
    /// The region's issuer.
    pub(crate) issuer: String,
    /// The region's operations listener.
    pub(crate) operations: SocketAddr,
}

/// What the region's files say beside what is fixed.
#[derive(Debug)]
pub(crate) struct Wish<'a> {
    /// `iss` of the global issuer.
    pub(crate) upstream: &'a str,
    /// Whether the region's endpoints are served without TLS.
    pub(crate) plain_http: bool,
    /// Keys in SoftHSM; `None` for the software key store.
    pub(crate) hsm: Option<&'a super::softhsm::Slot>,
    /// Line of each client's hash, as `exequatur client secret` printed it.
    pub(crate) secret_hashes: configuration::SecretHashes<'a>,
}

/// Writes every file that the region needs before `exequatur init`.
///
/// # Errors
/// See [`FilesError`].
pub(crate) fn write(
    directory: &Directory,
    wish: &Wish<'_>,
    seams: &Seams,
) -> Result<Layout, FilesError> {
    let (public, operations) = (free_port()?, free_port()?);
    let authority = if wish.plain_http {
        None
    } else {
        let made = certificate::make(seams.clock.now())?;
        directory.write("tls.pem", &made.server)?;
        directory.write("tls.key", &made.server_key)?;
        Some(directory.write("ca.pem", &made.authority)?)
    };
    if wish.hsm.is_none() {
        let passphrase = Zeroizing::new(hex(&draw::<32>(seams.entropy.as_ref())?));
        directory.write("passphrase", &passphrase)?;
    }
    let issuer = match wish.plain_http {
        true => format!("http://{public}/eu-central"),
        false => format!("https://localhost:{}/eu-central", public.port()),
    };
    let region = configuration::Region {
        directory: directory.path(),
        issuer: &issuer,
        public,
        operations,
        wish,
    };
    Ok(Layout {
        config: directory.write("region.toml", &region.to_toml())?,
        federation: directory.write("federation.toml", &configuration::federation(&issuer))?,
        authority,
        log: directory.file("region.log"),
        issuer,
        operations,
    })
}

/// Writes a client's credentials where `curl -K` reads them, so that no secret stands in a command.
///
/// # Errors
/// [`FilesError::Io`].
pub(crate) fn write_credentials(
    directory: &Directory,
    credentials: &Credentials,
) -> Result<(), FilesError> {
    let line = Zeroizing::new(format!("user = \"{}:{}\"\n", credentials.id, *credentials.secret));
    directory.write(&format!("{}.curl", credentials.id), &line)?;
    Ok(())
}

/// A loopback port that nobody holds now; it is free again when this returns.
fn free_port() -> Result<SocketAddr, FilesError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    listener.and_then(|listener| listener.local_addr()).map_err(FilesError::Port)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

    use super::*;
    use crate::{demo::testing, entropy::SystemEntropy};

    const UPSTREAM: &str = "http://127.0.0.1:1/realms/global";

    fn written(plain_http: bool) -> (tempfile::TempDir, Layout) {
        let outer = tempfile::tempdir().unwrap();
        let entropy = SystemEntropy::default();
        let directory = Directory::prepare(Some(&outer.path().join("new")), &entropy).unwrap();
        let secret_hashes = configuration::SecretHashes { gateway: "one", api: "two" };
        let wish = Wish { upstream: UPSTREAM, plain_http, hsm: None, secret_hashes };
        let layout = write(&directory, &wish, &testing::seams()).unwrap();
        (outer, layout)
    }

    #[test]
    fn every_file_is_its_owners_alone() {
        let (outer, layout) = written(false);
        let directory = outer.path().join("new");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&directory), 0o700);
        let mut names = Vec::new();
        for entry in fs::read_dir(&directory).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(mode(&entry.path()), 0o600, "{:?}", entry.file_name());
            names.push(entry.file_name().into_string().unwrap());
        }
        names.sort();
        let expected =
            ["ca.pem", "federation.toml", "passphrase", "region.toml", "tls.key", "tls.pem"];
        assert_eq!(names, expected);
        assert!(layout.issuer.starts_with("https://localhost:"));
    }

    #[test]
    fn over_plain_http_there_is_no_certificate() {
        let (outer, layout) = written(true);
        assert_eq!(layout.authority, None);
        assert!(layout.issuer.starts_with("http://127.0.0.1:"), "{}", layout.issuer);
        assert!(!outer.path().join("new/tls.key").exists());
    }

    #[test]
    fn a_client_s_credentials_stand_in_a_file_that_curl_reads() {
        let outer = tempfile::tempdir().unwrap();
        let directory = Directory::prepare(Some(outer.path()), &SystemEntropy::default()).unwrap();
        let secret = Zeroizing::new("s3cret".to_owned());
        write_credentials(&directory, &Credentials { id: "orders-api", secret }).unwrap();
        let line = fs::read_to_string(outer.path().join("orders-api.curl")).unwrap();
        assert_eq!(line, "user = \"orders-api:s3cret\"\n");
    }
}
