//! An ES256 key of the benchmark's own: for the global issuer, for a client's assertions, and for
//! the tokens of the floor. It lives as long as the process.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use exequatur_federation::jose::{Algorithm, KeyId, PublicKey, SigningInput};
use serde::Serialize;
use serde_json::{Value, json};

/// A private key and its public half.
pub(crate) struct Es256Key {
    pair: EcdsaKeyPair,
    public: PublicKey,
    id: KeyId,
    random: SystemRandom,
}

/// The cryptographic library failed, or a payload is no JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key could not be made, or could not sign")]
pub(crate) struct KeyError;

impl Es256Key {
    /// Makes a key.
    pub(crate) fn generate() -> Result<Self, KeyError> {
        let pair =
            EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| KeyError)?;
        let public =
            PublicKey::p256_from_point(pair.public_key().as_ref()).map_err(|_| KeyError)?;
        Ok(Self { pair, id: public.thumbprint(), public, random: SystemRandom::new() })
    }

    /// The public half as a JWK set (RFC 7517 section 5).
    pub(crate) fn to_jwk_set(&self) -> Value {
        json!({ "keys": [self.public.to_jwk(Algorithm::Es256)] })
    }

    /// A compact JWS over the payload (RFC 7515 section 7.1).
    pub(crate) fn sign<T: Serialize>(&self, typ: &str, payload: &T) -> Result<String, KeyError> {
        let input = SigningInput::new(Algorithm::Es256, typ, &self.id, payload);
        let input = input.map_err(|_| KeyError)?;
        let signature = self.pair.sign(&self.random, input.as_bytes()).map_err(|_| KeyError)?;
        Ok(input.with_signature(signature.as_ref()).as_str().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use exequatur_federation::jose::{JwkSet, UnverifiedJws};

    use super::*;

    #[test]
    fn what_it_signs_verifies_under_the_set_that_it_publishes() {
        let key = Es256Key::generate().unwrap();
        let token = key.sign("JWT", &json!({ "sub": "somebody" })).unwrap();
        let set = JwkSet::parse(key.to_jwk_set().to_string().as_bytes()).unwrap();
        let jws = UnverifiedJws::parse(&token).unwrap();
        let jwk = set.select(jws.kid()).unwrap();
        assert_eq!(jws.verify(&jwk.key, Algorithm::Es256), Ok(()));
    }
}
