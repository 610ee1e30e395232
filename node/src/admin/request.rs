//! The id that an operator gives to a request, so that it can be sent again safely.

use std::fmt;

use bytes::Bytes;
use exequatur_federation::ledger::Fixed;

use crate::entropy::{Entropy, EntropyError, draw};

/// 128 random bits: one id is carried out once, however often it is sent to the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(Fixed<16>);

impl RequestId {
    /// A new one.
    ///
    /// # Errors
    /// See [`Entropy::fill`].
    pub fn draw(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        Ok(Self(Fixed(draw(entropy)?)))
    }

    /// Reads 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        Fixed::from_hex(text).map(Self)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(Fixed(bytes)))
    }

    pub(super) fn to_bytes(self) -> Bytes {
        Bytes::copy_from_slice(self.0.bytes())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
