//! Signing keys and secrets: made, checked and used in an HSM (PKCS#11) or in a sealed file.
//!
//! A region configures one key store and there is no fallback from one kind to the other: a key
//! store that cannot be opened stops the start, one that fails later stops issuance and nothing
//! else. A key that is not found is never a reason to make one: only `init` and key rotation call
//! [`KeyStore::create`]. Nothing here knows what is signed, when a key becomes active, or who asks.
//!
//! Signatures have the form that JOSE wants (RFC 7518 section 3, RFC 8037 section 3.1): `r || s`
//! for ES256. A key's id is its RFC 7638 thumbprint.

pub mod doctor;
mod key_store_error;
pub mod pkcs11;
pub(crate) mod private_file;
pub mod software;

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use exequatur_federation::jose::{Algorithm, KeyId, PublicKey};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

pub use key_store_error::KeyStoreError;
pub use private_file::PrivateFileError;

/// What a key is for. Keys of different purposes are different keys, so that a signature made for
/// one purpose never verifies as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Access tokens (RFC 9068).
    AccessToken,
    /// Checkpoints and cosignatures of the audit log.
    Audit,
    /// Authorization grants for another region (RFC 7523).
    BorderGrant,
    /// The region's proposals to the ledger.
    Identity,
    /// Signed introspection answers (RFC 9701).
    Response,
    /// Token status lists.
    StatusList,
}

impl Purpose {
    /// Every purpose, in the order in which reports list them.
    pub const ALL: [Self; 6] = [
        Self::Identity,
        Self::AccessToken,
        Self::BorderGrant,
        Self::Response,
        Self::StatusList,
        Self::Audit,
    ];

    /// The name that stands in labels, files and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::Audit => "audit",
            Self::BorderGrant => "border_grant",
            Self::Identity => "identity",
            Self::Response => "response",
            Self::StatusList => "status_list",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The answer of [`Signer::sign`], still to come.
pub type Signing<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, SignError>> + Send + 'a>>;

/// One private key that signs.
pub trait Signer: Send + Sync {
    /// The RFC 7638 thumbprint of the public half.
    fn key_id(&self) -> &KeyId;

    /// The one algorithm that the key signs with.
    fn algorithm(&self) -> Algorithm;

    /// The public half.
    fn public_key(&self) -> &PublicKey;

    /// Signs `message`, which is the whole signing input and not its digest.
    fn sign<'a>(&'a self, message: &'a [u8]) -> Signing<'a>;
}

/// Why there is no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The device returned a signature that the key's public half does not verify. It was not
    /// released: the device signs with another key, or is broken.
    #[error("the key store returned a signature that its public key does not verify")]
    Rejected,
    /// Not now: the request may be repeated later or elsewhere.
    #[error("the key store cannot sign now: {0}")]
    Unavailable(Outage),
    /// Not until an operator has acted.
    #[error("the key store cannot sign until it is mended: {0}")]
    Unusable(Defect),
}

/// Why a key store cannot sign for the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Outage {
    /// Calls failed one after another, so the next attempt waits.
    #[error("it failed repeatedly and the next attempt is not due yet")]
    BreakerOpen,
    /// No answer within the deadline of one call.
    #[error("it did not answer within the deadline")]
    DeadlinePassed,
    /// The device reported a failure, again on a new session.
    #[error("the device reported a failure")]
    DeviceFailed,
    /// The slot answers, but the key is not there.
    #[error("the key is not in the slot")]
    KeyAbsent,
    /// As many calls wait as may wait.
    #[error("too many signatures are waiting")]
    QueueFull,
}

/// What an operator must mend before a key store can sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// The key found is not one that was made inside the device for good.
    #[error("the key's attributes are not those of a key that never leaves the device")]
    KeyExposed,
    /// The device or library refuses the key's mechanism.
    #[error("the key store does not sign with this algorithm")]
    MechanismRefused,
    /// The PIN was refused; it is not tried again, lest the slot locks.
    #[error("the PIN was refused and is not tried again before a restart")]
    PinRefused,
}

/// Where a region's keys and wrapped secrets are.
///
/// Every method may block on a file or a device: call them at start, from the command line, or on
/// a thread for blocking work.
pub trait KeyStore: Send + Sync {
    /// The key of `purpose` for `algorithm`, proved by a signature; `None` if there is none. Never
    /// makes a key.
    ///
    /// # Errors
    /// See [`KeyStoreError`]; two keys that both fit are an error.
    fn find(
        &self,
        purpose: Purpose,
        algorithm: Algorithm,
    ) -> Result<Option<Arc<dyn Signer>>, KeyStoreError>;

    /// Makes the key of `purpose` for `algorithm`.
    ///
    /// # Errors
    /// See [`KeyStoreError`]; a key that exists already is left alone.
    fn create(
        &self,
        purpose: Purpose,
        algorithm: Algorithm,
    ) -> Result<Arc<dyn Signer>, KeyStoreError>;

    /// The secret of this name; `None` if there is none. Never makes one.
    ///
    /// # Errors
    /// See [`KeyStoreError`].
    fn secret(&self, name: &str) -> Result<Option<Secret32>, KeyStoreError>;

    /// Draws and stores the secret of this name.
    ///
    /// # Errors
    /// See [`KeyStoreError`]; a secret that exists already is left alone.
    fn create_secret(&self, name: &str) -> Result<Secret32, KeyStoreError>;

    /// Stores a secret that was made elsewhere.
    ///
    /// # Errors
    /// See [`KeyStoreError`]; a secret that exists already is left alone.
    fn keep_secret(&self, name: &str, secret: &Secret32) -> Result<(), KeyStoreError>;

    /// Checks again that every key that was found or made is there, is what it was, and still
    /// cannot leave. Due at start and once an hour.
    ///
    /// # Errors
    /// The first key that fails the check.
    fn check(&self) -> Result<(), KeyStoreError>;

    /// What readiness and metrics report, without touching the device.
    fn health(&self) -> Health;

    /// Where the device keeps records that are no keys; `None` if there is no device.
    fn records(&self) -> Option<pkcs11::SlotRecords> {
        None
    }
}

/// How a key store is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Whether calls are let through; `false` while repeated failure holds them back.
    pub available: bool,
    /// Threads that are stuck in the device beyond the deadline, now.
    pub workers_hung: usize,
    /// Calls that got no answer within the deadline, since the start.
    pub deadlines_passed: u64,
    /// Signatures that did not verify and were withheld, since the start.
    pub signatures_rejected: u64,
}

/// 256 secret bits. They are wiped when dropped and never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret32([u8; 32]);

impl Secret32 {
    /// Takes the bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes. Do not copy them.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Secret32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret32(redacted)")
    }
}

/// Longest name of a secret: it stands in a file and in error messages.
const SECRET_NAME_BYTES_MAX: usize = 64;

/// Refuses names that would not survive a file, a label or a message.
fn checked_secret_name(name: &str) -> Result<(), KeyStoreError> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if (1..=SECRET_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(());
    }
    let name = name.chars().take(SECRET_NAME_BYTES_MAX).collect();
    Err(KeyStoreError::NameMalformed { name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_has_one_name_in_text_and_in_files() {
        for purpose in Purpose::ALL {
            let json = serde_json::to_string(&purpose).unwrap();
            assert_eq!(json, format!("\"{purpose}\""));
        }
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret32::from_bytes([0xa5; 32]);
        assert_eq!(format!("{secret:?}"), "Secret32(redacted)");
    }

    #[test]
    fn refuses_names_of_secrets_that_would_not_survive_a_label() {
        for name in ["", "Pairwise", "a b", "a/b", "a-b", "é", &"a".repeat(65)] {
            assert!(checked_secret_name(name).is_err(), "{name}");
        }
        for name in ["pairwise", "border_eu_central", "trailer2", &"a".repeat(64)] {
            assert!(checked_secret_name(name).is_ok(), "{name}");
        }
    }
}
