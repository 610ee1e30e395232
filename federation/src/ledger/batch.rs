//! What one log entry carries: proposals that were waiting at the same time.

use std::{fmt, sync::Arc};

use super::{EnvelopeError, Proposal, Replicable, proposal::PROPOSAL_BYTES_MAX};

/// Largest batch: a batch of one proposal of any size fits, and 128 batches fit one message.
pub const BATCH_BYTES_MAX: usize = PROPOSAL_BYTES_MAX;

/// Whole proposals, one after the other, in their frames. Every batch was checked when it was made
/// or read, so whoever holds one holds proposals and nothing else.
#[derive(Clone, PartialEq, Eq)]
pub struct Batch {
    sealed: Arc<[u8]>,
    proposals: u32,
}

/// Fills a batch up to its largest size.
#[derive(Debug, Default)]
pub struct BatchBuilder {
    sealed: Vec<u8>,
    proposals: u32,
}

impl Replicable for Batch {}

impl BatchBuilder {
    /// Adds the frame of a proposal, unless it does not fit any more.
    pub fn push(&mut self, proposal: &Proposal) -> bool {
        let before = self.sealed.len();
        proposal.seal_into(&mut self.sealed);
        let fits = self.sealed.len() <= BATCH_BYTES_MAX;
        if fits {
            self.proposals += 1;
        } else {
            self.sealed.truncate(before);
        }
        fits
    }

    /// Whether nothing was added.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.sealed.is_empty()
    }

    /// The batch.
    #[must_use]
    pub fn finish(self) -> Batch {
        Batch { sealed: self.sealed.into(), proposals: self.proposals }
    }
}

impl Batch {
    /// A batch of one proposal; `None` if it is too large.
    #[must_use]
    pub fn of(proposal: &Proposal) -> Option<Self> {
        let mut builder = BatchBuilder::default();
        builder.push(proposal).then(|| builder.finish())
    }

    /// Reads a batch and checks every proposal in it.
    ///
    /// # Errors
    /// It is empty, too large, or not made of proposals alone.
    pub fn open(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        if bytes.len() > BATCH_BYTES_MAX {
            return Err(EnvelopeError::Size { got: bytes.len(), max: BATCH_BYTES_MAX });
        }
        if bytes.is_empty() {
            return Err(EnvelopeError::Truncated);
        }
        let (mut rest, mut proposals) = (bytes, 0);
        while !rest.is_empty() {
            (_, rest) = Proposal::open(rest)?;
            proposals += 1;
        }
        Ok(Self { sealed: bytes.into(), proposals })
    }

    /// The frames.
    #[must_use]
    pub fn sealed(&self) -> &[u8] {
        &self.sealed
    }

    /// How many proposals there are.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.proposals
    }

    /// Never true of a batch that was read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.proposals == 0
    }

    /// The proposals in their order.
    pub fn proposals(&self) -> impl Iterator<Item = Proposal> {
        let mut rest: &[u8] = &self.sealed;
        std::iter::from_fn(move || {
            let (proposal, after) = Proposal::open(rest).ok()?;
            rest = after;
            Some(proposal)
        })
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({} proposals, {} bytes)", self.proposals, self.sealed.len())
    }
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
