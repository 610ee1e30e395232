//! The compact JWS (RFC 7515 section 7.1): reading one without trusting it, checking its
//! signature with a key that was chosen elsewhere, and laying out the text that a signer signs.

use std::fmt;

use serde_json::{Map, Value};

use super::{Algorithm, JsonError, PublicKey, base64url, from_base64url, parse_object, sha256};

/// Largest token that is read: real access tokens with many groups stay under 12 KiB.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// Longest `kid`: thumbprints have 43 characters, certificates' names rarely more than 200.
const KID_BYTES_MAX: usize = 256;

/// Why a text is not a JWS that is read here. No part of the token stands in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// `alg` is absent, no string, or no algorithm that is known here.
    #[error("the header's `alg` is not an asymmetric algorithm known here")]
    AlgorithmUnknown,
    /// A critical header member: none is understood, so each is refused (RFC 7515 section 4.1.11).
    #[error("the header has `crit`, and no critical extension is understood")]
    Critical,
    /// A part is not canonical base64url without padding.
    #[error("a part is not canonical base64url")]
    Encoding,
    /// Header or payload is not an acceptable JSON object.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The text has not exactly three parts.
    #[error("not three parts separated by dots")]
    Parts,
    /// The signature does not verify, or the key's algorithm is another than the header says.
    #[error("the signature does not verify under the issuer's key")]
    Signature,
    /// More than [`TOKEN_BYTES_MAX`] bytes.
    #[error("larger than {TOKEN_BYTES_MAX} bytes")]
    TooLarge,
    /// `kid` or `typ` is no string, or too long.
    #[error("the header's `kid` or `typ` is no text of acceptable length")]
    HeaderMember,
}

/// A JWS whose signature nobody has checked yet. Its members may steer a look-up (which issuer,
/// which key), never a decision.
#[derive(Clone)]
pub struct UnverifiedJws {
    text: String,
    signed_bytes: usize,
    algorithm: Algorithm,
    kid: Option<String>,
    typ: Option<String>,
    payload: Map<String, Value>,
    signature: Vec<u8>,
}

impl UnverifiedJws {
    /// Reads a compact JWS.
    ///
    /// # Errors
    /// See [`JwsError`]; [`JwsError::Signature`] is not among them.
    pub fn parse(text: &str) -> Result<Self, JwsError> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(JwsError::TooLarge);
        }
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(JwsError::Parts);
        };
        let bytes = |part| from_base64url(part).ok_or(JwsError::Encoding);
        let header_object = parse_object(&bytes(header)?)?;
        if header_object.contains_key("crit") || header_object.contains_key("b64") {
            return Err(JwsError::Critical);
        }
        let algorithm = header_object
            .get("alg")
            .and_then(Value::as_str)
            .and_then(Algorithm::from_name)
            .ok_or(JwsError::AlgorithmUnknown)?;
        Ok(Self {
            signed_bytes: header.len() + 1 + payload.len(),
            algorithm,
            kid: header_text(&header_object, "kid")?,
            typ: header_text(&header_object, "typ")?,
            payload: parse_object(&bytes(payload)?)?,
            signature: bytes(signature)?,
            text: text.to_owned(),
        })
    }

    /// The payload as sent. Not yet trustworthy.
    #[must_use]
    pub const fn payload(&self) -> &Map<String, Value> {
        &self.payload
    }

    /// The payload's `iss`, for finding out whose keys to fetch. Not yet trustworthy.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.payload.get("iss").and_then(Value::as_str)
    }

    /// The header's `kid`. Not trustworthy: it only selects among one issuer's keys.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The header's `typ`.
    #[must_use]
    pub fn typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }

    /// The header's `typ` in the one form that is compared: lower-case and without `application/`,
    /// which may be left out (RFC 7515 section 4.1.9).
    #[must_use]
    pub fn short_typ(&self) -> Option<String> {
        let typ = self.typ.as_ref()?.to_ascii_lowercase();
        Some(typ.strip_prefix("application/").map_or_else(|| typ.clone(), str::to_owned))
    }

    /// The algorithm that the header claims. The key decides whether it is believed.
    #[must_use]
    pub const fn claimed_algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// SHA-256 of the whole token text. As only canonical text is read, one token has one digest.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        sha256(self.text.as_bytes())
    }

    /// Checks the signature with `key` under `algorithm`, the algorithm that belongs to the key.
    ///
    /// # Errors
    /// [`JwsError::Signature`] if the header names another algorithm or the check fails.
    pub fn verify(&self, key: &PublicKey, algorithm: Algorithm) -> Result<(), JwsError> {
        let signed = self.text.get(..self.signed_bytes).ok_or(JwsError::Signature)?;
        if self.algorithm == algorithm && key.verify(algorithm, signed.as_bytes(), &self.signature)
        {
            Ok(())
        } else {
            Err(JwsError::Signature)
        }
    }

    /// Gives the payload away.
    #[must_use]
    pub fn into_payload(self) -> Map<String, Value> {
        self.payload
    }
}

impl fmt::Debug for UnverifiedJws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedJws").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

fn header_text(header: &Map<String, Value>, name: &str) -> Result<Option<String>, JwsError> {
    match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if text.len() <= KID_BYTES_MAX => Ok(Some(text.clone())),
        Some(_) => Err(JwsError::HeaderMember),
    }
}

/// `base64url(header) . base64url(payload)`: what a signer signs (RFC 7515 section 5.1).
#[derive(Clone, PartialEq, Eq)]
pub struct SigningInput(String);

impl SigningInput {
    /// Lays out header and payload. `typ` and `kid` are fixed texts of ours.
    ///
    /// # Errors
    /// The payload cannot be written as JSON.
    pub fn new<T: serde::Serialize>(
        algorithm: Algorithm,
        typ: &str,
        kid: &super::KeyId,
        payload: &T,
    ) -> Result<Self, serde_json::Error> {
        #[derive(serde::Serialize)]
        struct Header<'a> {
            alg: Algorithm,
            typ: &'a str,
            kid: &'a str,
        }
        let header = serde_json::to_vec(&Header { alg: algorithm, typ, kid: kid.as_str() })?;
        let payload = serde_json::to_vec(payload)?;
        Ok(Self(format!("{}.{}", base64url(&header), base64url(&payload))))
    }

    /// The bytes to sign.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// SHA-256 of the bytes to sign: what an audit record holds instead of the token.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        sha256(self.as_bytes())
    }

    /// The finished token, given the signature over [`Self::as_bytes`].
    #[must_use]
    pub fn with_signature(&self, signature: &[u8]) -> SignedToken {
        SignedToken(format!("{}.{}", self.0, base64url(signature)))
    }
}

/// A signed token, ready to be sent to whom it was issued. Its text appears in no log.
#[derive(Clone)]
pub struct SignedToken(String);

impl SignedToken {
    /// The compact serialisation.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SigningInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningInput(redacted)")
    }
}

impl fmt::Debug for SignedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignedToken(redacted)")
    }
}
