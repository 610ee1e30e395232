//! The key of this node: it proves on each connection that the directory is where it was.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use exequatur_federation::{
    jose::PublicKey,
    ledger::{Fixed, IdentityKey, Signature, with_low_s},
};
use zeroize::Zeroizing;

/// A P-256 key pair in memory.
pub struct NodeKey {
    pair: EcdsaKeyPair,
    public: IdentityKey,
    random: SystemRandom,
}

impl NodeKey {
    /// Makes a key, and its PKCS#8 form (RFC 5958); `None` if the library failed.
    pub(super) fn generate() -> Option<(Self, Zeroizing<Vec<u8>>)> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).ok()?;
        let pkcs8 = Zeroizing::new(pair.to_pkcs8v1().ok()?.as_ref().to_vec());
        Some((Self::new(pair)?, pkcs8))
    }

    /// Reads a PKCS#8 form; `None` if it is none of a P-256 key.
    pub(super) fn from_pkcs8(pkcs8: &[u8]) -> Option<Self> {
        Self::new(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).ok()?)
    }

    fn new(pair: EcdsaKeyPair) -> Option<Self> {
        let public = PublicKey::p256_from_point(pair.public_key().as_ref()).ok()?;
        let public = IdentityKey::from_public(&public)?;
        Some(Self { pair, public, random: SystemRandom::new() })
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> IdentityKey {
        self.public
    }

    /// Signs, in the form that the ledger takes; `None` if the library failed.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Option<Signature> {
        let signature = self.pair.sign(&self.random, message).ok()?;
        let signature: [u8; 64] = signature.as_ref().try_into().ok()?;
        Some(with_low_s(&Fixed(signature)))
    }
}

impl std::fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("NodeKey").field(&self.public.to_string()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_written_and_read_signs_for_the_same_identity() {
        let (key, pkcs8) = NodeKey::generate().unwrap();
        let again = NodeKey::from_pkcs8(&pkcs8).unwrap();
        assert_eq!(again.public(), key.public());
        for _ in 0..16 {
            assert!(key.public().verify(b"message", &again.sign(b"message").unwrap()));
        }
        assert!(NodeKey::from_pkcs8(&pkcs8[1..]).is_none());
        assert!(!format!("{key:?}").contains("pair"));
    }
}
