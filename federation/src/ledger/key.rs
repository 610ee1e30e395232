//! Keys and signatures as the ledger holds them: at fixed width.

use serde::{Deserialize, Serialize};

use super::Fixed;
use crate::{
    jose::{Algorithm, JwkError, PublicKey},
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

impl IdentityKey {
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
