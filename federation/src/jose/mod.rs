//! JOSE: strict reading of signed tokens and public keys, and the text that a signer signs.
//!
//! Reading is stricter than RFC 7515 asks, because tokens are compared, hashed and revoked here:
//! text that is not the canonical base64url of its bytes is refused, as are duplicate JSON
//! members and every critical header. The algorithm is the key's, never the header's; `jku`,
//! `x5u`, `x5c` and `jwk` headers are never followed. Nothing here fetches a key or reads a clock.

mod algorithm;
mod json;
mod jwk;
#[cfg(test)]
mod jwk_test;
mod jws;
#[cfg(test)]
mod vectors_test;

pub use algorithm::Algorithm;
pub use json::{JSON_DEPTH_MAX, JSON_VALUES_MAX, JsonError, parse_object};
pub use jwk::{JWK_SET_KEYS_MAX, Jwk, JwkError, JwkSet, JwkSetError, KeyId, PublicKey};
pub use jws::{JwsError, SignedToken, SigningInput, TOKEN_BYTES_MAX, UnverifiedJws};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// Encodes bytes as base64url without padding (RFC 7515 section 2).
#[must_use]
pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes base64url without padding; text that is not canonical (padding, other alphabets,
/// white space, non-zero trailing bits) is `None`.
#[must_use]
pub fn from_base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// SHA-256 of the bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let mut out = [0; 32];
    out.copy_from_slice(digest.as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn non_canonical_text_is_refused() {
        assert_eq!(from_base64url("AQ"), Some(vec![1]));
        for text in ["AQ==", "AR", "A", "A Q", "AQ\n", "+/8", "Ａ"] {
            assert_eq!(from_base64url(text), None, "{text:?}");
        }
    }
}
