//! Which PKCS#11 mechanism makes and uses the keys of which JOSE algorithm, and with what
//! parameters.
//!
//! Hashing is done here and not in the device: `CKM_ECDSA_SHA256` is missing from devices that are
//! in use, and every algorithm but Ed25519 then has one form of input, a digest.

use cryptoki::{
    mechanism::{
        Mechanism, MechanismType,
        eddsa::{EddsaParams, EddsaSignatureScheme},
        rsa::{PkcsMgfType, PkcsPssParams},
    },
    object::{Attribute, ObjectHandle},
    session::Session,
};
use exequatur_federation::jose::Algorithm;

use super::device::{DeviceError, Input};

/// The named curve P-256 (RFC 5480 section 2.1.1.1), as DER.
const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// Ed25519 (RFC 8410 section 3), as DER.
const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
/// Ed25519 as older devices want it: the printable string `edwards25519`.
const ED25519_NAME: &[u8] = b"\x13\x0cedwards25519";
const RSA_BITS: u64 = 2_048;
const RSA_EXPONENT: [u8; 3] = [0x01, 0x00, 0x01];
/// What stands before a SHA-256 digest in an RSASSA-PKCS1-v1_5 signature (RFC 8017 section 9.2).
const SHA256_DIGEST_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];
/// Bytes of the salt of an RSASSA-PSS signature: those of the digest (RFC 7518 section 3.5).
const PSS_SALT_BYTES: u64 = 32;

/// Signs `input`, with the mechanism of the key's algorithm.
pub(super) fn sign(
    session: &Session,
    handle: ObjectHandle,
    algorithm: Algorithm,
    input: &Input,
) -> Result<Vec<u8>, DeviceError> {
    let signature = match (algorithm, input) {
        (Algorithm::Es256, Input::Digest(digest)) => {
            session.sign(&Mechanism::Ecdsa, handle, digest)
        }
        (Algorithm::Rs256, Input::Digest(digest)) => {
            let encoded = [SHA256_DIGEST_INFO.as_slice(), digest].concat();
            session.sign(&Mechanism::RsaPkcs, handle, &encoded)
        }
        (Algorithm::Ps256, Input::Digest(digest)) => {
            let parameters = PkcsPssParams {
                hash_alg: MechanismType::SHA256,
                mgf: PkcsMgfType::MGF1_SHA256,
                s_len: PSS_SALT_BYTES.into(),
            };
            session.sign(&Mechanism::RsaPkcsPss(parameters), handle, digest)
        }
        (Algorithm::EdDsa, Input::Message(message)) => {
            let pure = EddsaParams::new(EddsaSignatureScheme::Pure);
            session.sign(&Mechanism::Eddsa(pure), handle, message)
        }
        (Algorithm::EdDsa, Input::Digest(_)) | (_, Input::Message(_)) => {
            return Err(DeviceError::MechanismRefused("the input is of the wrong kind".to_owned()));
        }
    };
    Ok(signature?)
}

/// The mechanisms that keys of `algorithm` need: the one that makes them, the one that signs.
pub(super) const fn needed(algorithm: Algorithm) -> [MechanismType; 2] {
    match algorithm {
        Algorithm::EdDsa => [MechanismType::ECC_EDWARDS_KEY_PAIR_GEN, MechanismType::EDDSA],
        Algorithm::Es256 => [MechanismType::ECC_KEY_PAIR_GEN, MechanismType::ECDSA],
        Algorithm::Ps256 => [MechanismType::RSA_PKCS_KEY_PAIR_GEN, MechanismType::RSA_PKCS_PSS],
        Algorithm::Rs256 => [MechanismType::RSA_PKCS_KEY_PAIR_GEN, MechanismType::RSA_PKCS],
    }
}

/// The attributes with which a private or secret key is made.
pub(super) fn template_for_life(label: &str) -> Vec<Attribute> {
    vec![
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Label(label.into()),
    ]
}

/// Makes a key pair labelled `label`: the handles of its public and its private half.
pub(super) fn generate(
    session: &Session,
    label: &str,
    algorithm: Algorithm,
) -> Result<(ObjectHandle, ObjectHandle), DeviceError> {
    let mut private = template_for_life(label);
    private.push(Attribute::Sign(true));
    let pair = |mechanism: &Mechanism<'_>, parameters: &[Attribute]| {
        let mut public = vec![Attribute::Token(true), Attribute::Verify(true)];
        public.push(Attribute::Label(label.into()));
        public.extend_from_slice(parameters);
        session.generate_key_pair(mechanism, &public, &private)
    };
    let curve = |name: &[u8]| [Attribute::EcParams(name.into())];
    let made = match algorithm {
        Algorithm::Es256 => pair(&Mechanism::EccKeyPairGen, &curve(P256)),
        // A device that does not know the one name may know the other.
        Algorithm::EdDsa => pair(&Mechanism::EccEdwardsKeyPairGen, &curve(ED25519))
            .or_else(|_| pair(&Mechanism::EccEdwardsKeyPairGen, &curve(ED25519_NAME))),
        Algorithm::Ps256 | Algorithm::Rs256 => pair(
            &Mechanism::RsaPkcsKeyPairGen,
            &[
                Attribute::ModulusBits(RSA_BITS.into()),
                Attribute::PublicExponent(RSA_EXPONENT.into()),
            ],
        ),
    };
    Ok(made?)
}
