//! Whom a request names as its addressee (RFC 9112 section 3.2, RFC 9113 section 8.3.1).
//!
//! A request that names none, or two, is refused before anything looks at it: nodes and proxies
//! that disagree on the addressee can be played against each other.

use http::request::Parts;
use http::uri::Authority;
use http::{Request, Version, header};

/// The host, and the port if there is one, that the request is for: that of an absolute target or
/// of `:authority`, which win over `Host`; otherwise that of `Host`.
///
/// `None` only for HTTP/1.0; the serve loop refuses other requests without one.
#[must_use]
pub fn authority(parts: &Parts) -> Option<Authority> {
    if let Some(authority) = parts.uri.authority() {
        return Some(authority.clone());
    }
    let host = parts.headers.get(header::HOST)?;
    Authority::try_from(host.as_bytes()).ok()
}

/// Whether the request names exactly one addressee.
pub(crate) fn names_one_addressee<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() || host.is_some_and(|host| !is_authority(host.as_bytes())) {
        return false;
    }
    match request.version() {
        Version::HTTP_2 => match (request.uri().authority(), host) {
            (Some(authority), Some(host)) => {
                authority.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes())
            }
            (authority, host) => authority.is_some() || host.is_some(),
        },
        Version::HTTP_11 => host.is_some(),
        _ => true,
    }
}

/// `uri-host [ ":" port ]`: no user information, which `Authority` would accept, and not empty.
fn is_authority(host: &[u8]) -> bool {
    !host.contains(&b'@') && Authority::try_from(host).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(version: Version, uri: &str, hosts: &[&str]) -> Request<()> {
        let mut builder = Request::get(uri).version(version);
        for host in hosts {
            builder = builder.header(header::HOST, *host);
        }
        builder.body(()).unwrap()
    }

    #[test]
    fn http11_names_exactly_one_host() {
        let names_one =
            |hosts: &[&str]| names_one_addressee(&request(Version::HTTP_11, "/token", hosts));
        assert!(names_one(&["eu.example"]));
        assert!(names_one(&["[::1]:8443"]));
        for hosts in [
            &[][..],
            &[""],
            &["eu.example", "eu.example"],
            &["eu.example", "us.example"],
            &["eu.example/x"],
            &["a@eu.example"],
            &["eu.example, us.example"],
        ] {
            assert!(!names_one(hosts), "{hosts:?}");
        }
    }

    #[test]
    fn http2_may_repeat_its_authority_but_not_contradict_it() {
        let names_one =
            |uri, hosts: &[&str]| names_one_addressee(&request(Version::HTTP_2, uri, hosts));
        assert!(names_one("https://eu.example/token", &[]));
        assert!(names_one("https://eu.example/token", &["EU.example"]));
        assert!(names_one("/token", &["eu.example"]));
        assert!(!names_one("https://eu.example/token", &["us.example"]));
        assert!(!names_one("/token", &[]));
    }

    #[test]
    fn an_absolute_target_wins_over_host() {
        let request = request(Version::HTTP_11, "http://eu.example/token", &["us.example"]);
        assert_eq!(authority(&request.into_parts().0).unwrap().as_str(), "eu.example");
    }
}
