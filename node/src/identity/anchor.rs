//! Where a node's anchor is kept: a file outside its directory and, with an HSM, a record in the slot.
//!
//! The file is written whenever something changed that the anchor holds. A slot's memory wears, so its
//! record is written only at a start and for a vote; it then remembers fewer entries, never other
//! votes.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use exequatur_federation::{
    ledger::EnvelopeError,
    membership::{Anchor, NodeId},
};

use super::rejoin::{DirectoryFacts, DirectoryState, Rejoin, examine};
use crate::hsm::{
    KeyStoreError, PrivateFileError,
    pkcs11::SlotRecords,
    private_file::{self, Replacement},
};

/// Largest anchor: its values are of fixed width, some 150 bytes.
const ANCHOR_BYTES_MAX: usize = 512;
const MODE_OWNER_ONLY: u32 = 0o700;

/// A place that keeps an anchor. Both methods may block.
pub trait AnchorStore: Send + Sync {
    /// The anchor that is kept; `None` if there is none.
    ///
    /// # Errors
    /// It cannot be read, or is no anchor.
    fn read(&self) -> Result<Option<Anchor>, AnchorError>;

    /// Replaces it, durably: after a crash at any point it is the old or the new.
    ///
    /// # Errors
    /// It cannot be written.
    fn write(&self, anchor: &Anchor) -> Result<(), AnchorError>;

    /// The place in words, for messages.
    fn place(&self) -> String;

    /// Whether it wears out by being written.
    fn wears(&self) -> bool;
}

/// Why an anchor was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    /// It is damaged.
    #[error("{place} holds no anchor: {fault}")]
    Damaged {
        /// Where.
        place: String,
        /// What is wrong with it.
        fault: EnvelopeError,
    },
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// It lies in the directory that it is to vouch for.
    #[error(
        "the anchor `{}` lies in the cluster's directory, so it would be lost or restored together \
         with it: name a file elsewhere in `cluster.anchor`",
        path.display()
    )]
    Inside {
        /// The file.
        path: PathBuf,
    },
    /// The directory of the file cannot be made or looked at.
    #[error("the directory of the anchor `{}` cannot be made", path.display())]
    Parent {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The slot does not answer.
    #[error("the anchor in slot `{slot}`")]
    Slot {
        /// Which.
        slot: String,
        /// Why.
        source: KeyStoreError,
    },
    /// A symbolic link could lead into the directory, or to another node's anchor.
    #[error("the anchor `{}` is a symbolic link: name the file itself", path.display())]
    Symlink {
        /// The link.
        path: PathBuf,
    },
}

/// The anchor in a file.
#[derive(Clone, Debug)]
pub struct FileAnchor {
    path: PathBuf,
}

/// The anchor in the slot of an HSM.
#[derive(Clone)]
pub struct SlotAnchor {
    records: SlotRecords,
    label: String,
}

/// Every place that keeps this node's anchor.
pub struct Anchors(Vec<Box<dyn AnchorStore>>);

/// What made an anchor change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A start, a vote or the federation that was pinned.
    Promise,
    /// More entries are durable.
    Progress,
}

/// A start that an anchor forbids.
#[derive(Debug, thiserror::Error)]
pub enum StartRefused {
    /// An anchor cannot be read or written.
    #[error(transparent)]
    Anchor(#[from] AnchorError),
    /// An anchor does not fit the directory.
    #[error("{rejoin}\n(anchor: {place})")]
    Rejoin {
        /// Which anchor.
        place: String,
        /// What does not fit.
        rejoin: Rejoin,
    },
}

impl FileAnchor {
    /// The anchor at `path`, which must lie outside `directory`, also by way of links.
    ///
    /// # Errors
    /// It lies inside.
    pub fn new(path: PathBuf, directory: &Path) -> Result<Self, AnchorError> {
        let parent = path.parent().unwrap_or(Path::new(""));
        // Whatever is not there yet lies where its text says; the check of the file has seen that.
        if let (Ok(parent), Ok(directory)) = (real(parent), real(directory))
            && parent.starts_with(directory)
        {
            return Err(AnchorError::Inside { path });
        }
        Ok(Self { path })
    }
}

/// Makes the directory of a file, if it is missing, durably and for its owner alone.
fn make_parent(path: &Path) -> io::Result<()> {
    let named =
        |path: &'_ Path| path.parent().filter(|p| !p.as_os_str().is_empty()).map(Path::to_owned);
    let Some(parent) = named(path).filter(|parent| !parent.exists()) else { return Ok(()) };
    DirBuilder::new().recursive(true).mode(MODE_OWNER_ONLY).create(&parent)?;
    File::open(named(&parent).as_deref().unwrap_or(Path::new(".")))?.sync_all()
}

fn real(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(if path.as_os_str().is_empty() { Path::new(".") } else { path })
}

impl AnchorStore for FileAnchor {
    fn read(&self) -> Result<Option<Anchor>, AnchorError> {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.is_symlink()) {
            return Err(AnchorError::Symlink { path: self.path.clone() });
        }
        match private_file::read(&self.path, 1, ANCHOR_BYTES_MAX) {
            Ok(frame) => opened(&frame, self.place()).map(Some),
            Err(PrivateFileError::Missing { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn write(&self, anchor: &Anchor) -> Result<(), AnchorError> {
        make_parent(&self.path)
            .map_err(|source| AnchorError::Parent { path: self.path.clone(), source })?;
        Ok(Replacement::begin(&self.path)?.commit(&anchor.seal())?)
    }

    fn place(&self) -> String {
        format!("`{}`", self.path.display())
    }

    fn wears(&self) -> bool {
        false
    }
}

impl SlotAnchor {
    /// The anchor of `node` in the slot that keeps `records`.
    #[must_use]
    pub fn new(records: SlotRecords, node: NodeId) -> Self {
        Self { records, label: format!("exequatur-anchor-{node}") }
    }

    fn failed(&self, source: KeyStoreError) -> AnchorError {
        AnchorError::Slot { slot: self.records.slot().to_owned(), source }
    }
}

impl AnchorStore for SlotAnchor {
    fn read(&self) -> Result<Option<Anchor>, AnchorError> {
        let records = self.records.read(&self.label).map_err(|error| self.failed(error))?;
        let anchors: Result<Vec<Anchor>, AnchorError> =
            records.iter().map(|frame| opened(frame, self.place())).collect();
        // Two are there after a crash between the new one and the end of the old one.
        Ok(anchors?.into_iter().max_by_key(|a| (a.starts, a.vote, a.genesis, a.flushed)))
    }

    fn write(&self, anchor: &Anchor) -> Result<(), AnchorError> {
        self.records.write(&self.label, &anchor.seal()).map_err(|error| self.failed(error))
    }

    fn place(&self) -> String {
        format!("`{}` in slot `{}`", self.label, self.records.slot())
    }

    fn wears(&self) -> bool {
        true
    }
}

impl std::fmt::Debug for Anchors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|store| store.place())).finish()
    }
}

impl Anchors {
    /// These places.
    #[must_use]
    pub fn new(stores: Vec<Box<dyn AnchorStore>>) -> Self {
        Self(stores)
    }

    /// The places that keep no anchor.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn missing(&self) -> Result<Vec<&dyn AnchorStore>, AnchorError> {
        let mut missing = Vec::new();
        for store in &self.0 {
            if store.read()?.is_none() {
                missing.push(store.as_ref());
            }
        }
        Ok(missing)
    }

    /// Compares the directory with every anchor.
    ///
    /// # Errors
    /// The node must not start in this directory.
    pub fn examine(&self, directory: &DirectoryState) -> Result<(), StartRefused> {
        for store in &self.0 {
            let anchor = store.read()?;
            examine(directory, anchor.as_ref())
                .map_err(|rejoin| StartRefused::Rejoin { place: store.place(), rejoin })?;
        }
        Ok(())
    }

    /// Remembers the directory as it is, after it was written. `facts.last` must be an entry that is
    /// committed.
    ///
    /// # Errors
    /// An anchor cannot be written: the node must stop, since a directory that is restored later
    /// would not be noticed.
    pub fn remember(&self, facts: &DirectoryFacts, change: Change) -> Result<(), AnchorError> {
        let DirectoryFacts { node, starts, genesis, vote, last } = *facts;
        let anchor = Anchor { node, starts, genesis, vote, flushed: last };
        for store in &self.0 {
            if change == Change::Promise || !store.wears() {
                store.write(&anchor)?;
            }
        }
        Ok(())
    }
}

fn opened(frame: &[u8], place: String) -> Result<Anchor, AnchorError> {
    Anchor::open(frame).map_err(|fault| AnchorError::Damaged { place, fault })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use exequatur_federation::ledger::{Fixed, LogId, Vote};

    use super::*;

    fn facts(starts: u64) -> DirectoryFacts {
        let node = NodeId::new(7).unwrap();
        DirectoryFacts {
            node,
            starts,
            genesis: Some(Fixed([3; 32])),
            vote: Some(Vote { term: 2, node, committed: false }),
            last: Some(LogId { term: 2, leader: node, index: 9 }),
        }
    }

    #[test]
    fn an_anchor_file_is_private_and_read_back_as_it_was_written() {
        let lab = tempfile::tempdir().unwrap();
        let path = lab.path().join("anchor/node");
        let file = FileAnchor::new(path.clone(), &lab.path().join("cluster")).unwrap();
        assert_eq!(file.read().unwrap(), None);
        let anchors = Anchors::new(vec![Box::new(file.clone())]);
        assert_eq!(anchors.missing().unwrap().len(), 1);
        for starts in [1, 2] {
            anchors.remember(&facts(starts), Change::Progress).unwrap();
            assert_eq!(file.read().unwrap().unwrap().starts, starts);
            anchors.examine(&DirectoryState::Present(facts(starts))).unwrap();
        }
        assert!(anchors.missing().unwrap().is_empty());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let refused = anchors.examine(&DirectoryState::Present(facts(1))).unwrap_err().to_string();
        assert!(
            refused.starts_with("rolled back: ") && refused.contains("anchor/node"),
            "{refused}"
        );
    }

    #[test]
    fn every_flipped_bit_of_an_anchor_is_noticed() {
        let lab = tempfile::tempdir().unwrap();
        let path = lab.path().join("node");
        let file = FileAnchor::new(path.clone(), &lab.path().join("cluster")).unwrap();
        Anchors::new(vec![Box::new(file.clone())]).remember(&facts(1), Change::Promise).unwrap();
        let frame = fs::read(&path).unwrap();
        for index in 0..frame.len() {
            let mut flipped = frame.clone();
            flipped[index] ^= 1;
            fs::write(&path, &flipped).unwrap();
            assert!(matches!(file.read(), Err(AnchorError::Damaged { .. })), "byte {index}");
            fs::write(&path, &frame[..index]).unwrap();
            assert!(file.read().is_err(), "{index} bytes");
        }
    }

    #[test]
    fn an_anchor_inside_its_directory_or_behind_a_link_is_refused() {
        let lab = tempfile::tempdir().unwrap();
        let directory = lab.path().join("cluster");
        fs::create_dir(&directory).unwrap();
        symlink(&directory, lab.path().join("elsewhere")).unwrap();
        for inside in [directory.join("node"), lab.path().join("elsewhere/node")] {
            let refused = FileAnchor::new(inside, &directory);
            assert!(matches!(refused, Err(AnchorError::Inside { .. })), "{refused:?}");
        }
        let link = lab.path().join("link");
        symlink(directory.join("node"), &link).unwrap();
        let file = FileAnchor::new(link, &directory).unwrap();
        assert!(matches!(file.read(), Err(AnchorError::Symlink { .. })));
    }
}
