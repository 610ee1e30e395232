//! A global identity provider in the manner of Keycloak, on loopback.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, TcpListener},
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use exequatur_federation::jose::base64url;
use exequatur_node::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

const KID: &str = "global-1";

/// The provider; its thread ends with the test's process.
pub(crate) struct Global {
    issuer: String,
    key: EcdsaKeyPair,
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
