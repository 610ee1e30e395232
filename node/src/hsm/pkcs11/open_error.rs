//! Why a key store in an HSM cannot be opened, in words for the operator who must mend it.

use std::path::PathBuf;

use super::{super::private_file::PrivateFileError, device::DeviceError};

/// Why a PKCS#11 key store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The library or the device failed.
    #[error("the HSM failed: {detail}")]
    Device {
        /// What the library said.
        detail: String,
    },
    /// The slot holds keys of another region.
    #[error(
        "slot `{slot}` holds keys of region `{found}`, not of `{expected}`: check `slot` and the \
         region's name"
    )]
    ForeignKeys {
        /// The slot's label.
        slot: String,
        /// The region that is configured.
        expected: String,
        /// The region whose keys are there.
        found: String,
    },
    /// The library does not load or start.
    #[error("`{}` is no PKCS#11 library that works: {detail}; check `module`", path.display())]
    Module {
        /// The library.
        path: PathBuf,
        /// What the loader or the library said.
        detail: String,
    },
    /// One more wrong PIN would lock the slot, or it is locked already.
    #[error(
        "the PIN of slot `{slot}` was not tried, because the slot is locked or one failure from \
         it: log in once with the vendor's tool, or unlock it"
    )]
    PinAtRisk {
        /// The slot's label.
        slot: String,
    },
    /// The PIN's file.
    #[error(transparent)]
    PinFile(#[from] PrivateFileError),
    /// The PIN is no text.
    #[error("`{}` holds no UTF-8 text", path.display())]
    PinMalformed {
        /// The PIN's file.
        path: PathBuf,
    },
    /// The slot refused the PIN.
    #[error(
        "slot `{slot}` refused the PIN in `{}`: it is not tried again before a restart, mend the \
         file first",
        path.display()
    )]
    PinRefused {
        /// The slot's label.
        slot: String,
        /// The PIN's file.
        path: PathBuf,
    },
    /// Several slots have the label.
    #[error("{count} slots are labelled `{label}`: relabel all but one")]
    SlotAmbiguous {
        /// The label.
        label: String,
        /// How many there are.
        count: usize,
    },
    /// No slot has the label.
    #[error("no slot is labelled `{label}`; the library shows {}", listed(seen))]
    SlotMissing {
        /// The label.
        label: String,
        /// The labels that there are.
        seen: Vec<String>,
    },
    /// The workers could not be started.
    #[error("the threads for the HSM cannot be started")]
    Thread(#[source] std::io::Error),
}

impl From<DeviceError> for OpenError {
    fn from(error: DeviceError) -> Self {
        Self::Device { detail: error.to_string() }
    }
}

fn listed(labels: &[String]) -> String {
    if labels.is_empty() {
        return "no slot at all".to_owned();
    }
    labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ")
}
