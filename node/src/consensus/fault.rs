//! Faults of storage after which a node must not go on.

use std::sync::Arc;

use tokio::sync::watch;

/// Why a node must stop. What is durable is no longer known, or what is stored cannot be applied;
/// trying again would only hide that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageFault {
    /// The log cannot be written.
    #[error(
        "the log cannot be written: {cause}; check the disk, then start the node again: it goes on \
         from what is durable"
    )]
    LogWrite {
        /// What the disk said.
        cause: String,
    },
    /// The log is damaged.
    #[error(
        "the log cannot be read: {cause}; the directory is damaged: let the node leave and join \
         as a new node (`exequatur cluster remove`, `exequatur init`, `exequatur cluster join`)"
    )]
    LogRead {
        /// What is wrong.
        cause: String,
    },
    /// The anchor cannot be written.
    #[error("the anchor cannot be written: {cause}; check the disk that `cluster.anchor` names")]
    Anchor {
        /// What the disk said.
        cause: String,
    },
    /// A snapshot cannot be written.
    #[error("a snapshot cannot be kept: {cause}; check the disk, then start the node again")]
    Snapshot {
        /// What is wrong.
        cause: String,
    },
    /// A committed entry cannot be applied.
    #[error(
        "entry {index} is committed but cannot be applied: {cause}; this program may be older than \
         the federation's: install the current one"
    )]
    Apply {
        /// The entry.
        index: u64,
        /// What is wrong.
        cause: String,
    },
}

/// Tells whoever supervises the node of the first fault.
#[derive(Clone, Debug)]
pub struct FaultSignal(Arc<watch::Sender<Option<StorageFault>>>);

impl Default for FaultSignal {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl FaultSignal {
    /// Keeps the first fault; later ones follow from it.
    pub fn raise(&self, fault: StorageFault) {
        self.0.send_if_modified(|first| {
            if first.is_some() {
                return false;
            }
            tracing::error!(%fault, "the node must stop");
            *first = Some(fault);
            true
        });
    }

    /// The first fault, once there is one.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Option<StorageFault>> {
        self.0.subscribe()
    }

    /// The first fault, if there was one.
    #[must_use]
    pub fn current(&self) -> Option<StorageFault> {
        self.0.borrow().clone()
    }
}
