//! One slot, found by its label: sessions that are logged in, with a PIN that is tried once.
//!
//! A refused PIN is never tried again in this process, lest the slot locks; a PIN that was
//! accepted is used again when the device has lost the login. One session stays open unused,
//! because the login ends with the last session.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use cryptoki::{
    error::{Error, RvError},
    mechanism::MechanismType,
    session::{Session, SessionState, UserType},
    slot::Slot,
    types::AuthPin,
};

use super::{
    super::private_file,
    OpenError,
    context::{Access, Entered, LiveSession, Module, locked},
    device::DeviceError,
};
use crate::clock::Clock;

/// Bytes of a PIN file: devices take PINs of 4 to some 255 bytes.
const PIN_BYTES_MIN: usize = 4;
const PIN_BYTES_MAX: usize = 256;
/// Shortest time between two restarts of the library for one slot: well under the five seconds in
/// which issuance must be back when the device is, and long beside the milliseconds of a restart.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// What is known of a slot's login, in this process.
#[derive(Default)]
pub(super) struct Login {
    refused: bool,
    /// Keeps the login alive while workers close and open their sessions.
    anchor: Option<LiveSession>,
}

/// One slot of one library.
pub(super) struct OpenSlot {
    module: Arc<Module>,
    label: String,
    clock: Arc<dyn Clock>,
    pin: AuthPin,
    login: Arc<Mutex<Login>>,
    /// The slot's number, and in which life of the library it has it.
    found: Mutex<(u64, Slot)>,
    restart_due: Mutex<Duration>,
}

impl OpenSlot {
    /// Finds the one slot of this label and reads its PIN; does not log in yet.
    pub(super) fn find(
        module: Arc<Module>,
        label: &str,
        pin_file: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let entered = module.enter();
        let found = (entered.life(), find_labelled(&entered, label)?);
        drop(entered);
        let login = Arc::clone(locked(&module.logins).entry(label.to_owned()).or_default());
        let pin = read_pin(pin_file)?;
        Ok(Self {
            module,
            label: label.to_owned(),
            clock,
            pin,
            login,
            found: Mutex::new(found),
            restart_due: Mutex::default(),
        })
    }

    /// The label of the slot.
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// Logs in for the first time, and refuses a slot that a wrong PIN would lock.
    pub(super) fn log_in(&self, pin_file: &Path) -> Result<(), OpenError> {
        let slot = || self.label.clone();
        let entered = self.module.enter();
        let info = entered.get_token_info(self.number(&entered)?).map_err(DeviceError::from)?;
        drop(entered);
        if info.user_pin_locked() || info.user_pin_final_try() {
            return Err(OpenError::PinAtRisk { slot: slot() });
        }
        match self.session(Access::Read) {
            Ok(_) => Ok(()),
            Err(DeviceError::PinRefused) => {
                Err(OpenError::PinRefused { slot: slot(), path: pin_file.to_owned() })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a session that is logged in. A library that no longer knows the slot is started anew.
    pub(super) fn session(&self, access: Access) -> Result<LiveSession, DeviceError> {
        let entered = self.module.enter();
        let life = entered.life();
        // The device answers for the slot, or the library has lost it: sessions may still open.
        let known = self.number(&entered).and_then(|slot| Ok(entered.get_token_info(slot)?));
        let Err(lost) = known else { return self.logged_in(&entered, access) };
        drop(entered);
        if !self.begins_another_life(life) {
            return Err(lost);
        }
        self.logged_in(&self.module.enter(), access)
    }

    /// What the slot can do.
    pub(super) fn mechanisms(&self) -> Result<Vec<MechanismType>, DeviceError> {
        let entered = self.module.enter();
        Ok(entered.get_mechanism_list(self.number(&entered)?)?)
    }

    fn logged_in(&self, entered: &Entered<'_>, access: Access) -> Result<LiveSession, DeviceError> {
        let slot = self.number(entered)?;
        let live = entered.open(&self.module, slot, access)?;
        let mut login = locked(&self.login);
        if login.refused {
            return Err(DeviceError::PinRefused);
        }
        let session = live.enter()?;
        let state = session.get_session_info()?.session_state();
        if !matches!(state, SessionState::RoUser | SessionState::RwUser) {
            self.try_pin(&session, &mut login)?;
        }
        drop(session);
        if !login.anchor.as_ref().is_some_and(|anchor| anchor.is_of(entered.life())) {
            login.anchor = Some(entered.open(&self.module, slot, Access::Read)?);
        }
        Ok(live)
    }

    fn try_pin(&self, session: &Session, login: &mut Login) -> Result<(), DeviceError> {
        match session.login(UserType::User, Some(&self.pin)) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
            Err(error) if is_refusal(&error) => {
                login.refused = true;
                Err(DeviceError::PinRefused)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The slot's number in this life of the library.
    fn number(&self, entered: &Entered<'_>) -> Result<Slot, DeviceError> {
        let mut found = locked(&self.found);
        if found.0 != entered.life() {
            let slot = find_labelled(entered, &self.label);
            *found = (entered.life(), slot.map_err(|e| DeviceError::Failed(e.to_string()))?);
        }
        Ok(found.1)
    }

    /// Whether the library is in another life than `life`, if need be by starting it anew now.
    fn begins_another_life(&self, life: u64) -> bool {
        if self.module.enter().life() != life {
            return true;
        }
        let mut due = locked(&self.restart_due);
        let now = self.clock.monotonic();
        if now < *due || !self.module.restart(life) {
            return false;
        }
        *due = now.saturating_add(RESTART_PAUSE);
        true
    }
}

fn find_labelled(entered: &Entered<'_>, label: &str) -> Result<Slot, OpenError> {
    let mut found = Vec::new();
    let mut seen = Vec::new();
    for slot in entered.get_slots_with_initialized_token().map_err(DeviceError::from)? {
        let info = entered.get_token_info(slot).map_err(DeviceError::from)?;
        if info.label() == label {
            found.push(slot);
        }
        seen.push(info.label().to_owned());
    }
    match *found.as_slice() {
        [slot] => Ok(slot),
        [] => Err(OpenError::SlotMissing { label: label.to_owned(), seen }),
        _ => Err(OpenError::SlotAmbiguous { label: label.to_owned(), count: found.len() }),
    }
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
