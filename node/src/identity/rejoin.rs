//! Whether a node's directory is the one that the node left: a pure comparison of what the
//! directory holds with what the anchor remembers.
//!
//! A node with a directory that was wiped or restored from a backup has forgotten votes it cast and
//! entries it confirmed; were it to go on under its id, entries that everybody believes to be agreed
//! could be lost. So it is refused, and comes back as a new node.
//!
//! **Order of writes.** At each start, for each vote, and for what was flushed, the directory is
//! written first and then the anchor. After a crash between the two the anchor is behind: by one
//! start, or by a vote or entries, which is accepted. The other order would make the anchor run ahead,
//! and every such crash would look like a rollback. `Anchor::flushed` names an entry that is known to
//! be committed, since entries that are not may be taken out of the log again.

use exequatur_federation::{
    ledger::{Digest, LogId, Vote},
    membership::{Anchor, NodeId},
};

/// What a directory says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryFacts {
    /// Whose it is.
    pub node: NodeId,
    /// How often the node has started in it.
    pub starts: u64,
    /// SHA-256 of the pinned genesis frame.
    pub genesis: Option<Digest>,
    /// The last vote.
    pub vote: Option<Vote>,
    /// The last entry of the log, or of the snapshot if the log has none.
    pub last: Option<LogId>,
}

/// What stands in the place of the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryState {
    /// Nothing.
    Missing,
    /// A directory without a node.
    Empty,
    /// A node's directory.
    Present(DirectoryFacts),
}

/// Why a node must not go on in a directory. Each says what was found and the way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejoin {
    /// Neither a directory nor an anchor.
    #[error("the node was never made: run `exequatur init`")]
    NeverMade,
    /// A directory without its anchor.
    #[error(
        "the anchor of node {node} is missing, so nothing tells whether its directory was restored \
         from a backup: {WAY_OUT}"
    )]
    AnchorMissing {
        /// Whose directory it is.
        node: NodeId,
    },
    /// An anchor without its directory.
    #[error("wiped: the anchor remembers node {node}, but its directory is missing: {WAY_OUT}")]
    DirectoryMissing {
        /// Whose anchor it is.
        node: NodeId,
    },
    /// An anchor and a directory without a node.
    #[error("wiped: the anchor remembers node {node}, but its directory is empty: {WAY_OUT}")]
    DirectoryEmpty {
        /// Whose anchor it is.
        node: NodeId,
    },
    /// Another node's directory.
    #[error(
        "the directory is that of node {directory}, but the anchor that of node {anchor}: put back \
         the one that was exchanged, or {WAY_OUT}"
    )]
    Foreign {
        /// Whose directory it is.
        directory: NodeId,
        /// Whose anchor it is.
        anchor: NodeId,
    },
    /// The directory has forgotten starts.
    #[error(
        "rolled back: the directory has seen {directory} starts, its anchor {anchor}: {WAY_OUT}"
    )]
    StartsForgotten {
        /// Starts in the directory.
        directory: u64,
        /// Starts in the anchor.
        anchor: u64,
    },
    /// The directory has forgotten a vote.
    #[error(
        "rolled back: the directory has {} as its last vote, its anchor {}: {WAY_OUT}",
        vote(*directory),
        vote(Some(*anchor))
    )]
    VoteForgotten {
        /// The directory's vote.
        directory: Option<Vote>,
        /// The anchor's vote.
        anchor: Vote,
    },
    /// The directory has forgotten entries.
    #[error(
        "rolled back: the log ends with {}, but its anchor has seen {} durable: {WAY_OUT}",
        entry(*directory),
        entry(Some(*anchor))
    )]
    EntriesForgotten {
        /// The directory's last entry.
        directory: Option<LogId>,
        /// The anchor's.
        anchor: LogId,
    },
    /// The anchor is older than one crash explains.
    #[error(
        "the anchor was restored: it has seen {anchor} starts, the directory {directory}, and only \
         one may be missing: {WAY_OUT}"
    )]
    AnchorBehind {
        /// Starts in the directory.
        directory: u64,
        /// Starts in the anchor.
        anchor: u64,
    },
    /// The directory has forgotten which federation it belongs to.
    #[error(
        "rolled back: the anchor has pinned the genesis {anchor}, the directory none: {WAY_OUT}"
    )]
    GenesisForgotten {
        /// The anchor's.
        anchor: Digest,
    },
    /// They belong to two federations.
    #[error(
        "the directory has pinned the genesis {directory}, its anchor {anchor}: put back the one \
         that was exchanged, or {WAY_OUT}"
    )]
    OtherGenesis {
        /// The directory's.
        directory: Digest,
        /// The anchor's.
        anchor: Digest,
    },
}

/// How a node comes back.
const WAY_OUT: &str = "rejoin as a new node: move the directory and the anchor away, run \
     `exequatur init`, put the new id into federation.toml in place of the old one, get a certificate \
     for it, restart the running nodes one after the other, run `exequatur cluster invite` with the \
     new ticket at one of them, `exequatur cluster join` and `exequatur run` here, and at last \
     `exequatur cluster promote NEW --replacing OLD`";

/// Compares a directory with an anchor.
///
/// # Errors
/// The node must not go on in this directory.
pub fn examine(directory: &DirectoryState, anchor: Option<&Anchor>) -> Result<(), Rejoin> {
    let (facts, anchor) = match (directory, anchor) {
        (DirectoryState::Missing | DirectoryState::Empty, None) => return Err(Rejoin::NeverMade),
        (DirectoryState::Missing, Some(anchor)) => {
            return Err(Rejoin::DirectoryMissing { node: anchor.node });
        }
        (DirectoryState::Empty, Some(anchor)) => {
            return Err(Rejoin::DirectoryEmpty { node: anchor.node });
        }
        (DirectoryState::Present(facts), None) => {
            return Err(Rejoin::AnchorMissing { node: facts.node });
        }
        (DirectoryState::Present(facts), Some(anchor)) => (facts, anchor),
    };
    if facts.node != anchor.node {
        return Err(Rejoin::Foreign { directory: facts.node, anchor: anchor.node });
    }
    match (facts.genesis, anchor.genesis) {
        (None, Some(anchor)) => return Err(Rejoin::GenesisForgotten { anchor }),
        (Some(directory), Some(anchor)) if directory != anchor => {
            return Err(Rejoin::OtherGenesis { directory, anchor });
        }
        _ => {}
    }
    let starts = (facts.starts, anchor.starts);
    if facts.starts < anchor.starts {
        return Err(Rejoin::StartsForgotten { directory: starts.0, anchor: starts.1 });
    }
    if facts.starts - anchor.starts > 1 {
        return Err(Rejoin::AnchorBehind { directory: starts.0, anchor: starts.1 });
    }
    // `None` is less than anything, and votes and entries are ordered as consensus orders them.
    if let Some(vote) = anchor.vote.filter(|vote| facts.vote < Some(*vote)) {
        return Err(Rejoin::VoteForgotten { directory: facts.vote, anchor: vote });
    }
    if let Some(entry) = anchor.flushed.filter(|entry| facts.last < Some(*entry)) {
        return Err(Rejoin::EntriesForgotten { directory: facts.last, anchor: entry });
    }
    Ok(())
}

fn vote(vote: Option<Vote>) -> String {
    match vote {
        Some(Vote { term, node, .. }) => format!("term {term} for node {node}"),
        None => "none".to_owned(),
    }
}

fn entry(entry: Option<LogId>) -> String {
    match entry {
        Some(LogId { term, index, .. }) => format!("entry {index} of term {term}"),
        None => "no entry".to_owned(),
    }
}

#[cfg(test)]
#[path = "rejoin_test.rs"]
mod tests;
