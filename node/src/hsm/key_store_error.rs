//! Why a key or secret was not found or made, in words for the operator who must mend it.

use std::path::PathBuf;

use super::{Defect, SECRET_NAME_BYTES_MAX, private_file::PrivateFileError};
use crate::entropy::EntropyError;

/// Why a key or secret was not found or made. `key` is a label as an operator sees it.
#[derive(Debug, thiserror::Error)]
pub enum KeyStoreError {
    /// `create` found the key or secret already there.
    #[error("`{key}` exists already and was left alone")]
    AlreadyExists {
        /// The key or secret.
        key: String,
    },
    /// Several objects fit where one may.
    #[error("{count} objects are labelled `{key}`: delete or relabel all but the right one")]
    Ambiguous {
        /// The label.
        key: String,
        /// How many there are.
        count: usize,
    },
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The key could leave the device, or came from outside it.
    #[error("`{key}` is refused because {attribute}: make the key inside the device with `init`")]
    Exposed {
        /// The label.
        key: String,
        /// The attribute that is wrong, in words.
        attribute: &'static str,
    },
    /// A file of the key store.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// A key that must be there is not.
    #[error("`{key}` is not in {place}")]
    KeyAbsent {
        /// The label.
        key: String,
        /// The slot or file that was searched.
        place: String,
    },
    /// The name of a secret is empty, too long, or holds something but lower-case letters, digits
    /// and underscores.
    #[error(
        "`{name}` is no name of a secret: use 1 to {SECRET_NAME_BYTES_MAX} of a-z, 0-9 and `_`"
    )]
    NameMalformed {
        /// The name.
        name: String,
    },
    /// The public half does not fit the id under which it is stored, or the private half.
    #[error("`{key}` is not the key it claims to be: {detail}")]
    NotItself {
        /// The label.
        key: String,
        /// What does not fit.
        detail: &'static str,
    },
    /// The sealed content of a file does not open.
    #[error(
        "`{}` does not open: it was changed, or sealed under another key or for another region",
        path.display()
    )]
    Sealed {
        /// The file.
        path: PathBuf,
    },
    /// An operator must act first.
    #[error(transparent)]
    Unusable(#[from] Defect),
    /// The device or the library failed; it may work later.
    #[error("the key store failed: {detail}")]
    Unavailable {
        /// What the device said.
        detail: String,
    },
    /// The key store does not make or use keys of this kind.
    #[error("the key store has no {algorithm} keys: {detail}")]
    Unsupported {
        /// The algorithm's JOSE name.
        algorithm: &'static str,
        /// What is missing.
        detail: String,
    },
}
