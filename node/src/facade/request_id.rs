//! The request id: random, made here, and the key into the audit log.
//!
//! It is never taken from the request: an id that a stranger chooses could collide with another
//! request's, or carry something.

use std::fmt;

use base64::Engine as _;
use base64::display::Base64Display;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;

use crate::entropy::{Entropy, EntropyError, draw};

/// Random bytes of an id: 128 bits, so that two never meet by chance.
const ID_BYTES: usize = 16;

/// The characters of an id as text.
const ID_CHARS: usize = 22;

/// The id of one request; `Display` writes 22 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId([u8; ID_BYTES]);

impl RequestId {
    /// A new id.
    ///
    /// # Errors
    /// The source of randomness failed.
    pub fn draw(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        draw(entropy).map(Self)
    }

    /// The id's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; ID_BYTES] {
        &self.0
    }

    /// The id as the value of `X-Request-Id`.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let mut text = [0; ID_CHARS];
        URL_SAFE_NO_PAD.encode_slice(self.0, &mut text).ok()?;
        HeaderValue::from_bytes(&text).ok()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Base64Display::new(&self.0, &URL_SAFE_NO_PAD).fmt(f)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting;

    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
            bytes.iter_mut().zip(0..).for_each(|(byte, n)| *byte = n);
            Ok(())
        }
    }

    #[test]
    fn header_and_text_are_the_same_22_characters() {
        let id = RequestId::draw(&Counting).unwrap();
        assert_eq!(id.to_string(), "AAECAwQFBgcICQoLDA0ODw");
        assert_eq!(id.header().unwrap(), "AAECAwQFBgcICQoLDA0ODw");
    }
}
