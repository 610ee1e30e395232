//! Certificate authorities of regions, and the certificates they give to nodes.

use std::{path::Path, time::Duration};

use exequatur_federation::time::UnixTime;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

use super::FEDERATION;

/// Who certifies the nodes of one region.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// A certificate and its private key, as PEM.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) private_key: String,
}

/// What a certificate of a node says.
pub(crate) struct Certified<'a> {
    pub(crate) federation: &'a str,
    pub(crate) region: &'a str,
    pub(crate) node: &'a str,
    /// Until when it is valid; for ever if absent.
    pub(crate) until: Option<UnixTime>,
}

impl<'a> Certified<'a> {
    /// A node of the lab's federation.
    pub(crate) fn node(region: &'a str, node: &'a str) -> Self {
        Self { federation: FEDERATION, region, node, until: None }
    }
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, format!("authority of {name}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// Its own certificate, as PEM.
    pub(crate) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A certificate with which a node serves others and calls them.
    pub(crate) fn certify(&self, certified: &Certified<'_>) -> Pair {
        let Certified { federation, region, node, until } = certified;
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, format!("node {node}"));
        let uri = format!("spiffe://{federation}/region/{region}/node/{node}");
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        if let Some(until) = until {
            let since_1970 = Duration::from_secs(until.seconds());
            params.not_after = rcgen::date_time_ymd(1970, 1, 1) + since_1970;
        }
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Pair { certificate, private_key: key.serialize_pem() }
    }
}

impl Pair {
    /// Writes `peer.pem` and `peer.key`. The pair is replaced file by file, as an operator would:
    /// a node that looks in between keeps what it had.
    pub(crate) fn write(&self, directory: &Path) {
        write_whole(&directory.join("peer.key"), &self.private_key);
        write_whole(&directory.join("peer.pem"), &self.certificate);
    }
}

/// Writes a file so that a reader sees the old or the new one, never a part.
pub(crate) fn write_whole(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(&new, path).unwrap();
}
