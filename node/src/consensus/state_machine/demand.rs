//! When a snapshot is due: by the bytes of log that a start would have to apply again.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::watch;

/// Bytes of log after which a snapshot is due. A start applies at most some twice of this again,
/// which takes about a second, and the log's file stays some tens of MiB.
pub const SNAPSHOT_LOG_BYTES: u64 = 8 * 1024 * 1024;

/// Counts applied bytes.
#[derive(Clone, Debug)]
pub(super) struct Demand {
    bytes: Arc<AtomicU64>,
    due: Arc<watch::Sender<bool>>,
}

impl Default for Demand {
    fn default() -> Self {
        Self { bytes: Arc::default(), due: Arc::new(watch::Sender::new(false)) }
    }
}

impl Demand {
    pub(super) fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.publish();
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Some of the bytes are in a snapshot now.
    pub(super) fn covered(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes.min(self.bytes()), Ordering::Relaxed);
        self.publish();
    }

    pub(super) fn watch(&self) -> watch::Receiver<bool> {
        self.due.subscribe()
    }

    fn publish(&self) {
        let due = self.bytes() >= SNAPSHOT_LOG_BYTES;
        self.due.send_if_modified(|before| std::mem::replace(before, due) != due);
    }
}
