//! The file of the software key store: private keys and secrets, sealed under a passphrase.
//!
//! ```text
//! "EXQKEYS" version(1) salt(32) AES-256-GCM(JSON) tag(16)
//! ```
//!
//! The passphrase is 256 random bits, so one HKDF-SHA-256 (RFC 5869) makes the key; a slow key
//! derivation would protect nothing more. Every write draws a new salt and so has a key of its
//! own, used once, under the zero nonce. The header and the region's name are authenticated, so
//! that neither an older header nor another region's file passes for this one.

use std::path::{Path, PathBuf};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Salt},
};
use exequatur_federation::{
    jose::{Algorithm, base64url},
    region::RegionId,
};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::super::{
    KeyStoreError, PrivateFileError, Purpose,
    private_file::{self, Replacement},
};
use crate::entropy::{Entropy, draw};

/// Fewest bytes of a passphrase: 256 random bits fill 32 bytes, more as text.
const PASSPHRASE_BYTES_MIN: usize = 32;
/// Most bytes of a passphrase file: far more than any encoding of 256 bits.
const PASSPHRASE_BYTES_MAX: usize = 1_024;
/// Most bytes of a key file: an RSA key takes 1.7 KiB, so this is some 150 of the largest keys.
const FILE_BYTES_MAX: usize = 256 * 1_024;

const MAGIC: &[u8; 7] = b"EXQKEYS";
const VERSION: u8 = 1;
const SALT_BYTES: usize = 32;
const HEADER_BYTES: usize = MAGIC.len() + 1 + SALT_BYTES;
const KEY_INFO: &[u8] = b"exequatur software key store";

/// Where the file and its passphrase are, and for whom it is sealed.
#[derive(Clone, Debug)]
pub(super) struct SealedFile {
    pub(super) path: PathBuf,
    pub(super) passphrase_path: PathBuf,
    pub(super) region: RegionId,
}

/// What is sealed.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Content {
    pub(super) keys: Vec<StoredKey>,
    pub(super) secrets: Vec<StoredSecret>,
}

/// A private key: PKCS#8 (RFC 5958) in base64url.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredKey {
    #[zeroize(skip)]
    pub(super) purpose: Purpose,
    #[zeroize(skip)]
    pub(super) algorithm: Algorithm,
    pub(super) pkcs8: String,
}

/// A secret: 32 bytes in base64url.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredSecret {
    #[zeroize(skip)]
    pub(super) name: String,
    pub(super) value: String,
}

impl SealedFile {
    /// Makes the passphrase file, if there is none, and an empty key file.
    pub(super) fn initialise(&self, entropy: &dyn Entropy) -> Result<(), KeyStoreError> {
        if self.path.exists() {
            return Err(PrivateFileError::AlreadyExists { path: self.path.clone() }.into());
        }
        if !self.passphrase_path.exists() {
            let bits = Zeroizing::new(draw::<32>(entropy)?);
            let text = Zeroizing::new(base64url(&*bits) + "\n");
            Replacement::begin(&self.passphrase_path)?.commit(text.as_bytes())?;
        }
        self.save(Replacement::begin(&self.path)?, &Content::default(), entropy)
    }

    /// Reads and opens the file.
    pub(super) fn load(&self) -> Result<Content, KeyStoreError> {
        let passphrase = self.passphrase()?;
        let mut sealed = private_file::read(&self.path, HEADER_BYTES, FILE_BYTES_MAX)?;
        let malformed = || KeyStoreError::Sealed { path: self.path.clone() };
        let (header, body) = sealed.split_at_mut_checked(HEADER_BYTES).ok_or_else(malformed)?;
        let salt = salt_of(header).ok_or_else(malformed)?;
        let key = key(&passphrase, salt).ok_or_else(malformed)?;
        let json = key
            .open_in_place(nonce(), Aad::from(self.authenticated(header)), body)
            .map_err(|_| malformed())?;
        serde_json::from_slice(json).map_err(|_| malformed())
    }

    /// Reads the file, lets `change` alter what is in it, and replaces it as a whole.
    pub(super) fn update<T>(
        &self,
        entropy: &dyn Entropy,
        change: impl FnOnce(&mut Content) -> Result<T, KeyStoreError>,
    ) -> Result<T, KeyStoreError> {
        let replacement = Replacement::begin(&self.path)?;
        let mut content = self.load()?;
        let result = change(&mut content)?;
        self.save(replacement, &content, entropy)?;
        Ok(result)
    }

    fn save(
        &self,
        replacement: Replacement,
        content: &Content,
        entropy: &dyn Entropy,
    ) -> Result<(), KeyStoreError> {
        let unsealable = || KeyStoreError::Sealed { path: self.path.clone() };
        let salt = draw::<SALT_BYTES>(entropy)?;
        let header = [MAGIC.as_slice(), &[VERSION], &salt].concat();
        let key = key(&self.passphrase()?, &salt).ok_or_else(unsealable)?;
        // Room for everything at once: a buffer that grows leaves copies behind.
        let mut body = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX));
        serde_json::to_writer(&mut *body, content).map_err(|_| unsealable())?;
        key.seal_in_place_append_tag(nonce(), Aad::from(self.authenticated(&header)), &mut *body)
            .map_err(|_| unsealable())?;
        let bytes = [header.as_slice(), &body].concat();
        if bytes.len() > FILE_BYTES_MAX {
            let path = self.path.clone();
            let (got, min, max) = (bytes.len(), HEADER_BYTES, FILE_BYTES_MAX);
            return Err(PrivateFileError::WrongLength { path, got, min, max }.into());
        }
        Ok(replacement.commit(&bytes)?)
    }

    fn passphrase(&self) -> Result<Zeroizing<Vec<u8>>, KeyStoreError> {
        let path: &Path = &self.passphrase_path;
        let mut text = private_file::read(path, PASSPHRASE_BYTES_MIN, PASSPHRASE_BYTES_MAX)?;
        // Editors and `echo` end a file with a newline that is no part of the passphrase.
        let length = text.trim_ascii_end().len();
        text.truncate(length);
        if length < PASSPHRASE_BYTES_MIN {
            let path = path.to_owned();
            let (min, max) = (PASSPHRASE_BYTES_MIN, PASSPHRASE_BYTES_MAX);
            return Err(PrivateFileError::WrongLength { path, got: length, min, max }.into());
        }
        Ok(text)
    }

    fn authenticated(&self, header: &[u8]) -> Vec<u8> {
        [header, self.region.as_str().as_bytes()].concat()
    }
}

fn salt_of(header: &[u8]) -> Option<&[u8]> {
    header.strip_prefix(MAGIC)?.strip_prefix(&[VERSION])
}

fn key(passphrase: &[u8], salt: &[u8]) -> Option<LessSafeKey> {
    let prk = Salt::new(HKDF_SHA256, salt).extract(passphrase);
    let okm = prk.expand(&[KEY_INFO], &AES_256_GCM).ok()?;
    Some(LessSafeKey::new(UnboundKey::from(okm)))
}

/// Each key seals one content, so its nonce need not differ from another's.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}
