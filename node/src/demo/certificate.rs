//! The demo's certificate authorities and what they certify, made anew at every start.
//!
//! An authority's key is dropped as soon as it has signed: whoever trusts its certificate trusts
//! what was made for this run and nothing that comes later.

use exequatur_federation::time::UnixTime;
use jiff::{Timestamp, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use zeroize::Zeroizing;

/// The names that a copied command may use.
const HOSTS: [&str; 2] = ["localhost", "127.0.0.1"];
/// Some clients refuse server certificates that are valid for more than 398 days.
const VALID_SECONDS: i64 = 30 * 86_400;
/// A clock that is a little slow elsewhere must not make a new certificate invalid.
const EARLIER_SECONDS: i64 = 86_400;

/// An authority: one for what clients connect to, and one a region for its nodes.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, as PEM.
    pub(crate) pem: String,
}

/// A certificate with its private key, as PEM.
pub(crate) struct Certified {
    /// The certificate.
    pub(crate) certificate: String,
    /// The private key.
    pub(crate) key: Zeroizing<String>,
}

impl Authority {
    /// A new one.
    ///
    /// # Errors
    /// The library failed.
    pub(crate) fn new(name: &str, now: UnixTime) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut parameters = parameters(&[], name, now)?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = parameters.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(parameters, key), pem })
    }

    /// A server's certificate for loopback.
    ///
    /// # Errors
    /// The library failed.
    pub(crate) fn server(&self, now: UnixTime) -> Result<Certified, rcgen::Error> {
        let mut server = parameters(&HOSTS, "Exequatur demo region", now)?;
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(server)
    }

    /// The certificate by which other nodes know this one: its SAN is the node's URI.
    ///
    /// # Errors
    /// The URI is none, or the library failed.
    pub(crate) fn node(&self, uri: &str, now: UnixTime) -> Result<Certified, rcgen::Error> {
        let mut node = parameters(&[], "Exequatur demo node", now)?;
        node.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
        node.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(node)
    }

    fn sign(&self, mut parameters: CertificateParams) -> Result<Certified, rcgen::Error> {
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = parameters.signed_by(&key, &self.issuer)?.pem();
        Ok(Certified { certificate, key: Zeroizing::new(key.serialize_pem()) })
    }
}

fn parameters(
    hosts: &[&str],
    name: &str,
    now: UnixTime,
) -> Result<CertificateParams, rcgen::Error> {
    let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
    let mut parameters = CertificateParams::new(hosts)?;
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    let now = i64::try_from(now.seconds()).unwrap_or_default();
    // A clock outside the years that a certificate can name leaves the library's own bounds.
    if let (Some(from), Some(to)) =
        (date(now.saturating_sub(EARLIER_SECONDS)), date(now.saturating_add(VALID_SECONDS)))
    {
        parameters.not_before = date_time_ymd(from.0, from.1, from.2);
        parameters.not_after = date_time_ymd(to.0, to.1, to.2);
    }
    Ok(parameters)
}

/// Year, month and day in UTC.
fn date(seconds: i64) -> Option<(i32, u8, u8)> {
    let date = Timestamp::from_second(seconds).ok()?.to_zoned(TimeZone::UTC).date();
    Some((i32::from(date.year()), u8::try_from(date.month()).ok()?, u8::try_from(date.day()).ok()?))
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::{CertificateDer, pem::PemObject as _};
    use x509_parser::parse_x509_certificate;

    use super::*;

    #[test]
    fn the_server_is_loopback_for_a_month_and_signed_by_the_authority() {
        let now = UnixTime::from_seconds(1_780_000_000);
        let authority = Authority::new("Exequatur demo authority", now).unwrap();
        let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let server = der(&authority.server(now).unwrap().certificate);
        let authority = der(&authority.pem);
        let (_, authority) = parse_x509_certificate(&authority).unwrap();
        let (_, server) = parse_x509_certificate(&server).unwrap();

        assert!(authority.is_ca() && !server.is_ca());
        assert_eq!(server.issuer(), authority.subject());
        let names = server.subject_alternative_name().unwrap().unwrap().value;
        assert_eq!(names.general_names.len(), 2);
        let valid = server.validity();
        let now = i64::try_from(now.seconds()).unwrap();
        assert!(valid.not_before.timestamp() <= now);
        assert!((29 * 86_400..=30 * 86_400).contains(&(valid.not_after.timestamp() - now)));
    }
}
