//! Tells the node's anchors how far its log is.

use std::{
    io,
    sync::{Mutex, PoisonError},
};

use exequatur_federation::ledger::{LogId, Vote};

use crate::{
    consensus::AnchorSink,
    identity::{Anchors, Change, DirectoryFacts, DirectoryState, StartRefused},
};

/// The anchors, and what they were told last.
#[derive(Debug)]
pub(super) struct Remembering {
    anchors: Anchors,
    facts: Mutex<DirectoryFacts>,
}

impl Remembering {
    pub(super) const fn new(anchors: Anchors, facts: DirectoryFacts) -> Self {
        Self { anchors, facts: Mutex::new(facts) }
    }

    /// Compares the directory with the anchors.
    pub(super) fn examine(&self, found: &DirectoryFacts) -> Result<(), StartRefused> {
        self.anchors.examine(&DirectoryState::Present(*found))
    }

    /// Changes what is known of the directory, which was written before, and remembers it.
    pub(super) fn change(
        &self,
        kind: Change,
        change: impl FnOnce(&mut DirectoryFacts),
    ) -> io::Result<()> {
        let mut facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut facts);
        self.anchors.remember(&facts, kind).map_err(io::Error::other)
    }
}

impl AnchorSink for Remembering {
    fn vote(&self, vote: &Vote) -> io::Result<()> {
        self.change(Change::Promise, |facts| facts.vote = Some(*vote))
    }

    fn flushed(&self, last: Option<LogId>) -> io::Result<()> {
        self.change(Change::Progress, |facts| facts.last = last)
    }
}
