//! Client credentials as a request carries them (RFC 6749 section 2.3.1, RFC 7521 section 4.2).
//! Only collects; whether they prove anything is decided in the federation crate.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use exequatur_federation::{
    authenticate::Credentials,
    refusal::{self, RefusalId},
};
use http::{HeaderMap, header::AUTHORIZATION};
use zeroize::Zeroizing;

use super::form::{Form, decode};

/// Longest Authorization header that is read: id and secret, escaped and encoded.
const AUTHORIZATION_BYTES_MAX: usize = 1_024;

/// Collects the credentials of a request.
///
/// # Errors
/// A parameter is repeated, or the Authorization header cannot be read.
pub(super) fn collect(headers: &HeaderMap, form: &Form) -> Result<Credentials, RefusalId> {
    let basic = basic(headers)?;
    let client_id = form.optional("client_id")?;
    let secret = form.optional("client_secret")?;
    let assertion = form.optional("client_assertion")?;
    let kind = form.optional("client_assertion_type")?;
    match (basic, secret, assertion) {
        (None, None, None) => Ok(Credentials::Absent),
        (Some((id, secret)), None, None) => {
            if client_id.is_some_and(|named| named != id) {
                return Err(refusal::CLIENT_AUTHENTICATION_FAILED);
            }
            Ok(Credentials::Secret { client_id: id, secret, in_body: false })
        }
        (None, Some(secret), None) => Ok(Credentials::Secret {
            client_id: client_id.ok_or(refusal::CLIENT_AUTHENTICATION_FAILED)?.to_owned(),
            secret: Zeroizing::new(secret.to_owned()),
            in_body: true,
        }),
        (None, None, Some(assertion)) => Ok(Credentials::Assertion {
            kind: kind.unwrap_or_default().to_owned(),
            assertion: Zeroizing::new(assertion.to_owned()),
            client_id: client_id.map(str::to_owned),
        }),
        _ => Ok(Credentials::Several),
    }
}

/// Id and secret of an `Authorization: Basic` header. Both are form-encoded before they are
/// joined (RFC 6749 section 2.3.1).
fn basic(headers: &HeaderMap) -> Result<Option<(String, Zeroizing<String>)>, RefusalId> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value,
        (Some(_), Some(_)) => return Err(refusal::CLIENT_AUTHENTICATION_REPEATED),
    };
    read_basic(value.as_bytes()).map(Some).ok_or(refusal::CLIENT_AUTHENTICATION_FAILED)
}

fn read_basic(header: &[u8]) -> Option<(String, Zeroizing<String>)> {
    if header.len() > AUTHORIZATION_BYTES_MAX {
        return None;
    }
    let text = std::str::from_utf8(header).ok()?;
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let joined = Zeroizing::new(STANDARD.decode(encoded.trim()).ok()?);
    let colon = joined.iter().position(|byte| *byte == b':')?;
    let (id, secret) = joined.split_at(colon);
    let secret = decode(secret.strip_prefix(b":")?)?;
    Some((decode(id)?, Zeroizing::new(secret)))
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_TYPE;

    use super::*;

    fn collected(authorization: Option<&str>, body: &str) -> Result<Credentials, RefusalId> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap());
        let form = Form::parse(&headers, body.as_bytes()).unwrap();
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, value.parse().unwrap());
        }
        collect(&headers, &form)
    }

    fn basic_header(joined: &str) -> String {
        format!("Basic {}", STANDARD.encode(joined))
    }

    #[test]
    fn decodes_id_and_secret_of_a_basic_header() {
        let collected = collected(Some(&basic_header("a%3Ab:s%2B%20")), "").unwrap();
        let Credentials::Secret { client_id, secret, in_body: false } = collected else {
            panic!("{collected:?}")
        };
        assert_eq!((client_id.as_str(), secret.as_str()), ("a:b", "s+ "));
    }

    #[test]
    fn two_ways_at_once_are_several() {
        let header = basic_header("a:b");
        for body in ["client_secret=b&client_id=a", "client_assertion=x"] {
            assert!(matches!(collected(Some(&header), body), Ok(Credentials::Several)), "{body}");
        }
        let both = collected(None, "client_secret=b&client_id=a&client_assertion=x");
        assert!(matches!(both, Ok(Credentials::Several)));
    }

    #[test]
    fn a_header_that_is_no_basic_header_fails() {
        for header in
            ["Bearer x", "Basic", "Basic !", "Basic YWI=", "basic  YTpi:", &basic_header("a:%zz")]
        {
            let result = collected(Some(header), "");
            assert_eq!(result.err(), Some(refusal::CLIENT_AUTHENTICATION_FAILED), "{header}");
        }
    }

    #[test]
    fn a_client_id_that_contradicts_the_header_fails() {
        let result = collected(Some(&basic_header("a:b")), "client_id=c");
        assert_eq!(result.err(), Some(refusal::CLIENT_AUTHENTICATION_FAILED));
    }
}
