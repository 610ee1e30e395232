//! The requests of the benchmark's clients, as the bytes that go over the wire: token exchange
//! (RFC 8693 section 2.1) by `client_secret_basic` and by `private_key_jwt`, and introspection
//! (RFC 7662 section 2.1).

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use exequatur_federation::{
    client::SecretHash,
    jose::base64url,
    oauth::{CLIENT_ASSERTION_JWT_BEARER, GRANT_TOKEN_EXCHANGE, TokenType},
    time::{Ttl, UnixTime},
};
use form_urlencoded::Serializer;
use serde_json::json;

use super::{
    issuer::SCOPE,
    key::{Es256Key, KeyError},
};

/// Life of a client assertion: minting, a warm-up and a window of 60 s pass before the last is used.
const ASSERTION_LIFETIME: Ttl = Ttl::from_seconds(240);
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 43 characters of base62 hold 256 bits.
const SECRET_CHARACTERS: usize = 43;

/// A client that authenticates by `client_secret_basic` (RFC 6749 section 2.3.1).
pub(crate) struct SecretClient {
    id: &'static str,
    authorization: String,
    hash: SecretHash,
}

impl SecretClient {
    /// Draws a secret.
    pub(crate) fn generate(id: &'static str) -> Result<Self, KeyError> {
        let secret = secret()?;
        let mut salt = [0; 16];
        SystemRandom::new().fill(&mut salt).map_err(|_| KeyError)?;
        let authorization = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
        Ok(Self { id, authorization, hash: SecretHash::of(salt, &secret) })
    }

    /// Its `client_id`.
    pub(crate) const fn id(&self) -> &'static str {
        self.id
    }

    /// What a server keeps of its secret.
    pub(crate) const fn hash(&self) -> &SecretHash {
        &self.hash
    }

    /// Asks for a token for `target` in exchange for a subject token.
    pub(crate) fn exchange(&self, target: &Target<'_>, subject_token: &str) -> Vec<u8> {
        let form = exchange_form(target.resource, subject_token).finish();
        post(target.host, "/token", Some(&self.authorization), &form)
    }

    /// Asks about a token.
    pub(crate) fn introspect(&self, host: &str, token: &str) -> Vec<u8> {
        let form = Serializer::new(String::new()).append_pair("token", token).finish();
        post(host, "/introspect", Some(&self.authorization), &form)
    }
}

/// A client that authenticates by `private_key_jwt` (RFC 7523 section 2.2).
pub(crate) struct KeyClient {
    id: &'static str,
    key: Es256Key,
}

impl KeyClient {
    /// Makes a key.
    pub(crate) fn generate(id: &'static str) -> Result<Self, KeyError> {
        Ok(Self { id, key: Es256Key::generate()? })
    }

    /// Its `client_id`.
    pub(crate) const fn id(&self) -> &'static str {
        self.id
    }

    /// Its key.
    pub(crate) const fn key(&self) -> &Es256Key {
        &self.key
    }

    /// Asks for a token for `target`, with an assertion that was never used.
    pub(crate) fn exchange(
        &self,
        target: &Target<'_>,
        subject_token: &str,
        now: UnixTime,
    ) -> Result<Vec<u8>, KeyError> {
        let mut form = exchange_form(target.resource, subject_token);
        form.append_pair("client_assertion_type", CLIENT_ASSERTION_JWT_BEARER)
            .append_pair("client_assertion", &self.assertion(target.issuer, now)?);
        Ok(post(target.host, "/token", None, &form.finish()))
    }

    fn assertion(&self, audience: &str, now: UnixTime) -> Result<String, KeyError> {
        let mut id = [0; 16];
        SystemRandom::new().fill(&mut id).map_err(|_| KeyError)?;
        let claims = json!({
            "iss": self.id,
            "sub": self.id,
            "aud": audience,
            "iat": now,
            "exp": now.plus(ASSERTION_LIFETIME),
            "jti": base64url(&id),
        });
        self.key.sign("client-authentication+jwt", &claims)
    }
}

/// Where a request goes and what it is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    /// The `Host` header.
    pub(crate) host: &'a str,
    /// The region's issuer, which is an assertion's audience.
    pub(crate) issuer: &'a str,
    /// The resource that the token is for.
    pub(crate) resource: &'a str,
}

fn exchange_form(resource: &str, subject_token: &str) -> Serializer<'static, String> {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", GRANT_TOKEN_EXCHANGE)
        .append_pair("resource", resource)
        .append_pair("scope", SCOPE)
        .append_pair("subject_token_type", TokenType::AccessToken.urn())
        .append_pair("subject_token", subject_token);
    form
}

fn post(host: &str, path: &str, authorization: Option<&str>, form: &str) -> Vec<u8> {
    let authorization =
        authorization.map_or_else(String::new, |value| format!("Authorization: {value}\r\n"));
    format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\n{authorization}\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len(),
    )
    .into_bytes()
}

/// 256 random bits in base62, as the node's own command makes them.
fn secret() -> Result<String, KeyError> {
    let random = SystemRandom::new();
    let mut secret = String::with_capacity(SECRET_CHARACTERS);
    while secret.len() < SECRET_CHARACTERS {
        let mut byte = [0; 1];
        random.fill(&mut byte).map_err(|_| KeyError)?;
        // Six bits choose a character; the two values beyond the alphabet are drawn again.
        let character = ALPHABET.get(usize::from(byte[0] & 0x3f));
        secret.extend(character.map(|character| char::from(*character)));
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use exequatur_federation::jose::UnverifiedJws;

    use super::*;

    const TARGET: Target<'_> = Target {
        host: "localhost:1",
        issuer: "http://localhost:1",
        resource: "https://api.example/orders",
    };

    fn form(request: &[u8]) -> Vec<(String, String)> {
        let text = std::str::from_utf8(request).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("\r\nContent-Length: {}", body.len())), "{head}");
        form_urlencoded::parse(body.as_bytes()).into_owned().collect()
    }

    fn value<'a>(form: &'a [(String, String)], name: &str) -> Option<&'a str> {
        form.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn a_secret_opens_with_the_hash_that_the_server_keeps() {
        let client = SecretClient::generate("bench").unwrap();
        let encoded = client.authorization.strip_prefix("Basic ").unwrap();
        let decoded = String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap();
        let (id, secret) = decoded.split_once(':').unwrap();
        assert_eq!((id, secret.len()), ("bench", SECRET_CHARACTERS));
        assert!(SecretHash::of(client.hash.salt, secret) == client.hash);
    }

    #[test]
    fn an_exchange_asks_for_one_resource_with_the_token_unchanged() {
        let request = SecretClient::generate("bench").unwrap().exchange(&TARGET, "a.b+c/d=.e");
        let form = form(&request);
        assert_eq!(value(&form, "subject_token"), Some("a.b+c/d=.e"));
        assert_eq!(value(&form, "resource"), Some(TARGET.resource));
        assert_eq!(value(&form, "client_assertion"), None);
    }

    #[test]
    fn no_assertion_is_sent_twice() {
        let client = KeyClient::generate("bench").unwrap();
        let jti = || {
            let request = client.exchange(&TARGET, "t", UnixTime::from_seconds(1)).unwrap();
            let form = form(&request);
            let jws = UnverifiedJws::parse(value(&form, "client_assertion").unwrap()).unwrap();
            assert_eq!(jws.payload()["aud"], TARGET.issuer);
            jws.payload()["jti"].clone()
        };
        assert_ne!(jti(), jti());
    }
}
