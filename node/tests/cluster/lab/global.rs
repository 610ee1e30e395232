//! A global identity provider in the manner of Keycloak, on loopback, and what clients of the
//! regions do with its tokens.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    time::Duration,
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use exequatur_federation::{client::SecretHash, config::secret_hash_text, jose::base64url};
use exequatur_node::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

/// The client of every region, and its secret.
pub(crate) const CLIENT: &str = "orders-gateway";
const SECRET: &str = "AbcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ";
const KID: &str = "global-1";
/// Longer than any answer takes on a loaded machine; it only ends a test that would hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// The provider; its thread ends with the test's process.
pub(crate) struct Global {
    issuer: String,
    key: EcdsaKeyPair,
}

/// An answer of a region.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Value,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    pub(crate) fn error_id(&self) -> &str {
        self.body["error_id"].as_str().unwrap_or_default()
    }
}

/// What stands in a region file for the client's secret.
pub(crate) fn secret_hash() -> String {
    secret_hash_text(&SecretHash::of([7; 16], SECRET))
}

impl Global {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let issuer = format!("http://{}/realms/global", listener.local_addr().unwrap());
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = key.public_key().as_ref();
        let jwk = json!({"kty": "EC", "crv": "P-256", "x": base64url(&point[1..33]),
            "y": base64url(&point[33..]), "use": "sig", "kid": KID, "alg": "ES256"});
        let metadata = json!({"issuer": issuer, "jwks_uri": format!("{issuer}/certs")}).to_string();
        let keys = json!({"keys": [jwk]}).to_string();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut first = String::new();
                let mut lines = BufReader::new(&stream);
                // A client that hangs up spoils nobody else's page.
                if lines.read_line(&mut first).is_err() {
                    continue;
                }
                let mut line = String::new();
                while lines.read_line(&mut line).is_ok_and(|n| n > 2) {
                    line.clear();
                }
                let page = if first.contains("/certs") { &keys } else { &metadata };
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
                     Connection: close\r\n\r\n{page}",
                    page.len()
                )
                .ok();
            }
        });
        Self { issuer, key }
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// A token of a person who is at home in a region and logged in `seconds` ago.
    pub(crate) fn token(&self, person: &str, region: &str, seconds: u64) -> String {
        let now = SystemClock::start().now().seconds();
        let payload = json!({
            "exp": now + 3_600, "iat": now, "auth_time": now - seconds,
            "jti": format!("onrtac:{person}"), "iss": self.issuer,
            "aud": ["https://exequatur.example", "account"], "sub": person, "typ": "Bearer",
            "azp": "gateway", "sid": format!("session-of-{person}"), "acr": "1",
            "realm_access": {"roles": ["reader"]}, "scope": "openid email orders:read",
            "email": format!("{person}@example.com"), "email_verified": true, "region": region,
        });
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": KID});
        let part = |value: &Value| base64url(value.to_string().as_bytes());
        let input = format!("{}.{}", part(&header), part(&payload));
        let signature = self.key.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        format!("{input}.{}", base64url(signature.as_ref()))
    }
}

/// Sends a form to an endpoint of a region as its client.
pub(crate) fn post(address: &str, path: &str, form: &[(&str, &str)]) -> std::io::Result<Reply> {
    let body: Vec<String> = form.iter().map(|(n, v)| format!("{n}={}", escaped(v))).collect();
    let body = body.join("&");
    let basic = base64(format!("{CLIENT}:{SECRET}").as_bytes());
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {basic}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let missing = || std::io::Error::other("no whole answer");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(missing)?;
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(missing)?;
    let body = serde_json::from_str(body).unwrap_or_default();
    Ok(Reply { status, head: head.to_owned(), body })
}

fn escaped(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    let one = |b: u8| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
    text.bytes().map(one).collect()
}

fn base64(bytes: &[u8]) -> String {
    let url = base64url(bytes).replace('-', "+").replace('_', "/");
    format!("{url}{}", "=".repeat((4 - url.len() % 4) % 4))
}
