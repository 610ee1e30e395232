//! One trailer, sealed for one reader.
//!
//! ```text
//! version u8 | reader u16 | key u16 | AES-256-GCM(trailer, 128 bytes) | tag, 16 bytes
//! ```
//!
//! Each token has a key of its own, used once and so under the zero nonce: HKDF-SHA-256 (RFC 5869)
//! of the reader's key, with the token's `jti` as salt and its `iss` as info. The five bytes before
//! the ciphertext are authenticated. So a block opens in the token that it was made for, and in no
//! other.

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Salt},
};
use zeroize::Zeroizing;

use super::{
    OpenError, Trailer,
    trailer::{TRAILER_BYTES, number},
};
use crate::region::RegionNumber;

/// Bytes of a block: 199 characters of base64url.
pub const BLOCK_BYTES: usize = HEAD_BYTES + TRAILER_BYTES + TAG_BYTES;

const VERSION: u8 = 1;
const HEAD_BYTES: usize = 5;
const TAG_BYTES: usize = 16;

/// The number of a key among those of its purpose, counted from 1: the newest seals, all open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyVersion(u16);

/// A key that trailers are sealed under for one reader. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct ReaderKey(Zeroizing<[u8; 32]>);

/// The token that a trailer belongs to.
#[derive(Clone, Copy, Debug)]
pub struct TokenName<'a> {
    /// Its `iss`.
    pub issuer: &'a str,
    /// Its `jti`: no two tokens of an issuer have one.
    pub id: &'a str,
}

/// What stands before the ciphertext, in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// For whom; `None` for a region without a number, which is its own reader.
    pub(super) reader: Option<RegionNumber>,
    /// Under which of the reader's keys.
    pub(super) key: KeyVersion,
}

impl KeyVersion {
    /// The first.
    pub const FIRST: Self = Self(1);

    /// Takes a number; `None` for 0.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if number == 0 { None } else { Some(Self(number)) }
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for KeyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ReaderKey {
    /// Takes 32 secret bytes.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// Seals a trailer for one token. A second one under the same key for a token of the same name
    /// would betray both: names of tokens are random and never used again.
    ///
    /// `None` if the cryptographic library fails, which nothing that comes from outside brings about.
    pub(super) fn seal(
        &self,
        head: Head,
        token: TokenName<'_>,
        trailer: &Trailer,
    ) -> Option<[u8; BLOCK_BYTES]> {
        let head = head.to_bytes();
        let mut body = Zeroizing::new(trailer.to_bytes());
        let key = self.key_of(token)?;
        let tag = key.seal_in_place_separate_tag(nonce(), Aad::from(head), &mut *body).ok()?;
        let mut block = [0; BLOCK_BYTES];
        let parts = head.iter().chain(body.iter()).chain(tag.as_ref());
        for (to, byte) in block.iter_mut().zip(parts) {
            *to = *byte;
        }
        Some(block)
    }

    /// Opens the block of a token.
    pub(super) fn open(
        &self,
        token: TokenName<'_>,
        block: &[u8; BLOCK_BYTES],
    ) -> Result<Trailer, OpenError> {
        let (head, sealed) = block.split_first_chunk::<HEAD_BYTES>().ok_or(OpenError::Malformed)?;
        let key = self.key_of(token).ok_or(OpenError::Refused)?;
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let body = key
            .open_in_place(nonce(), Aad::from(head), &mut sealed)
            .map_err(|_| OpenError::Refused)?;
        let body = body.first_chunk().filter(|_| body.len() == TRAILER_BYTES);
        body.and_then(Trailer::from_bytes).ok_or(OpenError::Content)
    }

    fn key_of(&self, token: TokenName<'_>) -> Option<LessSafeKey> {
        let prk = Salt::new(HKDF_SHA256, token.id.as_bytes()).extract(&*self.0);
        let info = [token.issuer.as_bytes()];
        let key = prk.expand(&info, &AES_256_GCM).ok()?;
        Some(LessSafeKey::new(UnboundKey::from(key)))
    }
}

impl fmt::Debug for ReaderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReaderKey(redacted)")
    }
}

impl Head {
    fn to_bytes(self) -> [u8; HEAD_BYTES] {
        let ([r0, r1], [k0, k1]) = (number(self.reader), self.key.0.to_be_bytes());
        [VERSION, r0, r1, k0, k1]
    }

    /// Refuses what a later release sealed: its blocks may have another length.
    pub(super) const fn check_version(got: u8) -> Result<(), OpenError> {
        if got == VERSION { Ok(()) } else { Err(OpenError::Version { got }) }
    }

    /// Reads the head of a block.
    pub(super) fn of(block: &[u8; BLOCK_BYTES]) -> Result<Self, OpenError> {
        let [version, r0, r1, k0, k1, ..] = *block;
        Self::check_version(version)?;
        let key = KeyVersion::new(u16::from_be_bytes([k0, k1])).ok_or(OpenError::Malformed)?;
        Ok(Self { reader: RegionNumber::new(u16::from_be_bytes([r0, r1])), key })
    }
}

/// Each key seals one trailer, so its nonce need not differ from another's.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}
