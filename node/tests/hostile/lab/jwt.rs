//! Tokens as honest and hostile parties make them: a header and a payload that can be bent in any
//! way, down to their bytes, and then signed.

use exequatur_federation::jose::base64url;
use serde_json::{Map, Value, json};

use super::keys::Key;

/// A token that is not signed yet.
#[derive(Clone)]
pub(crate) struct Jwt {
    pub(crate) header: Value,
    pub(crate) payload: Value,
}

impl Jwt {
    pub(crate) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.payload[name] = value.into();
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        members(&mut self.payload).remove(name);
        self
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header[name] = value.into();
        self
    }

    pub(crate) fn without_header(mut self, name: &str) -> Self {
        members(&mut self.header).remove(name);
        self
    }

    /// Signs with `key`, under the algorithm that the header names.
    pub(crate) fn sign(&self, key: &Key) -> String {
        self.sign_as(self.header["alg"].as_str().unwrap_or_default(), key)
    }

    /// Signs with `key` under an algorithm that the header need not name.
    pub(crate) fn sign_as(&self, algorithm: &str, key: &Key) -> String {
        let (header, payload) = (self.header.to_string(), self.payload.to_string());
        seal(header.as_bytes(), payload.as_bytes(), |input| key.sign(algorithm, input))
    }

    /// Signs with whatever `signer` returns.
    pub(crate) fn sign_by(&self, signer: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
        seal(self.header.to_string().as_bytes(), self.payload.to_string().as_bytes(), signer)
    }

    /// Signs a header that was written by hand over this payload.
    pub(crate) fn under_header(&self, header: &[u8], key: &Key) -> String {
        let algorithm = self.header["alg"].as_str().unwrap_or_default();
        seal(header, self.payload.to_string().as_bytes(), |input| key.sign(algorithm, input))
    }

    /// Signs a payload that was written by hand under this header.
    pub(crate) fn over_payload(&self, payload: &[u8], key: &Key) -> String {
        let algorithm = self.header["alg"].as_str().unwrap_or_default();
        seal(self.header.to_string().as_bytes(), payload, |input| key.sign(algorithm, input))
    }

    /// The payload as text, with more members before its end.
    pub(crate) fn payload_and(&self, more: &str) -> Vec<u8> {
        let text = self.payload.to_string();
        format!("{},{more}}}", text.strip_suffix('}').unwrap()).into_bytes()
    }

    /// The header as text, with more members before its end.
    pub(crate) fn header_and(&self, more: &str) -> Vec<u8> {
        let text = self.header.to_string();
        format!("{},{more}}}", text.strip_suffix('}').unwrap()).into_bytes()
    }
}

/// The compact form of bytes that need not be JSON.
pub(crate) fn seal(header: &[u8], payload: &[u8], signer: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let input = format!("{}.{}", base64url(header), base64url(payload));
    let signature = signer(input.as_bytes());
    format!("{input}.{}", base64url(&signature))
}

/// The three parts of a token.
pub(crate) fn parts(token: &str) -> [&str; 3] {
    token.split('.').collect::<Vec<_>>().try_into().unwrap()
}

/// The decoded payload of a token.
pub(crate) fn payload_of(token: &str) -> Value {
    let bytes = exequatur_federation::jose::from_base64url(parts(token)[1]).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// An assertion with which a client authenticates.
pub(crate) fn assertion(client: &str, audience: &str, now: u64, jti: &str) -> Jwt {
    Jwt {
        header: json!({"alg": "ES256", "typ": "client-authentication+jwt"}),
        payload: json!({"iss": client, "sub": client, "aud": audience, "iat": now,
                        "exp": now + 60, "jti": jti}),
    }
}

fn members(value: &mut Value) -> &mut Map<String, Value> {
    value.as_object_mut().unwrap()
}
