//! OAuth requests: a valid one to start from, and every way to bend it.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::http::HttpRequest;

pub(crate) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
pub(crate) const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
pub(crate) const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
pub(crate) const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const FORM: &str = "application/x-www-form-urlencoded";

/// A request to an OAuth endpoint.
#[derive(Clone)]
pub(crate) struct OAuthRequest {
    http: HttpRequest,
    parameters: Vec<(String, String)>,
    /// Sent instead of the parameters.
    raw: Option<Vec<u8>>,
    content_type: Option<String>,
}

impl OAuthRequest {
    pub(crate) fn new(path: &str) -> Self {
        let http = HttpRequest::new("POST", path);
        Self { http, parameters: Vec::new(), raw: None, content_type: Some(FORM.to_owned()) }
    }

    /// Replaces every value of a parameter by one.
    pub(crate) fn set(self, name: &str, value: &str) -> Self {
        self.remove(name).add(name, value)
    }

    /// Adds a parameter, although it may be there already.
    pub(crate) fn add(mut self, name: &str, value: &str) -> Self {
        self.parameters.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn remove(mut self, name: &str) -> Self {
        self.parameters.retain(|(n, _)| n != name);
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.http.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.http.method);
        self
    }

    pub(crate) fn target(mut self, target: &str) -> Self {
        target.clone_into(&mut self.http.target);
        self
    }

    /// Sends these bytes in place of the parameters.
    pub(crate) fn raw(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.raw = Some(body.into());
        self
    }

    /// Sends these bytes after the parameters.
    pub(crate) fn and_raw(self, more: &[u8]) -> Self {
        let mut body = self.body();
        body.extend_from_slice(more);
        self.raw(body)
    }

    pub(crate) fn content_type(mut self, value: Option<&str>) -> Self {
        self.content_type = value.map(str::to_owned);
        self
    }

    /// Authenticates by HTTP Basic (RFC 6749 section 2.3.1); ids and secrets of the lab need no
    /// escapes.
    pub(crate) fn basic(self, id: &str, secret: &str) -> Self {
        self.authorization(&basic(id, secret))
    }

    /// Sends this Authorization header and no other.
    pub(crate) fn authorization(mut self, value: &str) -> Self {
        self.http.headers.retain(|(name, _)| name != "Authorization");
        self.header("Authorization", value)
    }

    /// Takes every credential out.
    pub(crate) fn anonymous(mut self) -> Self {
        self.http.headers.retain(|(name, _)| name != "Authorization");
        let credentials =
            ["client_id", "client_secret", "client_assertion", "client_assertion_type"];
        self.parameters.retain(|(name, _)| !credentials.contains(&name.as_str()));
        self
    }

    /// Authenticates by an assertion and nothing else.
    pub(crate) fn assertion(self, assertion: &str) -> Self {
        let kind = ("client_assertion_type", JWT_BEARER);
        self.anonymous().set(kind.0, kind.1).set("client_assertion", assertion)
    }

    /// The request as it goes out.
    pub(crate) fn http(&self) -> HttpRequest {
        let mut http = self.http.clone();
        http.body = self.body();
        match &self.content_type {
            Some(value) => http.header("Content-Type", value),
            None => http,
        }
    }

    /// Every text that a careless answer could repeat.
    pub(crate) fn inputs(&self) -> Vec<String> {
        let values = self.parameters.iter().flat_map(|(name, value)| [name, value]);
        let headers = self.http.headers.iter().map(|(_, value)| value);
        let raw = self.raw.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        values.chain(headers).cloned().chain(raw).collect()
    }

    fn body(&self) -> Vec<u8> {
        if let Some(raw) = &self.raw {
            return raw.clone();
        }
        let pairs: Vec<String> =
            self.parameters.iter().map(|(n, v)| format!("{}={}", escape(n), escape(v))).collect();
        pairs.join("&").into_bytes()
    }
}

/// The value of an Authorization header.
pub(crate) fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

/// Percent-encodes every byte but letters, digits and what base64url, dots and URNs need.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b':' => {
                out.push(byte.into());
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
