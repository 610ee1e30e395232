//! The cluster directory as far as it says who the node is: `node.key`, `node.ticket`, and, once the
//! federation is pinned, `genesis` (of a founder) or `invite` (of a node that came later).
//!
//! `init` makes the directory, the founding verbs pin; `run` only reads. The log and the snapshots
//! beside these files are those of consensus.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use exequatur_federation::{
    jose::sha256,
    ledger::{Command, Digest, EnvelopeError, Fixed, LedgerId, PROPOSAL_BYTES_MAX, Proposal},
    membership::{Invite, NodeId, NodeTicket},
};

use super::{DirectoryError, NodeKey};
use crate::hsm::{
    PrivateFileError,
    private_file::{self, Replacement},
};

pub(super) const KEY: &str = "node.key";
const TICKET: &str = "node.ticket";
const GENESIS: &str = "genesis";
const INVITE: &str = "invite";
/// Holds the digest of the genesis that this node made: it is the one that initialises the cluster.
const INITIALISES: &str = "initialises";
/// What a new directory may hold: a mount point of its own is not empty on every file system.
const HARMLESS: [&str; 1] = ["lost+found"];

const MODE_OWNER_ONLY: u32 = 0o700;
const MODE_SHARED: u32 = 0o077;
const MODE_PERMISSIONS: u32 = 0o777;
/// A P-256 key in PKCS#8 takes 138 bytes.
const KEY_BYTES_MAX: usize = 512;
/// A ticket takes some 250 bytes; an invite 42 more for each member, of whom there are at most 128.
const DOCUMENT_BYTES_MAX: usize = 8 * 1_024;
/// A frame is a few bytes larger than its body.
const GENESIS_BYTES_MAX: usize = PROPOSAL_BYTES_MAX + 64;

/// The directory of a node.
#[derive(Clone, Debug)]
pub struct ClusterDirectory {
    path: PathBuf,
}

/// What stands in the place of the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Nothing.
    Missing,
    /// No node; at most one that `init` began and did not finish.
    Empty,
    /// A node.
    Node,
}

/// Who the node is.
#[derive(Debug)]
pub struct NodeIdentity {
    /// Its ticket.
    pub ticket: NodeTicket,
    /// Its key.
    pub key: NodeKey,
}

/// The federation that a node has pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// Which ledger it is.
    pub ledger: LedgerId,
    /// SHA-256 of the genesis frame.
    pub genesis: Digest,
    /// Whether this node made the genesis, and so initialises the cluster.
    pub initialises: bool,
}

impl ClusterDirectory {
    /// The directory at `path`, which need not be there.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Path of the node's ticket.
    #[must_use]
    pub fn ticket_path(&self) -> PathBuf {
        self.path.join(TICKET)
    }

    /// Path of the genesis, for the other founders.
    #[must_use]
    pub fn genesis_path(&self) -> PathBuf {
        self.path.join(GENESIS)
    }

    /// What stands there.
    ///
    /// # Errors
    /// Something that is neither a node's directory nor may become one.
    pub fn contents(&self) -> Result<Contents, DirectoryError> {
        let path = self.path.clone();
        let found = match fs::symlink_metadata(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Contents::Missing),
            Err(source) => return Err(DirectoryError::Io { path, verb: "read", source }),
        };
        if found.is_symlink() {
            return Err(DirectoryError::Symlink { path });
        }
        if !found.is_dir() {
            return Err(DirectoryError::NoDirectory { path });
        }
        let mode = found.mode() & MODE_PERMISSIONS;
        if mode & MODE_SHARED != 0 {
            return Err(DirectoryError::Exposed { path, mode });
        }
        self.listed()
    }

    fn listed(&self) -> Result<Contents, DirectoryError> {
        let failed = |source| DirectoryError::Io { path: self.path.clone(), verb: "read", source };
        let mut strange = None;
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let name = name.to_string_lossy();
            if name == TICKET {
                return Ok(Contents::Node);
            }
            // The key, and what an `init` that was interrupted left of key and ticket.
            let unfinished = [KEY, TICKET].iter().any(|ours| name.starts_with(ours));
            if !unfinished && !HARMLESS.contains(&name.as_ref()) {
                strange = Some(name.into_owned());
            }
        }
        match strange {
            None => Ok(Contents::Empty),
            Some(found) => Err(DirectoryError::Occupied { path: self.path.clone(), found }),
        }
    }

    /// Makes the directory and a key in it. Until the ticket is written there is no node.
    ///
    /// # Errors
    /// It cannot be made, or holds something else.
    pub fn make_key(&self) -> Result<NodeKey, DirectoryError> {
        let failed = |source| DirectoryError::Io { path: self.path.clone(), verb: "made", source };
        match self.contents()? {
            Contents::Missing => {
                DirBuilder::new().mode(MODE_OWNER_ONLY).create(&self.path).map_err(failed)?;
                let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
                let parent = File::open(parent.unwrap_or(Path::new("."))).map_err(failed)?;
                parent.sync_all().map_err(failed)?;
            }
            Contents::Empty => {}
            Contents::Node => {
                let path = self.ticket_path();
                return Err(PrivateFileError::AlreadyExists { path }.into());
            }
        }
        let (key, pkcs8) = NodeKey::generate().ok_or(DirectoryError::KeyNotMade)?;
        self.write(KEY, &pkcs8)?;
        Ok(key)
    }

    /// Writes the node's ticket.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_ticket(&self, ticket: &NodeTicket) -> Result<(), DirectoryError> {
        self.write(TICKET, &ticket.seal())
    }

    /// Who the node is.
    ///
    /// # Errors
    /// The directory holds no node, or its files do not fit together.
    pub fn open(&self) -> Result<NodeIdentity, DirectoryError> {
        if self.contents()? != Contents::Node {
            return Err(DirectoryError::NoNode { path: self.path.clone() });
        }
        let pkcs8 = self.read(KEY, KEY_BYTES_MAX)?;
        let pkcs8 = pkcs8.ok_or_else(|| PrivateFileError::Missing { path: self.path.join(KEY) })?;
        let key = NodeKey::from_pkcs8(&pkcs8)
            .ok_or_else(|| DirectoryError::Key { path: self.path.join(KEY) })?;
        let frame = self.read(TICKET, DOCUMENT_BYTES_MAX)?.unwrap_or_default();
        let ticket = NodeTicket::open(&frame).map_err(|fault| self.damaged(TICKET, fault))?;
        if ticket.description.key != key.public() {
            return Err(DirectoryError::Mismatch { path: self.ticket_path() });
        }
        Ok(NodeIdentity { ticket, key })
    }

    /// The federation that is pinned; `None` if there is none yet.
    ///
    /// # Errors
    /// What is pinned cannot be read.
    pub fn pin(&self) -> Result<Option<Pin>, DirectoryError> {
        if let Some(frame) = self.read(GENESIS, GENESIS_BYTES_MAX)? {
            let damaged = |fault| self.damaged(GENESIS, fault);
            let (proposal, _) = Proposal::open(&frame).map_err(damaged)?;
            let Command::Genesis(genesis) = &proposal.command else {
                let got = proposal.command.kind().number();
                return Err(damaged(EnvelopeError::Kind { got }));
            };
            let ledger = LedgerId { cluster: genesis.cluster, epoch: genesis.epoch };
            let genesis = Fixed(sha256(&frame));
            let mark = self.read(INITIALISES, DOCUMENT_BYTES_MAX)?;
            let initialises = mark.is_some_and(|mark| mark.as_slice() == genesis.bytes());
            return Ok(Some(Pin { ledger, genesis, initialises }));
        }
        let Some(frame) = self.read(INVITE, DOCUMENT_BYTES_MAX)? else { return Ok(None) };
        let invite = Invite::open(&frame).map_err(|fault| self.damaged(INVITE, fault))?;
        let invitation = invite.invitation;
        let ledger = LedgerId { cluster: invitation.cluster, epoch: invitation.epoch };
        Ok(Some(Pin { ledger, genesis: invitation.genesis, initialises: false }))
    }

    /// The genesis that is pinned, if it is here whole; a node that was invited has only its digest.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn genesis(&self) -> Result<Option<Proposal>, DirectoryError> {
        let Some(frame) = self.read(GENESIS, GENESIS_BYTES_MAX)? else { return Ok(None) };
        let (proposal, _) = Proposal::open(&frame).map_err(|fault| self.damaged(GENESIS, fault))?;
        Ok(Some(proposal))
    }

    /// The invite that is pinned, if the node was invited.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn invite(&self) -> Result<Option<Invite>, DirectoryError> {
        let Some(frame) = self.read(INVITE, DOCUMENT_BYTES_MAX)? else { return Ok(None) };
        Invite::open(&frame).map(Some).map_err(|fault| self.damaged(INVITE, fault))
    }

    /// Pins the federation of a genesis, which was checked. `initialises` says that this node made it.
    ///
    /// # Errors
    /// A federation is pinned already, or the file cannot be written.
    pub fn pin_genesis(&self, frame: &[u8], initialises: bool) -> Result<Digest, DirectoryError> {
        self.refuse_second_pin()?;
        let genesis = Fixed(sha256(frame));
        if initialises {
            // First: without the genesis the mark means nothing.
            self.write(INITIALISES, genesis.bytes())?;
        }
        self.write(GENESIS, frame)?;
        Ok(genesis)
    }

    /// Pins the federation of an invite, which was checked.
    ///
    /// # Errors
    /// A federation is pinned already, or the file cannot be written.
    pub fn pin_invite(&self, invite: &Invite) -> Result<Digest, DirectoryError> {
        self.refuse_second_pin()?;
        self.write(INVITE, &invite.seal())?;
        Ok(invite.invitation.genesis)
    }

    fn refuse_second_pin(&self) -> Result<(), DirectoryError> {
        match self.pin()? {
            Some(Pin { genesis, .. }) => Err(DirectoryError::AlreadyPinned { genesis }),
            None => Ok(()),
        }
    }

    fn damaged(&self, name: &str, fault: EnvelopeError) -> DirectoryError {
        DirectoryError::Damaged { path: self.path.join(name), fault }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), DirectoryError> {
        Ok(Replacement::begin(&self.path.join(name))?.commit(bytes)?)
    }

    fn read(
        &self,
        name: &str,
        max: usize,
    ) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>, DirectoryError> {
        let path = self.path.join(name);
        if fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink()) {
            return Err(DirectoryError::Symlink { path });
        }
        match private_file::read(&path, 1, max) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(PrivateFileError::Missing { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Draws a node's id.
///
/// # Errors
/// No randomness.
pub fn draw_node_id(
    entropy: &dyn crate::entropy::Entropy,
) -> Result<NodeId, crate::entropy::EntropyError> {
    loop {
        let bits = u64::from_be_bytes(crate::entropy::draw(entropy)?);
        if let Some(id) = NodeId::new(bits) {
            return Ok(id);
        }
    }
}

#[cfg(test)]
#[path = "directory_test.rs"]
mod tests;
