//! The demo's certificate authority and its one server certificate, made anew at every start.
//!
//! The authority's key is dropped as soon as it has signed: whoever trusts its certificate trusts
//! this one server and nothing that comes later.

use exequatur_federation::time::UnixTime;
use jiff::{Timestamp, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use zeroize::Zeroizing;

/// The names that a copied command may use.
const HOSTS: [&str; 2] = ["localhost", "127.0.0.1"];
/// Some clients refuse server certificates that are valid for more than 398 days.
const VALID_SECONDS: i64 = 30 * 86_400;
/// A clock that is a little slow elsewhere must not make a new certificate invalid.
const EARLIER_SECONDS: i64 = 86_400;

/// What the files hold, as PEM.
pub(crate) struct Certificates {
    /// The authority's certificate.
    pub(crate) authority: String,
    /// The server's certificate.
    pub(crate) server: String,
    /// The server's private key.
    pub(crate) server_key: Zeroizing<String>,
}

/// Makes an authority and a certificate for loopback.
///
/// # Errors
/// The library failed.
pub(crate) fn make(now: UnixTime) -> Result<Certificates, rcgen::Error> {
    let authority_key = KeyPair::generate()?;
    let mut authority = parameters(&[], "Exequatur demo authority", now)?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority_pem = authority.self_signed(&authority_key)?.pem();

    let server_key = KeyPair::generate()?;
    let mut server = parameters(&HOSTS, "Exequatur demo region", now)?;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    let signed = server.signed_by(&server_key, &Issuer::new(authority, authority_key))?;
    Ok(Certificates {
        authority: authority_pem,
        server: signed.pem(),
        server_key: Zeroizing::new(server_key.serialize_pem()),
    })
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
        let made = make(now).unwrap();
        let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let (authority, server) = (der(&made.authority), der(&made.server));
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
