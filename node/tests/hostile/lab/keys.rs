//! Private keys of issuers and clients, made anew for each lab, and what can be signed with them,
//! rightly or wrongly.

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
        RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    },
};
use exequatur_federation::jose::base64url;
use serde_json::{Value, json};

/// Bytes of a 2048-bit modulus.
const MODULUS: usize = 256;
/// Bytes before the modulus in the DER of an `RSAPublicKey` of 2048 bits (RFC 8017 A.1.1): the
/// heads of the sequence and of the integer, and the integer's leading zero.
const BEFORE_MODULUS: usize = 9;

/// A private key.
pub(crate) enum Key {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl Key {
    pub(crate) fn ec() -> Self {
        Self::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn ed() -> Self {
        Self::Ed(Ed25519KeyPair::generate().unwrap())
    }

    pub(crate) fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    /// Signs under the algorithm that goes with the key; an RSA key is asked for PSS by `PS256`.
    pub(crate) fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Rsa(pair) => {
                let padding =
                    if algorithm == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }

    /// The public key as a JWK without `kid` and `alg`.
    pub(crate) fn jwk(&self) -> Value {
        match self {
            Self::Ec(pair) => {
                let point = pair.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "x": base64url(&point[1..33]),
                       "y": base64url(&point[33..]), "use": "sig"})
            }
            Self::Ed(pair) => {
                let x = base64url(pair.public_key().as_ref());
                json!({"kty": "OKP", "crv": "Ed25519", "x": x, "use": "sig"})
            }
            Self::Rsa(_) => {
                json!({"kty": "RSA", "n": base64url(&self.modulus()), "e": "AQAB", "use": "sig"})
            }
        }
    }

    /// The public key as a JWK of a set.
    pub(crate) fn published(&self, kid: &str, algorithm: &str) -> Value {
        let mut jwk = self.jwk();
        jwk["kid"] = json!(kid);
        jwk["alg"] = json!(algorithm);
        jwk
    }

    /// The public key's bytes as the library writes them: DER, a point, or 32 bytes.
    pub(crate) fn public_bytes(&self) -> Vec<u8> {
        match self {
            Self::Ec(pair) => pair.public_key().as_ref().to_vec(),
            Self::Ed(pair) => pair.public_key().as_ref().to_vec(),
            Self::Rsa(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    /// The public key between lines of PEM.
    pub(crate) fn public_pem(&self) -> String {
        let text = base64url(&self.public_bytes()).replace('-', "+").replace('_', "/");
        format!("-----BEGIN RSA PUBLIC KEY-----\n{text}\n-----END RSA PUBLIC KEY-----\n")
    }

    /// The modulus of an RSA key.
    pub(crate) fn modulus(&self) -> Vec<u8> {
        self.public_bytes()[BEFORE_MODULUS..BEFORE_MODULUS + MODULUS].to_vec()
    }
}

/// HMAC-SHA-256, as an attacker computes it over a public key.
pub(crate) fn hs256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec()
}
