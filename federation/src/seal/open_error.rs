//! Why a trailer does not open.

use super::KeyVersion;

/// Why a trailer does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It opened, but does not read as a trailer.
    #[error("the trailer holds what no trailer holds")]
    Content,
    /// The reader has no key of that version, so that nothing can be said of the token.
    #[error("the trailer is sealed under version {version} of a key that is not here")]
    KeyUnknown {
        /// The version.
        version: KeyVersion,
    },
    /// It is no list of blocks, or a block has another length: it was cut.
    #[error("the trailer is no list of sealed blocks")]
    Malformed,
    /// The token has none.
    #[error("the token has no trailer")]
    Missing,
    /// No block is for this region.
    #[error("the token has no trailer for this region")]
    NotForThisRegion,
    /// It was altered, or is another token's, or was sealed under another key of that version.
    #[error("the trailer does not belong to the token, or was altered")]
    Refused,
    /// Nobody tried to open it.
    #[error("the trailer was not opened")]
    Untried,
    /// It is of a later release.
    #[error("the trailer has the unknown form {got}")]
    Version {
        /// The number of the form.
        got: u8,
    },
}
