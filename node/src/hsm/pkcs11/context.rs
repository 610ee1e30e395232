//! The PKCS#11 library: loaded once per process, entered by every thread through one gate, and
//! started anew when it has lost its slots.
//!
//! A library keeps its state per process, so every key store of a process shares one context per
//! library. Some libraries never find a slot again that was away for a moment; only `C_Finalize`
//! and `C_Initialize` help, and `C_Finalize` under a thread that is inside the library is undefined
//! behaviour. Hence the gate: who calls into the library holds it shared, a restart takes it
//! exclusively and only if nobody is inside. A session belongs to the library's life in which it
//! was opened: its handle may be another session's in the next, so that it is then neither used
//! nor closed. Nobody logs out: that would log out every session of the process.

use std::{
    collections::BTreeMap,
    fs,
    ops::Deref,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
    session::Session,
    slot::Slot,
};

use super::{OpenError, device::DeviceError, slot::Login};

/// Every library that this process has loaded, under its real path.
static MODULES: Mutex<BTreeMap<PathBuf, Arc<Module>>> = Mutex::new(BTreeMap::new());

/// A loaded library.
pub(super) struct Module {
    pkcs11: Pkcs11,
    /// Which life of the library this is, counted from 0. The lock is the gate.
    life: RwLock<u64>,
    /// What is known of the login in the slot of each label.
    pub(super) logins: Mutex<BTreeMap<String, Arc<Mutex<Login>>>>,
}

/// The right to call into the library, for as long as it is held.
pub(super) struct Entered<'a> {
    pkcs11: &'a Pkcs11,
    life: RwLockReadGuard<'a, u64>,
}

/// An open session, as long as the library's life lasts.
pub(super) struct LiveSession {
    module: Arc<Module>,
    life: u64,
    /// `None` only while it is dropped.
    session: Option<Session>,
}

/// A session that may be called, for as long as this is held.
pub(super) struct EnteredSession<'a> {
    session: &'a Session,
    _entered: Entered<'a>,
}

/// What a session may do with the slot's objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Use them.
    Read,
    /// Make and change them.
    Write,
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
        let pkcs11 = Pkcs11::new(&real).map_err(failed)?;
        initialize(&pkcs11).map_err(failed)?;
        let module = Arc::new(Self { pkcs11, life: RwLock::new(0), logins: Mutex::default() });
        modules.insert(real, Arc::clone(&module));
        Ok(module)
    }

    /// Enters the library; waits while it is started anew.
    pub(super) fn enter(&self) -> Entered<'_> {
        let life = self.life.read().unwrap_or_else(PoisonError::into_inner);
        Entered { pkcs11: &self.pkcs11, life }
    }

    /// What the library says it is.
    pub(super) fn description(&self) -> Result<String, DeviceError> {
        let info = self.enter().get_library_info()?;
        let version = info.library_version();
        Ok(format!("{} {version}", info.library_description().trim()))
    }

    /// Starts the library anew if this is still its life `life` and no thread is inside; whether
    /// another life has begun. Every session of the old life is gone.
    pub(super) fn restart(&self, life: u64) -> bool {
        let Ok(mut current) = self.life.try_write() else { return false };
        if *current != life {
            return true;
        }
        tracing::warn!("the PKCS#11 library has lost its slot and is started anew");
        // It may have ended by itself, or fail to start; the next attempt begins here again.
        if let Err(error) = self.pkcs11.clone().finalize() {
            tracing::warn!(%error, "the PKCS#11 library did not end in order");
        }
        if let Err(error) = initialize(&self.pkcs11) {
            tracing::error!(%error, "the PKCS#11 library does not start");
        }
        *current = life.saturating_add(1);
        true
    }
}

impl Entered<'_> {
    /// Which life of the library this is.
    pub(super) fn life(&self) -> u64 {
        *self.life
    }

    /// Opens a session, which is not logged in.
    pub(super) fn open(
        &self,
        module: &Arc<Module>,
        slot: Slot,
        access: Access,
    ) -> Result<LiveSession, DeviceError> {
        // Closing is left to `LiveSession`, which knows whether the handle is still its own.
        let session = match access {
            Access::Read => self.open_ro_session_no_drop(slot)?,
            Access::Write => self.open_rw_session_no_drop(slot)?,
        };
        Ok(LiveSession { module: Arc::clone(module), life: self.life(), session: Some(session) })
    }
}

impl Deref for Entered<'_> {
    type Target = Pkcs11;

    fn deref(&self) -> &Pkcs11 {
        self.pkcs11
    }
}

impl LiveSession {
    /// Enters the library by this session.
    pub(super) fn enter(&self) -> Result<EnteredSession<'_>, DeviceError> {
        let entered = self.module.enter();
        match &self.session {
            Some(session) if entered.life() == self.life => {
                Ok(EnteredSession { session, _entered: entered })
            }
            Some(_) | None => {
                Err(DeviceError::Failed("the session ended when the library did".to_owned()))
            }
        }
    }

    /// Whether the session is one of the library's life `life`.
    pub(super) const fn is_of(&self, life: u64) -> bool {
        self.life == life
    }
}

impl Drop for LiveSession {
    fn drop(&mut self) {
        // A restart that is under way ends every session, and its own thread must not wait for it.
        let Ok(life) = self.module.life.try_read() else { return };
        if let Some(session) = self.session.take().filter(|_| *life == self.life)
            && let Err(error) = session.close()
        {
            tracing::debug!(%error, "a session was gone before it was closed");
        }
    }
}

impl Deref for EnteredSession<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session
    }
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
            return Self::MechanismRefused(error.to_string());
        }
        Self::Failed(error.to_string())
    }
}

/// Locks; what a thread that panicked left behind is complete, since nothing here changes in steps.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn initialize(pkcs11: &Pkcs11) -> Result<(), Error> {
    match pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(()),
        Err(error) => Err(error),
    }
}
