//! The PKCS#11 library and one slot of it: loaded once per process, logged in with a PIN that is
//! tried once.
//!
//! A library keeps its state per process, so every key store of a process shares one context per
//! library, which is never finalised: other threads may be inside it. Nobody logs out: that would
//! log out every session of the process. One session per slot stays open unused, because the login
//! ends with the last session. A refused PIN is never tried again, lest the slot locks.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
    mechanism::MechanismType,
    session::{Session, SessionState, UserType},
    slot::Slot,
    types::AuthPin,
};

use super::{
    super::private_file::{self, PrivateFileError},
    device::DeviceError,
};

/// Bytes of a PIN file: devices take PINs of 4 to some 255 bytes.
const PIN_BYTES_MIN: usize = 4;
const PIN_BYTES_MAX: usize = 256;

/// Every library that this process has loaded, under its real path.
static MODULES: Mutex<BTreeMap<PathBuf, Arc<Module>>> = Mutex::new(BTreeMap::new());

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

/// A loaded library.
pub(super) struct Module {
    pkcs11: Pkcs11,
    slots: Mutex<BTreeMap<u64, Arc<Mutex<Login>>>>,
}

/// What is known of a slot's login, in this process.
#[derive(Default)]
struct Login {
    refused: bool,
    /// Keeps the login alive while workers close and open theirs.
    anchor: Option<Session>,
}

/// One slot, found by its label.
#[derive(Clone)]
pub(super) struct OpenSlot {
    pkcs11: Pkcs11,
    slot: Slot,
    label: String,
    login: Arc<Mutex<Login>>,
    pin: Arc<AuthPin>,
}

impl Module {
    /// Loads and starts the library, unless this process has done so.
    pub(super) fn load(path: &Path) -> Result<Arc<Self>, OpenError> {
        let failed =
            |error: Error| OpenError::Module { path: path.to_owned(), detail: error.to_string() };
        // The same library under two names would be started twice. A name without a path is left
        // to the loader's search.
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let mut modules = locked(&MODULES);
        if let Some(module) = modules.get(&real) {
            return Ok(Arc::clone(module));
        }
        let pkcs11 = Pkcs11::new(&real)?;
        match pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(failed(error)),
        }
        let module = Arc::new(Self { pkcs11, slots: Mutex::default() });
        modules.insert(real, Arc::clone(&module));
        Ok(module)
    }

    /// What the library says it is.
    pub(super) fn description(&self) -> Result<String, OpenError> {
        let info = self.pkcs11.get_library_info()?;
        let version = info.library_version();
        Ok(format!("{} {version}", info.library_description().trim()))
    }

    /// The one slot of this label, not logged in yet. The PIN is read from its file.
    pub(super) fn slot(&self, label: &str, pin_file: &Path) -> Result<OpenSlot, OpenError> {
        let mut found = Vec::new();
        let mut seen = Vec::new();
        for slot in self.pkcs11.get_slots_with_initialized_token()? {
            let info = self.pkcs11.get_token_info(slot)?;
            if info.label() == label {
                found.push(slot);
            }
            seen.push(info.label().to_owned());
        }
        let slot = match *found.as_slice() {
            [slot] => slot,
            [] => return Err(OpenError::SlotMissing { label: label.to_owned(), seen }),
            _ => {
                return Err(OpenError::SlotAmbiguous {
                    label: label.to_owned(),
                    count: found.len(),
                });
            }
        };
        let login = Arc::clone(locked(&self.slots).entry(slot.id()).or_default());
        let pin = Arc::new(read_pin(pin_file)?);
        Ok(OpenSlot { pkcs11: self.pkcs11.clone(), slot, label: label.to_owned(), login, pin })
    }
}

impl OpenSlot {
    /// The label of the slot.
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// Logs in for the first time, and refuses a slot that a wrong PIN would lock.
    pub(super) fn log_in(&self, pin_file: &Path) -> Result<(), OpenError> {
        let slot = || self.label.clone();
        let info = self.pkcs11.get_token_info(self.slot)?;
        if info.user_pin_locked() || info.user_pin_final_try() {
            return Err(OpenError::PinAtRisk { slot: slot() });
        }
        match self.session(Access::Read) {
            Ok(session) => {
                locked(&self.login).anchor.get_or_insert(session);
                Ok(())
            }
            Err(DeviceError::PinRefused) => {
                Err(OpenError::PinRefused { slot: slot(), path: pin_file.to_owned() })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a session that is logged in.
    pub(super) fn session(&self, access: Access) -> Result<Session, DeviceError> {
        let session = match access {
            Access::Read => self.pkcs11.open_ro_session(self.slot)?,
            Access::Write => self.pkcs11.open_rw_session(self.slot)?,
        };
        let mut login = locked(&self.login);
        if login.refused {
            return Err(DeviceError::PinRefused);
        }
        let state = session.get_session_info()?.session_state();
        if matches!(state, SessionState::RoUser | SessionState::RwUser) {
            return Ok(session);
        }
        match session.login(UserType::User, Some(&self.pin)) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
            Err(error) if is_refusal(&error) => {
                login.refused = true;
                Err(DeviceError::PinRefused)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What the slot can do.
    pub(super) fn mechanisms(&self) -> Result<Vec<MechanismType>, DeviceError> {
        Ok(self.pkcs11.get_mechanism_list(self.slot)?)
    }
}

/// What a session may do with the slot's objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Use them.
    Read,
    /// Make and change them.
    Write,
}

impl From<Error> for DeviceError {
    /// Sorts what the library reports by what can be done about it.
    fn from(error: Error) -> Self {
        let refused = matches!(
            error,
            Error::Pkcs11(
                RvError::MechanismInvalid
                    | RvError::MechanismParamInvalid
                    | RvError::KeyTypeInconsistent
                    | RvError::KeyFunctionNotPermitted
                    | RvError::FunctionNotSupported,
                _,
            ) | Error::NullFunctionPointer
                | Error::NotSupported
        );
        if refused {
            Self::MechanismRefused(error.to_string())
        } else {
            Self::Failed(error.to_string())
        }
    }
}

impl From<Error> for OpenError {
    fn from(error: Error) -> Self {
        Self::Device { detail: error.to_string() }
    }
}

impl From<DeviceError> for OpenError {
    fn from(error: DeviceError) -> Self {
        Self::Device { detail: error.to_string() }
    }
}

/// Locks; what a thread that panicked left behind is complete, since nothing here changes in steps.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const fn is_refusal(error: &Error) -> bool {
    matches!(
        error,
        Error::Pkcs11(
            RvError::PinIncorrect
                | RvError::PinInvalid
                | RvError::PinLenRange
                | RvError::PinExpired
                | RvError::PinLocked
                | RvError::UserPinNotInitialized,
            _
        )
    )
}

fn read_pin(path: &Path) -> Result<AuthPin, OpenError> {
    let bytes = private_file::read(path, PIN_BYTES_MIN, PIN_BYTES_MAX)?;
    let text = std::str::from_utf8(bytes.trim_ascii_end());
    let text = text.map_err(|_| OpenError::PinMalformed { path: path.to_owned() })?;
    Ok(AuthPin::from(text))
}

fn listed(labels: &[String]) -> String {
    if labels.is_empty() {
        return "no slot at all".to_owned();
    }
    labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ")
}
