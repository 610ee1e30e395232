//! The files of the demo's regions, each in a directory that only its owner can enter:
//! configuration, certificate, passphrase; above them what they share, and the credentials of two
//! clients for `curl`.
//!
//! It writes what an operator would write by hand; it starts nothing and reads nothing back.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
};

use zeroize::Zeroizing;

use super::{
    certificate::{Authority, Certified},
    configuration::{self, Site},
    directory::{Directory, FilesError, hex},
    http::Credentials,
    softhsm::Slot,
};
use crate::{entropy::draw, node::Seams};

/// The file that all regions share.
pub(crate) const FEDERATION_FILE: &str = "federation.toml";
/// The certificate of the authority for all regions' endpoints.
pub(crate) const AUTHORITY_FILE: &str = "ca.pem";

/// Where everything of one region is.
#[derive(Debug)]
pub(crate) struct Layout {
    /// Which region.
    pub(crate) site: Site,
    /// The region's directory.
    pub(crate) directory: PathBuf,
    /// The region's file.
    pub(crate) config: PathBuf,
    /// The federation's file.
    pub(crate) federation: PathBuf,
    /// The certificate of the authority for all regions' endpoints; `None` over plain HTTP.
    pub(crate) authority: Option<PathBuf>,
    /// What the region writes to standard error.
    pub(crate) log: PathBuf,
    /// The region's issuer.
    pub(crate) issuer: String,
    /// The region's operations listener.
    pub(crate) operations: SocketAddr,
    /// The region's listener for other nodes.
    pub(crate) peer: SocketAddr,
}

/// What the files say beside what is fixed.
#[derive(Debug)]
pub(crate) struct Wish<'a> {
    /// `iss` of the global issuer.
    pub(crate) upstream: &'a str,
    /// Whether the regions' endpoints are served without TLS.
    pub(crate) plain_http: bool,
    /// Line of each client's hash, as `exequatur client secret` printed it.
    pub(crate) secret_hashes: configuration::SecretHashes<'a>,
}

/// A region's directory, and its slot if its keys are in SoftHSM.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) site: Site,
    pub(crate) directory: Directory,
    pub(crate) slot: Option<Slot>,
}

/// Writes every file that a region needs before `exequatur init`: `authority` certifies its server,
/// `None` over plain HTTP. `above` is where the regions' directories and what they share are.
///
/// # Errors
/// See [`FilesError`].
pub(crate) fn write(
    (above, place): (&Directory, &Place),
    wish: &Wish<'_>,
    authority: Option<&Authority>,
    seams: &Seams,
) -> Result<Layout, FilesError> {
    let Place { site, directory, slot } = place;
    let [public, operations, peer] = [free_port()?, free_port()?, free_port()?];
    if let Some(authority) = authority {
        let Certified { certificate, key } = authority.server(seams.clock.now())?;
        directory.write("tls.pem", &certificate)?;
        directory.write("tls.key", &key)?;
    }
    if slot.is_none() {
        let passphrase = Zeroizing::new(hex(&draw::<32>(seams.entropy.as_ref())?));
        directory.write("passphrase", &passphrase)?;
    }
    directory.below("anchor")?;
    let name = site.name;
    let issuer = match wish.plain_http {
        true => format!("http://{public}/{name}"),
        false => format!("https://localhost:{}/{name}", public.port()),
    };
    let region = configuration::Region {
        site: *site,
        directory: directory.path(),
        issuer: &issuer,
        public,
        operations,
        peer,
        slot: slot.as_ref(),
        wish,
    };
    Ok(Layout {
        site: *site,
        directory: directory.path().to_owned(),
        config: directory.write("region.toml", &region.to_toml())?,
        federation: above.file(FEDERATION_FILE),
        authority: authority.map(|_| above.file(AUTHORITY_FILE)),
        log: directory.file("region.log"),
        issuer,
        operations,
        peer,
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

    fn written(plain_http: bool) -> (tempfile::TempDir, Layout) {
        let outer = tempfile::tempdir().unwrap();
        let layouts = testing::written(&outer.path().join("new"), plain_http);
        (outer, layouts.into_iter().next().unwrap())
    }

    #[test]
    fn every_file_is_its_owners_alone() {
        let (outer, layout) = written(false);
        let directory = outer.path().join("new/eu-central");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&directory), 0o700);
        let mut names = Vec::new();
        for entry in fs::read_dir(&directory).unwrap() {
            let entry = entry.unwrap();
            let expected = if entry.file_type().unwrap().is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode(&entry.path()), expected, "{:?}", entry.file_name());
            names.push(entry.file_name().into_string().unwrap());
        }
        names.sort();
        assert_eq!(names, ["anchor", "passphrase", "region.toml", "tls.key", "tls.pem"]);
        assert!(layout.issuer.starts_with("https://localhost:"));
    }

    #[test]
    fn over_plain_http_there_is_no_certificate() {
        let (outer, layout) = written(true);
        assert_eq!(layout.authority, None);
        assert!(layout.issuer.starts_with("http://127.0.0.1:"), "{}", layout.issuer);
        assert!(!outer.path().join("new/eu-central/tls.key").exists());
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
