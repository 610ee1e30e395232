//! Public keys as JWK (RFC 7517), their thumbprints (RFC 7638), and sets of them.
//!
//! A set that is fetched from a global issuer is untrusted text: keys of no use here are skipped,
//! a key that must never stand there (a private part, a symmetric key, a point off its curve, two
//! keys under one id) spoils the whole set, so that the caller keeps the set it had.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rsa::PublicKeyComponents,
    signature::{
        ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
        RSA_PSS_2048_8192_SHA256,
    },
};
use curve25519_dalek::edwards::CompressedEdwardsY;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Algorithm, JsonError, base64url, from_base64url, parse_object, sha256};

/// Most keys in one set: providers publish two to ten.
pub const JWK_SET_KEYS_MAX: usize = 100;
/// Smallest and largest RSA modulus in bytes (2048 and 4096 bits; verifying a larger one is slow).
const RSA_MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=512;
/// Members that only a private or symmetric key has (RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A key id: for our own keys the RFC 7638 SHA-256 thumbprint, in base64url.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct KeyId(Arc<str>);

impl KeyId {
    /// Takes the text of a `kid`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A public key that was checked when it was read: on its curve, or of acceptable size.
#[derive(Clone)]
pub struct PublicKey(Arc<Material>);

enum Material {
    Ed25519 { x: [u8; 32], parsed: ParsedPublicKey },
    P256 { x: [u8; 32], y: [u8; 32], parsed: ParsedPublicKey },
    Rsa { n: Vec<u8>, e: Vec<u8>, pkcs1: ParsedPublicKey, pss: ParsedPublicKey },
}

/// Why a key is not one that verifies here. Both kinds name the reason, none the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// A member is missing, of the wrong type or length, or not base64url.
    #[error("a member of the key is missing or malformed")]
    Malformed,
    /// The point is not on its curve, or the RSA key is of unacceptable size or form.
    #[error("the key is off its curve, or an RSA key outside 2048 to 4096 bits")]
    OutOfRange,
    /// The key has a private member or is symmetric.
    #[error("the key is symmetric or has a private part")]
    Private,
    /// `kty`, `crv`, `use`, `key_ops` or `alg` say that the key is not for our algorithms.
    #[error("the key is not for verifying signatures of a known algorithm")]
    Unusable,
}

impl PublicKey {
    /// A P-256 key from its affine coordinates.
    ///
    /// # Errors
    /// [`JwkError::OutOfRange`] if the point is not on the curve.
    pub fn p256(x: [u8; 32], y: [u8; 32]) -> Result<Self, JwkError> {
        let mut point = vec![0x04];
        point.extend_from_slice(&x);
        point.extend_from_slice(&y);
        let parsed = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            .map_err(|_| JwkError::OutOfRange)?;
        Ok(Self(Arc::new(Material::P256 { x, y, parsed })))
    }

    /// A P-256 key from its point, uncompressed (`04 || x || y`) or compressed (`02 || x` or
    /// `03 || x`, SEC 1 section 2.3.3).
    ///
    /// # Errors
    /// The text has another form, or the point is not on the curve.
    pub fn p256_from_point(point: &[u8]) -> Result<Self, JwkError> {
        if let (Some(&[0x02 | 0x03]), 33) = (point.first_chunk(), point.len()) {
            return Self::p256_from_point(&uncompressed(point)?);
        }
        let (Some(&[0x04]), Some(x), Some(y), 65) =
            (point.first_chunk(), point.get(1..33), point.get(33..), point.len())
        else {
            return Err(JwkError::Malformed);
        };
        Self::p256(coordinate(x)?, coordinate(y)?)
    }

    /// The compressed point of a P-256 key; `None` for a key of another type.
    #[must_use]
    pub fn p256_compressed(&self) -> Option<[u8; 33]> {
        let Material::P256 { x, y, .. } = &*self.0 else { return None };
        let mut point = [0x02; 33];
        let (sign, rest) = point.split_first_mut()?;
        *sign |= y.last()? & 1;
        rest.copy_from_slice(x);
        Some(point)
    }

    /// The bytes of an Ed25519 key; `None` for a key of another type.
    #[must_use]
    pub fn ed25519_bytes(&self) -> Option<[u8; 32]> {
        let Material::Ed25519 { x, .. } = &*self.0 else { return None };
        Some(*x)
    }

    /// Modulus and exponent of an RSA key, big-endian; `None` for a key of another type.
    #[must_use]
    pub fn rsa_components(&self) -> Option<(&[u8], &[u8])> {
        let Material::Rsa { n, e, .. } = &*self.0 else { return None };
        Some((n, e))
    }

    /// An Ed25519 key from its 32 bytes (RFC 8032 section 5.1.5).
    ///
    /// # Errors
    /// [`JwkError::OutOfRange`] if the bytes are no point, not its canonical form, or a point of
    /// small order.
    pub fn ed25519(x: [u8; 32]) -> Result<Self, JwkError> {
        // aws-lc-rs takes any 32 bytes. A key of small order would verify signatures that anybody
        // can make, and a second spelling of a key would have a second thumbprint.
        let point = CompressedEdwardsY(x).decompress().ok_or(JwkError::OutOfRange)?;
        if point.is_small_order() || point.compress().to_bytes() != x {
            return Err(JwkError::OutOfRange);
        }
        let parsed = ParsedPublicKey::new(&ED25519, x).map_err(|_| JwkError::OutOfRange)?;
        Ok(Self(Arc::new(Material::Ed25519 { x, parsed })))
    }

    /// An RSA key from its big-endian modulus and exponent, without leading zeros.
    ///
    /// # Errors
    /// The modulus has fewer than 2048 or more than 4096 bits, or the exponent is even or 1.
    pub fn rsa(n: &[u8], e: &[u8]) -> Result<Self, JwkError> {
        let minimal = |bytes: &[u8]| bytes.first().is_some_and(|b| *b != 0);
        let odd = |bytes: &[u8]| bytes.last().is_some_and(|b| b % 2 == 1);
        let exponent_fits = e.len() <= 4 && e != [1];
        let sized = RSA_MODULUS_BYTES.contains(&n.len());
        if !(minimal(n) && odd(n) && sized && minimal(e) && odd(e) && exponent_fits) {
            return Err(JwkError::OutOfRange);
        }
        let components = PublicKeyComponents { n, e };
        let parsed = |p| components.to_parsed_public_key(p).map_err(|_| JwkError::OutOfRange);
        let pkcs1 = parsed(&RSA_PKCS1_2048_8192_SHA256)?;
        let pss = parsed(&RSA_PSS_2048_8192_SHA256)?;
        Ok(Self(Arc::new(Material::Rsa { n: n.to_vec(), e: e.to_vec(), pkcs1, pss })))
    }

    /// Reads the public members of a JWK.
    ///
    /// # Errors
    /// See [`JwkError`].
    pub fn from_jwk(jwk: &Map<String, Value>) -> Result<Self, JwkError> {
        let text = |name| jwk.get(name).and_then(Value::as_str);
        let kty = text("kty").ok_or(JwkError::Malformed)?;
        if kty == "oct" || PRIVATE_MEMBERS.iter().any(|m| jwk.contains_key(*m)) {
            return Err(JwkError::Private);
        }
        let bytes = |name| text(name).and_then(from_base64url).ok_or(JwkError::Malformed);
        match (kty, text("crv")) {
            ("RSA", _) => Self::rsa(&bytes("n")?, &bytes("e")?),
            ("EC", Some("P-256")) => {
                Self::p256(coordinate(&bytes("x")?)?, coordinate(&bytes("y")?)?)
            }
            ("OKP", Some("Ed25519")) => Self::ed25519(coordinate(&bytes("x")?)?),
            _ => Err(JwkError::Unusable),
        }
    }

    /// The algorithms that a key of this type can verify.
    #[must_use]
    pub fn algorithms(&self) -> &'static [Algorithm] {
        match *self.0 {
            Material::Ed25519 { .. } => &[Algorithm::EdDsa],
            Material::P256 { .. } => &[Algorithm::Es256],
            Material::Rsa { .. } => &[Algorithm::Ps256, Algorithm::Rs256],
        }
    }

    /// Whether `signature` over `message` verifies. ECDSA signatures are `r || s` (RFC 7518
    /// section 3.4).
    #[must_use]
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let ((Material::Ed25519 { parsed, .. }, Algorithm::EdDsa)
        | (Material::P256 { parsed, .. }, Algorithm::Es256)
        | (Material::Rsa { pss: parsed, .. }, Algorithm::Ps256)
        | (Material::Rsa { pkcs1: parsed, .. }, Algorithm::Rs256)) = (&*self.0, algorithm)
        else {
            return false;
        };
        parsed.verify_sig(message, signature).is_ok()
    }

    /// The RFC 7638 SHA-256 thumbprint in base64url.
    #[must_use]
    pub fn thumbprint(&self) -> KeyId {
        // RFC 7638 section 3.2: required members only, in lexicographic order, no white space.
        let canonical = match &*self.0 {
            Material::Ed25519 { x, .. } => {
                format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, base64url(x))
            }
            Material::P256 { x, y, .. } => format!(
                r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#,
                base64url(x),
                base64url(y)
            ),
            Material::Rsa { n, e, .. } => {
                format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, base64url(e), base64url(n))
            }
        };
        KeyId::new(&base64url(&sha256(canonical.as_bytes())))
    }

    /// The public JWK that is published for `algorithm`, with `kid`, `alg` and `use`.
    #[must_use]
    pub fn to_jwk(&self, algorithm: Algorithm) -> Value {
        let mut jwk = match &*self.0 {
            Material::Ed25519 { x, .. } => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(x)})
            }
            Material::P256 { x, y, .. } => {
                json!({"kty": "EC", "crv": "P-256", "x": base64url(x), "y": base64url(y)})
            }
            Material::Rsa { n, e, .. } => {
                json!({"kty": "RSA", "n": base64url(n), "e": base64url(e)})
            }
        };
        if let Some(members) = jwk.as_object_mut() {
            members.insert("kid".to_owned(), json!(self.thumbprint()));
            members.insert("alg".to_owned(), json!(algorithm));
            members.insert("use".to_owned(), json!("sig"));
        }
        jwk
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PublicKey").field(&self.thumbprint()).finish()
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        match (&*self.0, &*other.0) {
            (Material::Ed25519 { x: a, .. }, Material::Ed25519 { x: b, .. }) => a == b,
            (Material::P256 { x: a, y: c, .. }, Material::P256 { x: b, y: d, .. }) => {
                a == b && c == d
            }
            (Material::Rsa { n: a, e: c, .. }, Material::Rsa { n: b, e: d, .. }) => {
                a == b && c == d
            }
            _ => false,
        }
    }
}

impl Eq for PublicKey {}

/// The uncompressed form of a compressed P-256 point.
fn uncompressed(point: &[u8]) -> Result<Vec<u8>, JwkError> {
    let parsed = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    let parsed = parsed.map_err(|_| JwkError::OutOfRange)?;
    // The library writes no bare point of a parsed key; the point ends its SubjectPublicKeyInfo
    // (RFC 5480 section 2).
    let der: PublicKeyX509Der<'_> = parsed.as_der().map_err(|_| JwkError::OutOfRange)?;
    let (_, point) = der.as_ref().split_last_chunk::<65>().ok_or(JwkError::Malformed)?;
    Ok(point.to_vec())
}

fn coordinate(bytes: &[u8]) -> Result<[u8; 32], JwkError> {
    bytes.try_into().map_err(|_| JwkError::Malformed)
}

/// One signing key of a set: its id there, its own algorithm if the set names one, the key.
#[derive(Clone, Debug)]
pub struct Jwk {
    /// The `kid` under which the issuer publishes it.
    pub kid: Option<String>,
    /// The algorithm that the issuer declares for it (`alg`).
    pub declared: Option<Algorithm>,
    /// The key.
    pub key: PublicKey,
}

impl Jwk {
    /// The one algorithm under which this key verifies, or `None` if the allow-list has none:
    /// the declared one, else the first of the allow-list that fits the key's type.
    #[must_use]
    pub fn algorithm(&self, allowed: &[Algorithm]) -> Option<Algorithm> {
        match self.declared {
            Some(declared) => allowed.contains(&declared).then_some(declared),
            None => allowed.iter().copied().find(|a| self.key.algorithms().contains(a)),
        }
    }
}

/// The signing keys of one issuer.
#[derive(Clone, Debug, Default)]
pub struct JwkSet {
    keys: Vec<Jwk>,
}

/// Why a whole set was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwkSetError {
    /// Two signing keys stand under one `kid`.
    #[error("two signing keys share one `kid`")]
    DuplicateKid,
    /// The text is no acceptable JSON object, or `keys` is no array of objects.
    #[error("not a JWK set: {0}")]
    Malformed(String),
    /// A key of the set spoils it.
    #[error("key {index} of the set: {cause}")]
    Poisoned {
        /// Position in `keys`, from 0.
        index: usize,
        /// What is wrong with it.
        cause: JwkError,
    },
    /// More than [`JWK_SET_KEYS_MAX`] keys.
    #[error("more than {JWK_SET_KEYS_MAX} keys")]
    TooLarge,
}

impl From<JsonError> for JwkSetError {
    fn from(error: JsonError) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl JwkSet {
    /// Reads a JWK set (RFC 7517 section 5), keeping the keys that can verify signatures here.
    ///
    /// # Errors
    /// See [`JwkSetError`]; the set is then unusable as a whole.
    pub fn parse(bytes: &[u8]) -> Result<Self, JwkSetError> {
        let object = parse_object(bytes)?;
        let Some(Value::Array(entries)) = object.get("keys") else {
            return Err(JwkSetError::Malformed("`keys` is no array".to_owned()));
        };
        if entries.len() > JWK_SET_KEYS_MAX {
            return Err(JwkSetError::TooLarge);
        }
        let mut set = Self::default();
        for (index, entry) in entries.iter().enumerate() {
            let Value::Object(jwk) = entry else {
                return Err(JwkSetError::Malformed("`keys` holds something else".to_owned()));
            };
            match read_entry(jwk) {
                Ok(key) => set.add(key)?,
                Err(JwkError::Unusable) => {}
                Err(cause) => return Err(JwkSetError::Poisoned { index, cause }),
            }
        }
        Ok(set)
    }

    /// A set of given keys, each under its thumbprint.
    #[must_use]
    pub fn from_keys(keys: impl IntoIterator<Item = (Algorithm, PublicKey)>) -> Self {
        let jwk = |(algorithm, key): (Algorithm, PublicKey)| Jwk {
            kid: Some(key.thumbprint().as_str().to_owned()),
            declared: Some(algorithm),
            key,
        };
        Self { keys: keys.into_iter().map(jwk).collect() }
    }

    /// The key that a token with this `kid` names; without a `kid`, the only key of the set.
    #[must_use]
    pub fn select(&self, kid: Option<&str>) -> Option<&Jwk> {
        match (kid, self.keys.as_slice()) {
            (Some(kid), keys) => keys.iter().find(|k| k.kid.as_deref() == Some(kid)),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }

    /// The keys, in the set's order.
    #[must_use]
    pub fn keys(&self) -> &[Jwk] {
        &self.keys
    }

    fn add(&mut self, key: Jwk) -> Result<(), JwkSetError> {
        if key.kid.is_some() && self.keys.iter().any(|k| k.kid == key.kid) {
            return Err(JwkSetError::DuplicateKid);
        }
        self.keys.push(key);
        Ok(())
    }
}

fn read_entry(jwk: &Map<String, Value>) -> Result<Jwk, JwkError> {
    let text = |name| jwk.get(name).and_then(Value::as_str);
    // A key for encryption may be of any type, but a secret part spoils the set whatever it is for.
    if text("kty") == Some("oct") || PRIVATE_MEMBERS.iter().any(|m| jwk.contains_key(*m)) {
        return Err(JwkError::Private);
    }
    if jwk.get("use").is_some_and(|u| u != "sig") {
        return Err(JwkError::Unusable);
    }
    if let Some(operations) = jwk.get("key_ops") {
        let verifies = |ops: &Vec<Value>| ops.iter().any(|op| op == "verify");
        if !operations.as_array().is_some_and(verifies) {
            return Err(JwkError::Unusable);
        }
    }
    let declared = match jwk.get("alg") {
        None => None,
        Some(alg) => Some(alg.as_str().and_then(Algorithm::from_name).ok_or(JwkError::Unusable)?),
    };
    let key = PublicKey::from_jwk(jwk)?;
    if declared.is_some_and(|alg| !key.algorithms().contains(&alg)) {
        return Err(JwkError::Malformed);
    }
    Ok(Jwk { kid: text("kid").map(str::to_owned), declared, key })
}
