//! Why a cluster directory cannot be used, in words for the operator who must mend it.

use std::{io, path::PathBuf};

use exequatur_federation::ledger::{Digest, EnvelopeError};

use super::directory::KEY;
use crate::hsm::PrivateFileError;

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// It belongs to a federation already.
    #[error(
        "the node has pinned the genesis {genesis} already, and belongs to one federation for ever: \
         to join another, make a new node in another directory"
    )]
    AlreadyPinned {
        /// SHA-256 of what is pinned.
        genesis: Digest,
    },
    /// A document in it is damaged.
    #[error("`{}` is damaged ({fault}): {WAY_OUT}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: EnvelopeError,
    },
    /// Others may look into it.
    #[error("`{}` is open to others (mode {mode:04o}): run `chmod 700 {}`", path.display(), path.display())]
    Exposed {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file in it cannot be read or written.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The directory cannot be made or looked at.
    #[error("the cluster's directory `{}` cannot be {verb}", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// `made` or `read`.
        verb: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The key is no key.
    #[error("`{}` holds no P-256 key in PKCS#8: {WAY_OUT}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// The library made no key.
    #[error("the library for cryptography made no key")]
    KeyNotMade,
    /// The ticket is that of another key.
    #[error("`{}` and `{KEY}` beside it are of two nodes: {WAY_OUT}", path.display())]
    Mismatch {
        /// The ticket.
        path: PathBuf,
    },
    /// It is no directory.
    #[error("`{}` is no directory", path.display())]
    NoDirectory {
        /// What it is the path of.
        path: PathBuf,
    },
    /// It is not there.
    #[error("`{}` holds no node: `exequatur init` makes one", path.display())]
    NoNode {
        /// The directory.
        path: PathBuf,
    },
    /// Something else is in it.
    #[error(
        "`{}` is not empty, but holds no node (it holds `{found}`): name an empty directory in \
         `cluster.directory`", path.display()
    )]
    Occupied {
        /// The directory.
        path: PathBuf,
        /// Something in it.
        found: String,
    },
    /// A symbolic link could lead to another node's directory or key.
    #[error("`{}` is a symbolic link: put the thing itself in its place", path.display())]
    Symlink {
        /// The link.
        path: PathBuf,
    },
}

/// What is left when who the node was is lost.
const WAY_OUT: &str = "put back what was there, or rejoin as a new node: move the directory and the \
     anchor away and run `exequatur init`";
