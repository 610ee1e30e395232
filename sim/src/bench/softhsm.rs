//! A SoftHSM2 slot of the run's own: an HSM in software, reached through PKCS#11 like a real one.
//! Without the module the run fails: a row is never left out in silence.

use std::{
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use super::program::{self, ProgramError};

/// Names the configuration file to the module and to its tool.
pub(crate) const CONFIGURATION_VARIABLE: &str = "SOFTHSM2_CONF";

/// Where distributions put the module.
const MODULES: [&str; 5] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
];
const LABEL: &str = "bench";
/// It guards keys that live as long as the run.
const PIN: &str = "73501846";

/// A slot in a directory.
#[derive(Debug)]
pub(crate) struct Slot {
    /// The PKCS#11 library.
    pub(crate) module: PathBuf,
    /// Label of the slot's token.
    pub(crate) label: &'static str,
    /// File with the PIN of the slot's user.
    pub(crate) pin_file: PathBuf,
    /// Value of [`CONFIGURATION_VARIABLE`].
    pub(crate) configuration: PathBuf,
}

/// Why there is no slot.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SlotError {
    /// Its files.
    #[error("the slot's files in `{}` could not be written: {cause}", directory.display())]
    Files {
        /// Where.
        directory: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The module is in none of the usual places.
    #[error("SoftHSM2 is not installed: install the package softhsm2 (libsofthsm2.so is in none of {})", MODULES.join(", "))]
    ModuleMissing,
    /// Its tool.
    #[error("{0} (it is in the package softhsm2)")]
    Tool(#[from] ProgramError),
}

impl Slot {
    /// Makes a slot with a user's PIN in `directory`.
    pub(crate) fn make(directory: &Path) -> Result<Self, SlotError> {
        let module = MODULES.iter().map(PathBuf::from).find(|module| module.exists());
        let slot = Self {
            module: module.ok_or(SlotError::ModuleMissing)?,
            label: LABEL,
            pin_file: directory.join("pin"),
            configuration: directory.join("softhsm2.conf"),
        };
        let written = slot.write_files(&directory.join("slots"));
        written.map_err(|cause| SlotError::Files { directory: directory.to_owned(), cause })?;
        let mut tool = Command::new("softhsm2-util");
        tool.args(["--init-token", "--free", "--label", LABEL, "--so-pin", PIN, "--pin", PIN])
            .env(CONFIGURATION_VARIABLE, &slot.configuration);
        program::run_to_end("softhsm2-util", &mut tool)?;
        Ok(slot)
    }

    fn write_files(&self, slots: &Path) -> io::Result<()> {
        std::fs::create_dir(slots)?;
        let configuration = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            slots.display()
        );
        std::fs::write(&self.configuration, configuration)?;
        write_private(&self.pin_file, PIN)
    }
}

/// Writes a file that only its owner may read.
pub(crate) fn write_private(path: &Path, content: &str) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_can_be_made_and_made_once() {
        let directory = tempfile::tempdir().unwrap();
        let slot = Slot::make(directory.path()).unwrap();
        assert!(slot.module.exists());
        assert!(directory.path().join("slots").read_dir().unwrap().next().is_some());
        assert!(matches!(Slot::make(directory.path()), Err(SlotError::Files { .. })));
    }
}
