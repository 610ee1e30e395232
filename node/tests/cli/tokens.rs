//! Tokens of a global provider and of a region, signed by keys made for one test.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use exequatur_federation::jose::{Algorithm, PublicKey, base64url};
use serde_json::{Value, json};

/// A moment at which the tokens are valid.
pub(crate) const NOW: &str = "1782000100";

/// A key that signs, and its public half as a JWK set.
pub(crate) struct Signer {
    key: EcdsaKeyPair,
}

impl Signer {
    pub(crate) fn new() -> Self {
        Self { key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap() }
    }

    pub(crate) fn jwks(&self) -> String {
        let key = PublicKey::p256_from_point(self.key.public_key().as_ref()).unwrap();
        json!({"keys": [key.to_jwk(Algorithm::Es256)]}).to_string()
    }

    pub(crate) fn sign(&self, typ: &str, claims: &Value) -> String {
        let key = PublicKey::p256_from_point(self.key.public_key().as_ref()).unwrap();
        let header = json!({"alg": "ES256", "typ": typ, "kid": key.thumbprint()}).to_string();
        let part = |text: &str| base64url(text.as_bytes());
        let input = format!("{}.{}", part(&header), part(&claims.to_string()));
        let signature = self.key.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        format!("{input}.{}", base64url(signature.as_ref()))
    }
}

/// Claims of a person's access token, as Keycloak writes them.
pub(crate) fn global() -> Value {
    json!({
        "iss": "https://login.example.com/realms/global",
        "aud": ["https://exequatur.example"],
        "sub": "f3a1c0de",
        "typ": "Bearer",
        "azp": "gateway",
        "scope": "openid orders:read",
        "email": "ada@example.com",
        "email_verified": true,
        "name": "Ada Example",
        "realm_access": {"roles": ["reader", "offline_access"]},
        "region": "eu",
        "iat": 1_782_000_000,
        "exp": 1_782_003_600,
    })
}

/// A global token with one claim changed.
pub(crate) fn global_with(name: &str, value: Value) -> Value {
    let mut claims = global();
    claims[name] = value;
    claims
}
