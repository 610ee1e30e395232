//! A SoftHSM2 slot for `exequatur demo --hsm`: its token store, configuration and PIN, all in the
//! demo's directory. The machine's own SoftHSM tokens are neither seen nor touched, for
//! `SOFTHSM2_CONF` is set for the demo's children and nobody else.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::Command;
use zeroize::Zeroizing;

use super::directory::{Directory, FilesError, hex};
use crate::entropy::{Entropy, EntropyError, draw};

/// The variable by which SoftHSM finds its configuration.
pub(crate) const ENVIRONMENT: &str = "SOFTHSM2_CONF";
/// Where distributions install the module.
const MODULES: [&str; 5] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
];
/// The program that makes a token.
const UTILITY: &str = "softhsm2-util";

/// A slot with a token that `exequatur init` can put keys into.
#[derive(Debug)]
pub(crate) struct Slot {
    /// The PKCS#11 library.
    pub(crate) module: PathBuf,
    /// Label of the token.
    pub(crate) label: &'static str,
    /// File with the user's PIN.
    pub(crate) pin_file: PathBuf,
    /// The value of [`ENVIRONMENT`].
    pub(crate) environment: PathBuf,
}

/// Why there is no slot.
#[derive(Debug, thiserror::Error)]
pub enum SoftHsmError {
    /// No randomness for PINs.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// A file could not be written.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// SoftHSM2 is not on this machine.
    #[error(
        "SoftHSM2 is not installed ({missing} not found): install the Debian package `softhsm2`, \
         or leave `--hsm` out"
    )]
    Missing {
        /// What was looked for.
        missing: &'static str,
    },
    /// The token store's directory could not be made.
    #[error("`{}` cannot be made", path.display())]
    Store {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The utility did not make a token.
    #[error("`{UTILITY} --init-token` failed: {reason}")]
    Utility {
        /// What it wrote, or why it did not start.
        reason: String,
    },
}

/// Makes a slot in a region's directory; the region's name is the label of its token.
///
/// # Errors
/// See [`SoftHsmError`].
pub(crate) async fn make_slot(
    label: &'static str,
    directory: &Directory,
    entropy: &dyn Entropy,
) -> Result<Slot, SoftHsmError> {
    let module = installed_module(&MODULES)?;
    let store = directory.file("softhsm2-tokens");
    std::fs::create_dir(&store)
        .map_err(|source| SoftHsmError::Store { path: store.clone(), source })?;
    let environment = directory.write("softhsm2.conf", &configuration(&store))?;
    let pin = new_pin(entropy)?;
    let pin_file = directory.write("pin", &pin)?;
    init_token((&environment, label), &pin, &new_pin(entropy)?).await?;
    Ok(Slot { module, label, pin_file, environment })
}

fn installed_module(places: &[&'static str]) -> Result<PathBuf, SoftHsmError> {
    let found = places.iter().map(Path::new).find(|path| path.exists());
    found.map(Path::to_owned).ok_or(SoftHsmError::Missing { missing: "libsofthsm2.so" })
}

fn configuration(store: &Path) -> String {
    format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n\
         slots.removable = false\n",
        store.display()
    )
}

/// 64 random bits: the token store is a directory of this demo that only its owner can enter.
fn new_pin(entropy: &dyn Entropy) -> Result<Zeroizing<String>, EntropyError> {
    Ok(Zeroizing::new(hex(&draw::<8>(entropy)?)))
}

/// The utility takes PINs only as arguments or from a terminal; these two are worth nothing outside
/// the demo's directory.
async fn init_token(
    (environment, label): (&Path, &str),
    pin: &str,
    so_pin: &str,
) -> Result<(), SoftHsmError> {
    let output = Command::new(UTILITY)
        .args(["--init-token", "--free", "--label", label, "--pin", pin, "--so-pin", so_pin])
        .env(ENVIRONMENT, AsRef::<OsStr>::as_ref(environment))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await;
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(SoftHsmError::Utility { reason })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(SoftHsmError::Missing { missing: UTILITY })
        }
        Err(error) => Err(SoftHsmError::Utility { reason: error.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    #[test]
    fn a_machine_without_the_module_is_told_which_package_has_it() {
        let error = installed_module(&["/nowhere/libsofthsm2.so"]).unwrap_err().to_string();
        assert!(error.contains("`softhsm2`") && error.contains("libsofthsm2.so"), "{error}");
    }

    #[tokio::test]
    async fn a_slot_is_made_in_the_demo_s_own_directory() {
        let outer = tempfile::tempdir().unwrap();
        let entropy = SystemEntropy::default();
        let directory = Directory::prepare(Some(outer.path()), &entropy).unwrap();
        let slot = make_slot("eu-central", &directory, &entropy).await.unwrap();
        assert!(slot.module.exists());
        assert_eq!(std::fs::read_to_string(&slot.pin_file).unwrap().len(), 16);
        let tokens = std::fs::read_dir(outer.path().join("softhsm2-tokens")).unwrap().count();
        assert_eq!(tokens, 1);
    }
}
