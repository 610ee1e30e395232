//! Room on the disk, looked at before it is needed.
//!
//! A write that meets a full disk ends the process: how much of it arrived is not known. So nobody
//! proposes, and no follower takes entries, once room falls below a reserve, and everything goes on
//! by itself when there is room again. Votes still fit: the file has taken its room before.

use std::sync::Arc;

use crate::consensus::disk::LogDisk;

/// Room that is kept for one more snapshot, for what is under way when the reserve is reached, and
/// for the anchor.
pub(crate) const RESERVE_BYTES: u64 = 64 * 1024 * 1024;

/// Tells whether the log may grow.
#[derive(Clone, Debug)]
pub struct DiskSpace {
    disk: Arc<dyn LogDisk>,
}

impl DiskSpace {
    pub(super) fn new(disk: Arc<dyn LogDisk>) -> Self {
        Self { disk }
    }

    /// Whether new entries may be taken. One call of the operating system; to be asked before a
    /// proposal is made or entries are taken from a leader.
    #[must_use]
    pub fn has_room(&self) -> bool {
        match self.disk.space() {
            // The file doubles when it grows.
            Ok(space) => space.free >= RESERVE_BYTES.saturating_add(space.log),
            Err(error) => {
                tracing::warn!(%error, "the disk does not tell how much room it has");
                false
            }
        }
    }
}
