//! The name of a node in its certificate: `spiffe://<federation>/region/<region>/node/<id>`.
//!
//! One node has one text of its name, and a certificate exactly one name, so that comparing is
//! comparing bytes.

use exequatur_federation::{membership::NodeId, region::RegionId};
use rustls_pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;

/// A node as certificates name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerName {
    /// Its region.
    pub region: RegionId,
    /// Its id.
    pub node: NodeId,
}

/// Why a certificate is none of a node of this federation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is no X.509 certificate.
    #[error("the certificate cannot be parsed")]
    Malformed,
    /// It has no URI among its names, or several.
    #[error("the certificate has {got} URI names, a node's has exactly one")]
    Count {
        /// How many.
        got: usize,
    },
    /// The URI names no node of this federation.
    #[error("the certificate is for `{got}`, a node's is for `{expected}`")]
    Form {
        /// The URI.
        got: String,
        /// The form that is due.
        expected: String,
    },
    /// It is not meant for this end of a connection.
    #[error("the certificate has no extended key usage of {usage} authentication")]
    Usage {
        /// Which end.
        usage: &'static str,
    },
    /// It names another node than is due.
    #[error("the certificate is for `{got}`, due is `{expected}`")]
    Other {
        /// Whom it names.
        got: String,
        /// Who is due.
        expected: String,
    },
}

/// For which end of a connection a certificate must be meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Usage {
    /// The end that accepts.
    Server,
    /// The end that connects.
    Client,
}

impl PeerName {
    /// The URI in a certificate.
    #[must_use]
    pub fn uri(&self, federation: &str) -> String {
        format!("spiffe://{federation}/region/{}/node/{}", self.region, self.node)
    }

    /// Reads the name of a certificate that must be meant for one end of a connection. Nothing of
    /// it is proved by that.
    pub(super) fn of(
        certificate: &CertificateDer<'_>,
        federation: &str,
        usage: Usage,
    ) -> Result<Self, NameError> {
        let (rest, parsed) =
            x509_parser::parse_x509_certificate(certificate).map_err(|_| NameError::Malformed)?;
        if !rest.is_empty() {
            return Err(NameError::Malformed);
        }
        let names = parsed.subject_alternative_name().map_err(|_| NameError::Malformed)?;
        let names = names.map(|extension| &extension.value.general_names);
        let uris: Vec<&str> = names
            .into_iter()
            .flatten()
            .filter_map(|name| if let GeneralName::URI(uri) = name { Some(*uri) } else { None })
            .collect();
        let &[uri] = uris.as_slice() else { return Err(NameError::Count { got: uris.len() }) };
        let name = Self::parse(uri, federation)?;
        // The library asks for the usage only where a certificate has any.
        let usages = parsed.extended_key_usage().map_err(|_| NameError::Malformed)?;
        let meant = usages.is_some_and(|usages| match usage {
            Usage::Server => usages.value.server_auth,
            Usage::Client => usages.value.client_auth,
        });
        let text = match usage {
            Usage::Server => "server",
            Usage::Client => "client",
        };
        if meant { Ok(name) } else { Err(NameError::Usage { usage: text }) }
    }

    fn parse(uri: &str, federation: &str) -> Result<Self, NameError> {
        let parts = || {
            let path = uri.strip_prefix("spiffe://")?.strip_prefix(federation)?;
            let (region, node) = path.strip_prefix("/region/")?.split_once("/node/")?;
            Some(Self { region: RegionId::new(region).ok()?, node: NodeId::from_hex(node)? })
        };
        parts().ok_or_else(|| NameError::Form {
            got: uri.chars().take(256).collect(),
            expected: format!("spiffe://{federation}/region/<region>/node/<id>"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_text() {
        let uri = "spiffe://example/region/eu-central/node/0123456789abcdef";
        let name = PeerName::parse(uri, "example").unwrap();
        assert_eq!(name.uri("example"), uri);
        for other in [
            "spiffe://example/region/eu-central/node/0123456789ABCDEF",
            "spiffe://example/region/eu-central/node/123456789abcdef",
            "spiffe://example/region/eu-central/node/0000000000000000",
            "spiffe://example/region/eu-central/node/0123456789abcdef/",
            "spiffe://example/region/EU/node/0123456789abcdef",
            "spiffe://example/region//node/0123456789abcdef",
            "spiffe://example.org/region/eu-central/node/0123456789abcdef",
            "spiffe://Example/region/eu-central/node/0123456789abcdef",
            "SPIFFE://example/region/eu-central/node/0123456789abcdef",
            "https://example/region/eu-central/node/0123456789abcdef",
            "spiffe://example/operator/alice",
            "",
        ] {
            assert!(PeerName::parse(other, "example").is_err(), "{other}");
        }
    }
}
