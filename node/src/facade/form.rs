//! The OAuth request body: `application/x-www-form-urlencoded`, read strictly.
//!
//! Two programs that read one form differently are an attack, so what browsers forgive is refused
//! here: bad percent escapes, text that is not UTF-8, NUL bytes, repeated parameters. A parameter
//! without a value counts as left out (RFC 6749 section 3.1).

use exequatur_federation::refusal::{self, RefusalId};
use http::{HeaderMap, header::CONTENT_ENCODING, header::CONTENT_TYPE};

/// Most parameters in one request: RFC 8693 and client authentication together define 15.
const PARAMETERS_MAX: usize = 64;
/// Longest parameter name that is looked at.
const NAME_BYTES_MAX: usize = 64;
/// The one media type of a form.
const FORM: &str = "application/x-www-form-urlencoded";

/// The parameters of one request, in the order in which they were sent.
#[derive(Default)]
pub struct Form {
    parameters: Vec<(String, String)>,
}

impl Form {
    /// Checks the headers and reads the body.
    ///
    /// # Errors
    /// The refusal.
    pub fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Self, RefusalId> {
        if !is_form(headers) || headers.contains_key(CONTENT_ENCODING) {
            return Err(refusal::CONTENT_TYPE_UNSUPPORTED);
        }
        let mut parameters = Vec::new();
        for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            if parameters.len() == PARAMETERS_MAX {
                return Err(refusal::REQUEST_MALFORMED);
            }
            let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            let (name, value) = pair.split_at(at);
            let value = value.strip_prefix(b"=").unwrap_or(value);
            let name = decode(name).ok_or(refusal::REQUEST_MALFORMED)?;
            let value = decode(value).ok_or(refusal::REQUEST_MALFORMED)?;
            if name.len() > NAME_BYTES_MAX {
                return Err(refusal::REQUEST_MALFORMED);
            }
            if !value.is_empty() {
                parameters.push((name, value));
            }
        }
        Ok(Self { parameters })
    }

    /// The value of a parameter that may stand once.
    ///
    /// # Errors
    /// [`refusal::PARAMETER_REPEATED`].
    pub fn optional<'f>(&'f self, name: &'f str) -> Result<Option<&'f str>, RefusalId> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (first, None) => Ok(first),
            (_, Some(_)) => Err(refusal::PARAMETER_REPEATED),
        }
    }

    /// The value of a parameter that must stand once.
    ///
    /// # Errors
    /// [`refusal::PARAMETER_MISSING`] or [`refusal::PARAMETER_REPEATED`].
    pub fn required<'f>(&'f self, name: &'f str) -> Result<&'f str, RefusalId> {
        self.optional(name)?.ok_or(refusal::PARAMETER_MISSING)
    }

    /// Every value of a parameter that may repeat.
    pub fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.parameters.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else { return false };
    let Ok(text) = only.to_str() else { return false };
    let (media, parameters) = text.split_once(';').unwrap_or((text, ""));
    let charset = parameters.trim();
    media.trim().eq_ignore_ascii_case(FORM)
        && (charset.is_empty() || charset.eq_ignore_ascii_case("charset=utf-8"))
}

/// Decodes one name or value of a form (WHATWG URL section 5.1, without its forgiveness).
pub(super) fn decode(text: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex_digit(*rest.next()?)? << 4 | hex_digit(*rest.next()?)?,
            other => *other,
        });
    }
    if bytes.contains(&0) {
        return None;
    }
    String::from_utf8(bytes).ok()
}

const fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(content_type: &str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, content_type.parse().unwrap())])
    }

    fn parsed(body: &[u8]) -> Result<Form, RefusalId> {
        Form::parse(&headers(FORM), body)
    }

    #[test]
    fn reads_names_values_plus_signs_and_escapes() {
        let form = parsed(b"scope=a+b%20c&resource=x&resource=y&empty=&flag").unwrap();
        assert_eq!(form.optional("scope"), Ok(Some("a b c")));
        assert_eq!(form.all("resource").collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(form.optional("empty"), Ok(None));
        assert_eq!(form.optional("flag"), Ok(None));
        assert_eq!(form.required("token"), Err(refusal::PARAMETER_MISSING));
        assert_eq!(form.optional("resource"), Err(refusal::PARAMETER_REPEATED));
    }

    #[test]
    fn refuses_what_other_readers_would_read_otherwise() {
        for body in [&b"a=%"[..], b"a=%4", b"a=%zz", b"a=%00", b"a=%ff", b"a=\xff", b"%00=a"] {
            assert_eq!(parsed(body).err(), Some(refusal::REQUEST_MALFORMED), "{body:?}");
        }
        let many = "a=1&".repeat(PARAMETERS_MAX + 1);
        assert_eq!(parsed(many.as_bytes()).err(), Some(refusal::REQUEST_MALFORMED));
        let long = format!("{}=1", "n".repeat(NAME_BYTES_MAX + 1));
        assert_eq!(parsed(long.as_bytes()).err(), Some(refusal::REQUEST_MALFORMED));
    }

    #[test]
    fn takes_one_content_type_only() {
        for accepted in [FORM, "Application/X-WWW-Form-Urlencoded; charset=UTF-8"] {
            assert!(Form::parse(&headers(accepted), b"a=1").is_ok(), "{accepted}");
        }
        for refused in [
            "application/json",
            "text/plain",
            "multipart/form-data; boundary=x",
            "application/x-www-form-urlencoded; charset=utf-7",
        ] {
            let result = Form::parse(&headers(refused), b"a=1");
            assert_eq!(result.err(), Some(refusal::CONTENT_TYPE_UNSUPPORTED), "{refused}");
        }
        assert!(Form::parse(&HeaderMap::new(), b"a=1").is_err());
        let mut compressed = headers(FORM);
        compressed.insert(CONTENT_ENCODING, "gzip".parse().unwrap());
        assert!(Form::parse(&compressed, b"a=1").is_err());
    }
}
