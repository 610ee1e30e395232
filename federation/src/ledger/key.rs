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

/// 65537, the only exponent that the ledger's RSA keys have.
const RSA_EXPONENT: [u8; 3] = [1, 0, 1];

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
    /// It has the form, but the bytes are no key.
    #[error("its bytes are no point of the curve")]
    Point,
}

const P256_PREFIX: &str = "p256:";
const ED25519_PREFIX: &str = "ed25519:";

impl LedgerKey {
    /// The key as the ledger holds it; `None` for an RSA key of another size than 2048 or 3072 bits,
    /// or with another exponent than 65537.
    #[must_use]
    pub fn from_public(key: &PublicKey) -> Option<Self> {
        match IdentityKey::from_public(key) {
            Some(IdentityKey::P256(point)) => Some(Self::P256(point)),
            Some(IdentityKey::Ed25519(x)) => Some(Self::Ed25519(x)),
            None => {
                let (n, e) = key.rsa_components()?;
                if e != RSA_EXPONENT {
                    return None;
                }
                let rsa2048 = n.try_into().ok().map(|n| Self::Rsa2048(Box::new(Fixed(n))));
                rsa2048.or_else(|| n.try_into().ok().map(|n| Self::Rsa3072(Box::new(Fixed(n)))))
            }
        }
    }

    /// The key in the form that verifies tokens.
    ///
    /// # Errors
    /// The bytes are no point of the curve, or no modulus of that size.
    pub fn to_public(&self) -> Result<PublicKey, JwkError> {
        match self {
            Self::P256(point) => PublicKey::p256_from_point(point.bytes()),
            Self::Ed25519(x) => PublicKey::ed25519(*x.bytes()),
            Self::Rsa2048(modulus) => PublicKey::rsa(modulus.bytes(), &RSA_EXPONENT),
            Self::Rsa3072(modulus) => PublicKey::rsa(modulus.bytes(), &RSA_EXPONENT),
        }
    }

    /// Whether `signature` is this key's over `message`, by the strict rules of
    /// [`IdentityKey::verify`]. An RSA key signs nothing that the ledger holds.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        match self {
            Self::P256(point) => IdentityKey::P256(*point).verify(message, signature),
            Self::Ed25519(x) => IdentityKey::Ed25519(*x).verify(message, signature),
            Self::Rsa2048(_) | Self::Rsa3072(_) => false,
        }
    }
}

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
        key.to_public().map_err(|_| IdentityKeyError::Point)?;
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
        signature::{
            ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
            KeyPair as _, UnparsedPublicKey,
        },
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
        assert_eq!(IdentityKey::parse(&off_curve), Err(IdentityKeyError::Point));
    }

    fn compressed(point: &[u8]) -> Fixed<33> {
        let mut bytes = [0; 33];
        bytes.copy_from_slice(&point[..33]);
        bytes[0] = 0x02 | (point[64] & 1);
        Fixed(bytes)
    }

    #[test]
    fn of_the_two_forms_of_a_real_signature_only_the_low_one_is_taken() {
        let random = SystemRandom::new();
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
        let point = pair.public_key().as_ref();
        let key = IdentityKey::P256(compressed(point));
        let other = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        let (mut highs, mut lows) = (0, 0);
        for n in 0_u32..64 {
            let message = n.to_be_bytes();
            let made: [u8; 64] = pair.sign(&random, &message).unwrap().as_ref().try_into().unwrap();
            let made = Fixed(made);
            let low = with_low_s(&made);
            // s and n - s are the two; negating the low one again gives the high one.
            let high = if low == made { negated(&low) } else { made };
            if low == made {
                lows += 1;
            } else {
                highs += 1;
            }
            assert!(is_low(&low) && !is_low(&high));
            assert_eq!(with_low_s(&high), low);
            assert_eq!(with_low_s(&low), low);
            for signature in [low, high] {
                other.verify(&message, signature.bytes()).unwrap();
            }
            assert!(key.verify(&message, &low));
            assert!(!key.verify(&message, &high));
            assert!(!key.verify(b"another", &low));
        }
        assert!(highs > 0 && lows > 0, "the library gives both");
    }

    fn negated(signature: &Signature) -> Signature {
        let mut bytes = *signature.bytes();
        let mut borrow = 0_i16;
        for at in (32..64).rev() {
            let difference = i16::from(P256_ORDER[at - 32]) - i16::from(bytes[at]) - borrow;
            borrow = i16::from(difference < 0);
            bytes[at] = u8::try_from(difference.rem_euclid(256)).unwrap();
        }
        Fixed(bytes)
    }

    #[test]
    fn the_half_of_the_order_is_low_and_one_more_is_not() {
        let with_s = |s: &[u8; 32]| {
            let mut bytes = [1; 64];
            bytes[32..].copy_from_slice(s);
            Fixed(bytes)
        };
        assert!(is_low(&with_s(&P256_HALF_ORDER)));
        let mut above = P256_HALF_ORDER;
        above[31] += 1;
        assert!(!is_low(&with_s(&above)));
        // n = 2 * half + 1: the one above is the negative of the half.
        assert_eq!(with_low_s(&with_s(&above)), with_s(&P256_HALF_ORDER));
    }

    #[test]
    fn a_key_of_the_ledger_is_the_key_that_verifies() {
        let modulus = |bytes: usize| {
            let mut modulus = vec![0xa5; bytes];
            modulus[bytes - 1] |= 1;
            modulus
        };
        let key = LedgerKey::Rsa2048(Box::new(Fixed(modulus(256).try_into().unwrap())));
        assert_eq!(key.to_public().unwrap(), PublicKey::rsa(&modulus(256), &RSA_EXPONENT).unwrap());
        let key = LedgerKey::Rsa3072(Box::new(Fixed(modulus(384).try_into().unwrap())));
        assert_eq!(key.to_public().unwrap(), PublicKey::rsa(&modulus(384), &RSA_EXPONENT).unwrap());
        assert!(!key.verify(b"", &Fixed([0; 64])));
        // The modulus without its leading bit is one of a smaller key.
        let short = LedgerKey::Rsa2048(Box::new(Fixed([0; 256])));
        assert_eq!(short.to_public(), Err(JwkError::OutOfRange));
        assert!(LedgerKey::Ed25519(Fixed([0; 32])).to_public().is_err());
        assert!(IdentityKey::P256(Fixed([0; 33])).to_public().is_err());
    }
}
