//! Checks URLs of a configuration as far as trust depends on them: scheme, host, and that nothing
//! stands in them which two programs might read differently. They are kept byte for byte.

/// Why a URL is not acceptable as an issuer or a place to fetch keys from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UriFault {
    #[error("it has a query, a fragment, credentials, or a character that no URL has")]
    Malformed,
    #[error("it is neither an https URL nor an http URL on loopback")]
    NotSecure,
    #[error("it ends in a slash")]
    TrailingSlash,
}

/// A URL that was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CheckedUri {
    /// Whether it is plain HTTP, and then on loopback.
    pub(super) loopback_http: bool,
}

/// Checks an issuer or key URL (RFC 8414 section 2: https, no query, no fragment).
pub(super) fn check(url: &str) -> Result<CheckedUri, UriFault> {
    let (scheme, rest) = url.split_once("://").ok_or(UriFault::NotSecure)?;
    let clean = |b: u8| b.is_ascii_graphic() && !b"?#@\\\"<>^`{|}".contains(&b);
    if !rest.bytes().all(clean) {
        return Err(UriFault::Malformed);
    }
    let authority = rest.split('/').next().unwrap_or_default();
    let host = host_of(authority).ok_or(UriFault::Malformed)?;
    match scheme {
        "https" => Ok(CheckedUri { loopback_http: false }),
        "http" if is_loopback(host) => Ok(CheckedUri { loopback_http: true }),
        _ => Err(UriFault::NotSecure),
    }
}

/// Checks the issuer of a region, to which endpoint paths are appended.
pub(super) fn check_region_issuer(url: &str) -> Result<CheckedUri, UriFault> {
    if url.ends_with('/') { Err(UriFault::TrailingSlash) } else { check(url) }
}

/// Whether a text is an absolute URI without fragment (RFC 8707 section 2).
pub(super) fn is_resource_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let scheme_ok = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    scheme_ok && !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic() && b != b'#')
}

fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => {
            let (host, after) = v6.split_once(']')?;
            (host, after)
        }
        None => match authority.split_once(':') {
            Some((host, _)) => (host, authority.strip_prefix(host)?),
            None => (authority, ""),
        },
    };
    let port_ok = match port.strip_prefix(':') {
        Some(digits) => digits.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    (port_ok && !host.is_empty()).then_some(host)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_https_and_plain_http_on_loopback() {
        for url in ["https://id.example", "https://id.example:8443/realms/x", "https://[::1]/"] {
            assert_eq!(check(url), Ok(CheckedUri { loopback_http: false }), "{url}");
        }
        for url in ["http://127.0.0.1:9000", "http://localhost/x", "http://[::1]:80/x"] {
            assert_eq!(check(url), Ok(CheckedUri { loopback_http: true }), "{url}");
        }
    }

    #[test]
    fn refuses_what_two_programs_might_read_differently() {
        for url in [
            "http://id.example",
            "http://127.0.0.1.example",
            "http://localhost.example",
            "https://",
            "https://:443",
            "https://a:b",
            "https://user@id.example",
            "https://id.example?x",
            "https://id.example#x",
            "https://id.example\\x",
            "https://id.exämple",
            "https://id.example/{tenant}",
            "HTTPS://id.example",
            "ftp://id.example",
            "id.example",
            "",
        ] {
            assert!(check(url).is_err(), "{url}");
        }
        assert_eq!(check_region_issuer("https://id.example/"), Err(UriFault::TrailingSlash));
    }

    #[test]
    fn a_resource_is_an_absolute_uri_without_fragment() {
        assert!(is_resource_uri("https://api.example/orders?x=1"));
        assert!(is_resource_uri("urn:example:orders"));
        for text in ["orders", "https://a.example/#x", "/orders", ":x", "a b:c", "x:"] {
            assert!(!is_resource_uri(text), "{text}");
        }
    }
}
