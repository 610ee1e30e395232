//! Addresses that may be fetched from: `https`, or `http` where the host is this machine. Whoever
//! holds a [`RemoteUrl`] need not check again. It does not know what stands at the address.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use http::{
    Uri,
    uri::{Authority, Scheme},
};

/// Longest address: real ones stay under 200 bytes, and issuers stand in every token.
const URL_BYTES_MAX: usize = 1_024;
/// How much of a foreign text an error shows.
const SHOWN_CHARS_MAX: usize = 120;

/// An absolute address, kept byte for byte as it was written: issuers are compared, never
/// normalised (RFC 8414 section 3.3).
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteUrl {
    text: String,
    uri: Uri,
}

/// Why an address was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It has user information; it is not shown, for it may hold a password.
    #[error("the address on host `{host}` has a user name or password: leave it out")]
    Credentials {
        /// The host.
        host: String,
    },
    /// Not an absolute `http` or `https` address without fragment.
    #[error("`{url}` is no absolute https address without fragment")]
    Malformed {
        /// What was written, shortened.
        url: String,
    },
    /// `http` to another machine.
    #[error("`{url}` is plain http to another machine: use https")]
    PlainHttp {
        /// What was written, shortened.
        url: String,
    },
    /// An issuer with a query.
    #[error("`{url}` has a query, which an issuer must not have")]
    Query {
        /// What was written, shortened.
        url: String,
    },
    /// A document fetched over `https` names an `http` address.
    #[error("`{url}` is plain http, named by a document that came over https: use https")]
    Downgrade {
        /// What was written, shortened.
        url: String,
    },
}

impl RemoteUrl {
    /// Reads an address that an operator wrote: `https`, or `http` to a loopback host (127.0.0.0/8,
    /// `::1`, `localhost`) for development.
    ///
    /// # Errors
    /// See [`UrlError`].
    pub fn configured(text: &str) -> Result<Self, UrlError> {
        let malformed = || UrlError::Malformed { url: shown(text) };
        if text.len() > URL_BYTES_MAX || text.contains('#') {
            return Err(malformed());
        }
        let uri: Uri = text.parse().map_err(|_| malformed())?;
        let authority = uri.authority().filter(|a| !a.host().is_empty()).ok_or_else(malformed)?;
        if authority.as_str().contains('@') {
            return Err(UrlError::Credentials { host: shown(authority.host()) });
        }
        match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => {}
            Some(scheme) if *scheme == Scheme::HTTP => {
                if !is_loopback(authority.host()) {
                    return Err(UrlError::PlainHttp { url: shown(text) });
                }
            }
            _ => return Err(malformed()),
        }
        Ok(Self { text: text.to_owned(), uri })
    }

    /// Reads an issuer identifier: an address that an operator wrote, without query (RFC 8414
    /// section 2).
    ///
    /// # Errors
    /// See [`UrlError`].
    pub fn issuer(text: &str) -> Result<Self, UrlError> {
        let url = Self::configured(text)?;
        if url.uri.query().is_some() {
            return Err(UrlError::Query { url: shown(text) });
        }
        Ok(url)
    }

    /// Reads an address that stands in a document fetched from `source`. Plain `http` is accepted
    /// only if the document itself came over plain `http`: a remote issuer must not make a node
    /// ask its own loopback.
    ///
    /// # Errors
    /// See [`UrlError`].
    pub fn named_by(source: &Self, text: &str) -> Result<Self, UrlError> {
        let url = Self::configured(text)?;
        if !source.is_plain() && url.is_plain() {
            return Err(UrlError::Downgrade { url: shown(text) });
        }
        Ok(url)
    }

    /// The address as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The parsed address.
    #[must_use]
    pub const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Host and port, as the `Host` header has them.
    pub(super) fn authority(&self) -> &str {
        self.uri.authority().map_or("", Authority::as_str)
    }

    /// Whether the scheme is `http`.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.uri.scheme() == Some(&Scheme::HTTP)
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RemoteUrl").field(&self.text).finish()
    }
}

/// A foreign text as an error may show it: short, and nothing that could forge a log line.
pub(super) fn shown(text: &str) -> String {
    let visible = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    text.chars().take(SHOWN_CHARS_MAX).map(visible).collect()
}

fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    match bare {
        Some(v6) => v6.parse().is_ok_and(|a: Ipv6Addr| a.is_loopback()),
        None => {
            host.eq_ignore_ascii_case("localhost")
                || host.parse().is_ok_and(|a: Ipv4Addr| a.is_loopback())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_to_anywhere_and_http_to_this_machine_are_addresses() {
        for text in [
            "https://login.example.com/realms/global",
            "https://login.example.com:8443/",
            "https://[2001:db8::1]/x?policy=a",
            "http://127.0.0.1:8080/issuer",
            "http://127.255.0.9",
            "http://[::1]:8080/",
            "http://localhost:3000",
            "HTTP://LOCALHOST",
        ] {
            assert_eq!(RemoteUrl::configured(text).map(|u| u.text), Ok(text.to_owned()));
        }
    }

    #[test]
    fn http_to_another_machine_is_refused_however_it_is_spelt() {
        for text in [
            "http://login.example.com/",
            "http://169.254.169.254/latest/meta-data",
            "http://10.0.0.1/",
            "http://0.0.0.0/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://[::ffff:10.0.0.1]/",
            "http://localhost.example.com/",
            "http://127.0.0.1.example.com/",
        ] {
            let found = RemoteUrl::configured(text);
            assert!(matches!(found, Err(UrlError::PlainHttp { .. })), "{text}: {found:?}");
        }
    }

    #[test]
    fn what_is_no_absolute_https_address_is_refused() {
        let long = format!("https://login.example.com/{}", "a".repeat(URL_BYTES_MAX));
        for text in [
            "",
            "login.example.com",
            "//login.example.com/",
            "/realms/global",
            "https://",
            "https:///path",
            "ftp://login.example.com/",
            "file:///etc/passwd",
            "https://login.example.com/#part",
            "https://login example.com/",
            &long,
        ] {
            let found = RemoteUrl::configured(text);
            assert!(matches!(found, Err(UrlError::Malformed { .. })), "{text}: {found:?}");
        }
    }

    #[test]
    fn an_issuer_has_no_query() {
        let text = "https://login.example.com/a?tenant=b";
        assert!(matches!(RemoteUrl::issuer(text), Err(UrlError::Query { .. })));
        assert!(RemoteUrl::issuer("https://login.example.com/a").is_ok());
    }

    #[test]
    fn a_password_in_an_address_is_refused_and_not_shown() {
        let error = RemoteUrl::configured("https://user:hunter2@login.example.com/").unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert!(error.to_string().contains("login.example.com"), "{error}");
        // The host is what follows the `@`, not what stands before it.
        assert!(RemoteUrl::configured("http://127.0.0.1@login.example.com/").is_err());
    }

    #[test]
    fn a_document_that_came_over_https_cannot_name_loopback() {
        let remote = RemoteUrl::configured("https://login.example.com/").unwrap();
        let local = RemoteUrl::configured("http://127.0.0.1:1/").unwrap();
        let keys = "http://127.0.0.1:9090/jwks";
        assert!(matches!(RemoteUrl::named_by(&remote, keys), Err(UrlError::Downgrade { .. })));
        assert!(RemoteUrl::named_by(&local, keys).is_ok());
        assert!(RemoteUrl::named_by(&local, "https://keys.example.com/jwks").is_ok());
        assert!(RemoteUrl::named_by(&local, "http://10.0.0.1/jwks").is_err());
    }

    #[test]
    fn a_foreign_text_cannot_forge_a_line() {
        assert_eq!(shown("a\r\nb\u{202e}c"), "a??b?c");
        assert_eq!(shown(&"x".repeat(1_000)).len(), SHOWN_CHARS_MAX);
    }
}
