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
     `exequatur init`, put the new id into federation.toml in place of the old one, run `exequatur \
     cluster invite` with the new ticket at a running node, then `exequatur cluster join` here";

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
mod tests {
    use exequatur_federation::ledger::Fixed;

    use super::*;

    fn node(bits: u64) -> NodeId {
        NodeId::new(bits).unwrap()
    }

    fn vote(term: u64, bits: u64, committed: bool) -> Vote {
        Vote { term, node: node(bits), committed }
    }

    fn entry(term: u64, index: u64) -> LogId {
        LogId { term, leader: node(1), index }
    }

    fn facts() -> DirectoryFacts {
        DirectoryFacts {
            node: node(7),
            starts: 5,
            genesis: Some(Fixed([1; 32])),
            vote: Some(vote(3, 2, true)),
            last: Some(entry(3, 100)),
        }
    }

    fn anchor() -> Anchor {
        let DirectoryFacts { node, starts, genesis, vote, last } = facts();
        Anchor { node, starts, genesis, vote, flushed: last }
    }

    fn judged(change: impl FnOnce(&mut DirectoryFacts, &mut Anchor)) -> Result<(), Rejoin> {
        let (mut facts, mut anchor) = (facts(), anchor());
        change(&mut facts, &mut anchor);
        examine(&DirectoryState::Present(facts), Some(&anchor))
    }

    #[test]
    fn a_directory_as_it_was_left_is_accepted() {
        assert_eq!(judged(|_, _| {}), Ok(()));
    }

    #[test]
    fn an_anchor_that_a_crash_left_behind_is_accepted() {
        assert_eq!(judged(|directory, _| directory.starts = 6), Ok(()));
        assert_eq!(judged(|directory, _| directory.vote = Some(vote(4, 1, false))), Ok(()));
        assert_eq!(judged(|directory, _| directory.last = Some(entry(4, 101))), Ok(()));
        assert_eq!(judged(|_, anchor| anchor.genesis = None), Ok(()));
        assert_eq!(judged(|_, anchor| (anchor.vote, anchor.flushed) = (None, None)), Ok(()));
    }

    #[test]
    fn a_log_may_have_lost_entries_that_were_not_committed() {
        // 100 was committed; a new leader has replaced what followed it.
        assert_eq!(judged(|directory, _| directory.last = Some(entry(9, 101))), Ok(()));
    }

    #[test]
    fn everything_that_is_missing_is_told_apart() {
        let (anchor, present) = (anchor(), DirectoryState::Present(facts()));
        let node = node(7);
        let cases = [
            (DirectoryState::Missing, None, Rejoin::NeverMade),
            (DirectoryState::Empty, None, Rejoin::NeverMade),
            (DirectoryState::Missing, Some(&anchor), Rejoin::DirectoryMissing { node }),
            (DirectoryState::Empty, Some(&anchor), Rejoin::DirectoryEmpty { node }),
            (present, None, Rejoin::AnchorMissing { node }),
        ];
        for (directory, anchor, expected) in cases {
            assert_eq!(examine(&directory, anchor), Err(expected));
        }
    }

    #[test]
    fn a_directory_older_than_its_anchor_is_refused_whatever_it_forgot() {
        let starts = judged(|directory, _| directory.starts = 4);
        assert_eq!(starts, Err(Rejoin::StartsForgotten { directory: 4, anchor: 5 }));
        let (had, now) = (vote(3, 2, true), vote(3, 2, false));
        for now in [Some(now), Some(vote(3, 1, true)), Some(vote(2, 9, true)), None] {
            let forgotten = judged(|directory, _| directory.vote = now);
            assert_eq!(forgotten, Err(Rejoin::VoteForgotten { directory: now, anchor: had }));
        }
        for now in [Some(entry(3, 99)), Some(entry(2, 500)), None] {
            let forgotten = judged(|directory, _| directory.last = now);
            let anchor = entry(3, 100);
            assert_eq!(forgotten, Err(Rejoin::EntriesForgotten { directory: now, anchor }));
        }
        let genesis = judged(|directory, _| directory.genesis = None);
        assert_eq!(genesis, Err(Rejoin::GenesisForgotten { anchor: Fixed([1; 32]) }));
    }

    #[test]
    fn a_foreign_directory_an_old_anchor_and_another_federation_are_refused() {
        let foreign = judged(|directory, _| directory.node = node(8));
        assert_eq!(foreign, Err(Rejoin::Foreign { directory: node(8), anchor: node(7) }));
        let behind = judged(|directory, _| directory.starts = 7);
        assert_eq!(behind, Err(Rejoin::AnchorBehind { directory: 7, anchor: 5 }));
        let other = judged(|directory, _| directory.genesis = Some(Fixed([2; 32])));
        let (directory, anchor) = (Fixed([2; 32]), Fixed([1; 32]));
        assert_eq!(other, Err(Rejoin::OtherGenesis { directory, anchor }));
    }

    #[test]
    fn every_refusal_says_how_to_come_back() {
        let rolled_back = judged(|directory, _| directory.vote = None).unwrap_err().to_string();
        assert!(
            rolled_back.starts_with(
                "rolled back: the directory has none as its last vote, its anchor term 3 for node \
                 0000000000000002: rejoin as a new node: "
            ),
            "{rolled_back}"
        );
        for part in ["`exequatur init`", "federation.toml", "`exequatur cluster invite`"] {
            assert!(rolled_back.contains(part), "{rolled_back}");
        }
    }
}
