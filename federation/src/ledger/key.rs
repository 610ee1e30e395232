//! Keys and signatures as the ledger holds them: at fixed width.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Fixed;
use crate::{
    jose::{Algorithm, JwkError, PublicKey, base64url, from_base64url},
    replicable,
};

/// A signature of P-256 (`r || s`, `s` in the lower half of the order) or Ed25519.
pub type Signature = Fixed<64>;

/// A key's id: the SHA-256 of its RFC 7638 thumbprint input, as bytes.
pub type KeyThumbprint = Fixed<32>;

replicable! {
    /// A public key that tokens, documents or checkpoints are verified with.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum LedgerKey {
        /// P-256, compressed point (SEC 1 section 2.3.3).
        P256(Fixed<33>),
        /// Ed25519 (RFC 8032).
        Ed25519(Fixed<32>),
        /// RSA of 2048 bits with exponent 65537: the modulus.
        Rsa2048(Box<Fixed<256>>),
        /// RSA of 3072 bits with exponent 65537: the modulus.
        Rsa3072(Box<Fixed<384>>),
    }
}

replicable! {
    /// A public key that proposals, tickets and handshakes are verified with: the identity of a
    /// region or of a node.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    pub enum IdentityKey {
        /// P-256, compressed point.
        P256(Fixed<33>),
        /// Ed25519.
        Ed25519(Fixed<32>),
    }
}

replicable! {
    /// What a published key is for.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    pub enum KeyPurpose {
        /// Access tokens.
        AccessToken,
        /// Border grants.
        BorderGrant,
        /// Signed introspection answers.
        Response,
        /// Status lists.
        StatusList,
        /// Checkpoints and cosignatures.
        Audit,
    }
}

/// The order of P-256, halved and rounded down (SEC 2 section 2.4.2).
const P256_HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xde, 0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
];
/// The order of P-256 (SEC 2 section 2.4.2).
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// Why a text is no identity key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityKeyError {
    /// It has another form.
    #[error("it is not `p256:` or `ed25519:` and the key in base64url without padding")]
    Form,
    /// It has the form, but is no key.
    #[error("{0}")]
    Key(JwkError),
}

const P256_PREFIX: &str = "p256:";
const ED25519_PREFIX: &str = "ed25519:";

impl IdentityKey {
    /// The identity key that a public key is; `None` for an RSA key.
    #[must_use]
    pub fn from_public(key: &PublicKey) -> Option<Self> {
        let p256 = key.p256_compressed().map(|point| Self::P256(Fixed(point)));
        p256.or_else(|| key.ed25519_bytes().map(|x| Self::Ed25519(Fixed(x))))
    }

    /// Reads the text that [`fmt::Display`] writes: `p256:` or `ed25519:`, then the compressed point
    /// or the 32 bytes in base64url.
    ///
    /// # Errors
    /// The text has another form, or the bytes are no point of the curve.
    pub fn parse(text: &str) -> Result<Self, IdentityKeyError> {
        let key = if let Some(point) = text.strip_prefix(P256_PREFIX) {
            Self::P256(Fixed(bytes_of(point)?))
        } else if let Some(x) = text.strip_prefix(ED25519_PREFIX) {
            Self::Ed25519(Fixed(bytes_of(x)?))
        } else {
            return Err(IdentityKeyError::Form);
        };
        key.to_public().map_err(IdentityKeyError::Key)?;
        Ok(key)
    }

    /// The key in the form that verifies.
    ///
    /// # Errors
    /// The bytes are no point of the curve.
    pub fn to_public(&self) -> Result<PublicKey, JwkError> {
        match self {
            Self::P256(point) => PublicKey::p256_from_point(point.bytes()),
            Self::Ed25519(x) => PublicKey::ed25519(*x.bytes()),
        }
    }

    /// Whether `signature` is this key's over `message`. A P-256 signature in the upper half of the
    /// order is refused: there is one valid text of each signature, so nothing replicated has two.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        let algorithm = match self {
            Self::P256(_) => Algorithm::Es256,
            Self::Ed25519(_) => Algorithm::EdDsa,
        };
        let strict = match self {
            Self::P256(_) => is_low(signature),
            Self::Ed25519(_) => true,
        };
        strict
            && self.to_public().is_ok_and(|key| key.verify(algorithm, message, signature.bytes()))
    }
}

fn bytes_of<const N: usize>(text: &str) -> Result<[u8; N], IdentityKeyError> {
    let bytes = from_base64url(text).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or(IdentityKeyError::Form)
}

impl fmt::Display for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::P256(point) => write!(f, "{P256_PREFIX}{}", base64url(point.bytes())),
            Self::Ed25519(x) => write!(f, "{ED25519_PREFIX}{}", base64url(x.bytes())),
        }
    }
}

/// The form of a P-256 signature that the ledger takes: `s` in the lower half of the order. Key
/// stores give either.
#[must_use]
pub fn with_low_s(signature: &Signature) -> Signature {
    if is_low(signature) {
        return *signature;
    }
    let mut low = *signature;
    let mut borrow = false;
    let (_, s) = low.0.split_at_mut(32);
    for (byte, order) in s.iter_mut().zip(P256_ORDER).rev() {
        let (difference, under) = order.overflowing_sub(*byte);
        let (difference, under_again) = difference.overflowing_sub(u8::from(borrow));
        (*byte, borrow) = (difference, under || under_again);
    }
    low
}

fn is_low(signature: &Signature) -> bool {
    signature.bytes().get(32..).is_some_and(|s| s <= &P256_HALF_ORDER[..])
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
    };

    use super::*;

    fn p256() -> (EcdsaKeyPair, IdentityKey) {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let public = PublicKey::p256_from_point(pair.public_key().as_ref()).unwrap();
        let key = IdentityKey::from_public(&public).unwrap();
        (pair, key)
    }

    fn signed(pair: &EcdsaKeyPair, message: &[u8]) -> Signature {
        let signature = pair.sign(&SystemRandom::new(), message).unwrap();
        Fixed(signature.as_ref().try_into().unwrap())
    }

    #[test]
    fn a_p256_identity_verifies_what_its_private_half_signed_in_low_form_only() {
        let (pair, key) = p256();
        let mut high = None;
        for _ in 0..64 {
            let signature = signed(&pair, b"message");
            let low = with_low_s(&signature);
            assert!(key.verify(b"message", &low));
            assert!(!key.verify(b"massage", &low));
            if low != signature {
                high = Some(signature);
            }
        }
        let high = high.expect("one of 64 signatures lies in the upper half");
        assert!(!key.verify(b"message", &high));
        assert_eq!(with_low_s(&with_low_s(&high)), with_low_s(&high));
    }

    #[test]
    fn an_ed25519_identity_verifies() {
        let pair = Ed25519KeyPair::generate().unwrap();
        let public = PublicKey::ed25519(pair.public_key().as_ref().try_into().unwrap()).unwrap();
        let key = IdentityKey::from_public(&public).unwrap();
        let signature = Fixed(pair.sign(b"message").as_ref().try_into().unwrap());
        assert!(key.verify(b"message", &signature));
        assert!(!p256().1.verify(b"message", &signature));
        assert_eq!(IdentityKey::parse(&key.to_string()), Ok(key));
    }

    #[test]
    fn the_text_of_an_identity_has_one_form() {
        let (_, key) = p256();
        let text = key.to_string();
        assert_eq!(IdentityKey::parse(&text), Ok(key));
        let body = text.strip_prefix("p256:").unwrap();
        let others = [
            body.to_owned(),
            format!("P256:{body}"),
            format!("{text}="),
            format!("ed25519:{body}"),
        ];
        for other in others.iter().map(String::as_str).chain(["", "p256:", "p256:AA"]) {
            assert_eq!(IdentityKey::parse(other), Err(IdentityKeyError::Form), "{other}");
        }
        let off_curve =
            format!("p256:{}", base64url(&[[2; 1].as_slice(), &[0; 31], &[1]].concat()));
        let error = IdentityKeyError::Key(JwkError::OutOfRange);
        assert_eq!(IdentityKey::parse(&off_curve), Err(error));
    }
}
