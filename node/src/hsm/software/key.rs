//! A private key in memory: made, encoded and used by aws-lc-rs.

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
        RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
    },
};
use exequatur_federation::jose::{Algorithm, PublicKey};
use zeroize::Zeroizing;

/// Around the 256 bytes of the modulus in the PKCS#1 form of a 2048-bit public key with exponent
/// 65537 (RFC 8017 appendix A.1.1): two DER headers and a zero before it, the exponent after it.
const RSA_2048_PREFIX: [u8; 9] = [0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00];
const RSA_2048_SUFFIX: [u8; 5] = [0x02, 0x03, 0x01, 0x00, 0x01];
const RSA_EXPONENT: [u8; 3] = [0x01, 0x00, 0x01];

/// A private key and the one algorithm that it is used with.
pub(super) struct PrivateKey {
    algorithm: Algorithm,
    pair: Pair,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
}

impl PrivateKey {
    /// Makes a key; `None` if the library failed.
    pub(super) fn generate(algorithm: Algorithm) -> Option<Self> {
        let pair = match algorithm {
            Algorithm::EdDsa => Pair::Ed25519(Ed25519KeyPair::generate().ok()?),
            Algorithm::Es256 => {
                Pair::Ecdsa(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).ok()?)
            }
            Algorithm::Ps256 => rsa(RsaKeyPair::generate(KeySize::Rsa2048).ok()?, &RSA_PSS_SHA256),
            Algorithm::Rs256 => {
                rsa(RsaKeyPair::generate(KeySize::Rsa2048).ok()?, &RSA_PKCS1_SHA256)
            }
        };
        Some(Self { algorithm, pair })
    }

    /// Reads what [`Self::to_pkcs8`] wrote; `None` if it is no such key.
    pub(super) fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Option<Self> {
        let pair = match algorithm {
            Algorithm::EdDsa => {
                Pair::Ed25519(Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).ok()?)
            }
            Algorithm::Es256 => {
                let made = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8);
                Pair::Ecdsa(made.ok()?)
            }
            Algorithm::Ps256 => rsa(RsaKeyPair::from_pkcs8(pkcs8).ok()?, &RSA_PSS_SHA256),
            Algorithm::Rs256 => rsa(RsaKeyPair::from_pkcs8(pkcs8).ok()?, &RSA_PKCS1_SHA256),
        };
        Some(Self { algorithm, pair })
    }

    /// The key as PKCS#8 (RFC 5958).
    pub(super) fn to_pkcs8(&self) -> Option<Zeroizing<Vec<u8>>> {
        let bytes = match &self.pair {
            Pair::Ecdsa(pair) => pair.to_pkcs8v1().ok()?.as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.to_pkcs8v1().ok()?.as_ref().to_vec(),
            Pair::Rsa(pair, _) => {
                let der: Pkcs8V1Der<'static> = pair.as_der().ok()?;
                der.as_ref().to_vec()
            }
        };
        Some(Zeroizing::new(bytes))
    }

    /// The algorithm that the key signs with.
    pub(super) const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public half; `None` if it is of a kind that does not verify here.
    pub(super) fn public_key(&self) -> Option<PublicKey> {
        match &self.pair {
            Pair::Ecdsa(pair) => PublicKey::p256_from_point(pair.public_key().as_ref()).ok(),
            Pair::Ed25519(pair) => {
                PublicKey::ed25519(pair.public_key().as_ref().try_into().ok()?).ok()
            }
            Pair::Rsa(pair, _) => {
                let modulus = pair
                    .public_key()
                    .as_ref()
                    .strip_prefix(&RSA_2048_PREFIX)?
                    .strip_suffix(&RSA_2048_SUFFIX)?;
                PublicKey::rsa(modulus, &RSA_EXPONENT).ok()
            }
        }
    }

    /// Signs, in the form that JOSE wants; `None` if the library failed.
    pub(super) fn sign(&self, random: &SystemRandom, message: &[u8]) -> Option<Vec<u8>> {
        match &self.pair {
            Pair::Ecdsa(pair) => Some(pair.sign(random, message).ok()?.as_ref().to_vec()),
            Pair::Ed25519(pair) => Some(pair.try_sign(message).ok()?.as_ref().to_vec()),
            Pair::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, random, message, &mut signature).ok()?;
                Some(signature)
            }
        }
    }
}

fn rsa(pair: RsaKeyPair, encoding: &'static dyn RsaEncoding) -> Pair {
    Pair::Rsa(pair, encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_every_algorithm_is_the_same_key_after_writing_and_reading() {
        let random = SystemRandom::new();
        for algorithm in Algorithm::ALL {
            let key = PrivateKey::generate(algorithm).unwrap();
            let again = PrivateKey::from_pkcs8(algorithm, &key.to_pkcs8().unwrap()).unwrap();
            let public = key.public_key().unwrap();
            assert_eq!(again.public_key().unwrap(), public);
            let signature = again.sign(&random, b"message").unwrap();
            assert!(public.verify(algorithm, b"message", &signature), "{algorithm:?}");
            assert!(!public.verify(algorithm, b"massage", &signature), "{algorithm:?}");
        }
    }

    #[test]
    fn a_key_of_one_kind_is_not_read_as_another() {
        let key = PrivateKey::generate(Algorithm::Es256).unwrap().to_pkcs8().unwrap();
        for algorithm in [Algorithm::EdDsa, Algorithm::Ps256, Algorithm::Rs256] {
            assert!(PrivateKey::from_pkcs8(algorithm, &key).is_none(), "{algorithm:?}");
        }
        assert!(PrivateKey::from_pkcs8(Algorithm::Es256, b"").is_none());
    }
}
