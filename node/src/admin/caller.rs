//! Who asks: the user at the other end of the Unix socket, or the one SAN URI of a certificate.
//! What that is worth is decided by `exequatur_federation::operator`.

use exequatur_federation::operator::{NoRole, Operator, Roles};
use rustls_pki_types::CertificateDer;
use x509_parser::{extensions::GeneralName, prelude::X509Certificate};

use crate::net::listener::{Origin, Remote};

/// The operator at the other end of a connection.
pub(super) fn operator(remote: &Remote, roles: &Roles, own_uid: u32) -> Result<Operator, NoRole> {
    match remote.origin {
        Origin::Local { uid } => Operator::local(uid, own_uid),
        Origin::Network(_) => {
            let chain = remote.certificates.as_deref();
            let leaf = chain.and_then(<[_]>::first).ok_or(NoRole::NoCertificate)?;
            with_uris(leaf, |uris| roles.certified(uris))
        }
    }
}

/// A certificate that cannot be read has no URI.
fn with_uris<T>(leaf: &CertificateDer<'_>, then: impl FnOnce(&[&str]) -> T) -> T {
    let Ok((_, leaf)) = x509_parser::parse_x509_certificate(leaf) else { return then(&[]) };
    then(&uris(&leaf))
}

fn uris<'a>(leaf: &'a X509Certificate<'_>) -> Vec<&'a str> {
    let Ok(Some(names)) = leaf.subject_alternative_name() else { return Vec::new() };
    let names = names.value.general_names.iter();
    names
        .filter_map(|name| if let GeneralName::URI(uri) = name { Some(*uri) } else { None })
        .collect()
}
