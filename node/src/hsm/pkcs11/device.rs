//! The seam between the pool of workers and the device: what a worker asks of a session, and how
//! that can fail. The other side of it is a double in the pool's tests.

use exequatur_federation::jose::Algorithm;

use super::super::{Defect, KeyStoreError, Outage, SignError};

/// A slot in which sessions are opened.
pub(super) trait Device: Send + Sync {
    /// Opens a session. The worker that asked for it is the only one that uses it.
    fn connect(&self) -> Result<Box<dyn Connection>, DeviceError>;
}

/// One session.
pub(super) trait Connection {
    /// Signs `input` with `key`, in the form that JOSE wants.
    fn sign(&mut self, key: &KeyReference, input: &Input) -> Result<Vec<u8>, DeviceError>;
}

/// What finds a key in a slot, in any session.
#[derive(Clone, Debug)]
pub(super) struct KeyReference {
    /// `CKA_LABEL`.
    pub(super) label: String,
    /// `CKA_ID`: the bytes of the RFC 7638 thumbprint.
    pub(super) id: [u8; 32],
    /// The only algorithm that the key is used with.
    pub(super) algorithm: Algorithm,
}

/// What the device signs. An ECDSA or RSA mechanism takes any bytes and signs them unhashed, so
/// that it must never see anything but a digest.
pub(super) enum Input {
    /// SHA-256 of the message.
    Digest([u8; 32]),
    /// The whole message, which Ed25519 hashes itself, twice.
    Message(Vec<u8>),
}

/// Why a device did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DeviceError {
    /// It reported a failure, or that the session, a handle or the login is gone.
    #[error("{0}")]
    Failed(String),
    /// The slot holds no key of this label and id.
    #[error("the key is not in the slot")]
    KeyAbsent,
    /// The key could leave the device, or came from outside it.
    #[error("the key is refused because {0}")]
    KeyExposed(&'static str),
    /// It does not know the mechanism, or not for this key.
    #[error("{0}")]
    MechanismRefused(String),
    /// The PIN was refused, now or earlier in this process.
    #[error("the PIN was refused")]
    PinRefused,
}

impl DeviceError {
    /// Whether the same call can succeed on a new session.
    pub(super) const fn may_pass(&self) -> bool {
        match self {
            Self::Failed(_) | Self::KeyAbsent => true,
            Self::KeyExposed(_) | Self::MechanismRefused(_) | Self::PinRefused => false,
        }
    }
}

impl From<DeviceError> for SignError {
    fn from(error: DeviceError) -> Self {
        match error {
            DeviceError::Failed(_) => Self::Unavailable(Outage::DeviceFailed),
            DeviceError::KeyAbsent => Self::Unavailable(Outage::KeyAbsent),
            DeviceError::KeyExposed(_) => Self::Unusable(Defect::KeyExposed),
            DeviceError::MechanismRefused(_) => Self::Unusable(Defect::MechanismRefused),
            DeviceError::PinRefused => Self::Unusable(Defect::PinRefused),
        }
    }
}

impl DeviceError {
    /// The error of a search or a change of `key` in the slot labelled `slot`.
    pub(super) fn concerning(self, key: &str, slot: &str) -> KeyStoreError {
        let key = key.to_owned();
        match self {
            Self::Failed(detail) | Self::MechanismRefused(detail) => {
                KeyStoreError::Unavailable { detail }
            }
            Self::KeyAbsent => KeyStoreError::KeyAbsent { key, place: format!("slot `{slot}`") },
            Self::KeyExposed(attribute) => KeyStoreError::Exposed { key, attribute },
            Self::PinRefused => KeyStoreError::Unusable(Defect::PinRefused),
        }
    }
}
