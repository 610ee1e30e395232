//! The key store of production: keys made in an HSM, reached by PKCS#11 (OASIS PKCS#11 2.40).
//!
//! ```text
//! Signer::sign ─ breaker ─ queue ─ worker thread with a session ─ device ─ verified ─ released
//! ```
//!
//! A missing key, a key that could leave the device, an absent slot or a wrong PIN stops the start
//! and names the label; nothing is ever done in software instead. While the node runs, a device
//! that goes makes signing fail and is found again when it comes back. PKCS#11's words (slot,
//! session, mechanism, object, PIN) and the `cryptoki` crate stay in this folder.

mod breaker;
mod context;
mod device;
mod inspect;
mod keys;
mod mechanisms;
mod open_error;
mod records;
mod secrets;
mod session_pool;
mod signer;
mod slot;

use std::{
    num::NonZeroU8,
    path::PathBuf,
    sync::{Arc, Mutex, atomic::AtomicU64, atomic::Ordering},
    time::Duration,
};

use cryptoki::session::Session;
use exequatur_federation::{
    jose::{Algorithm, PublicKey},
    region::RegionId,
};

use self::{
    context::{Access, Module, locked},
    device::{DeviceError, KeyReference},
    secrets::SealedSecrets,
    session_pool::{PoolSettings, SessionPool},
    signer::{Machinery, Pkcs11Signer, SlotDevice},
    slot::OpenSlot,
};
use super::{Health, KeyStore, KeyStoreError, Purpose, Secret32, Signer, checked_secret_name};
use crate::{
    clock::Clock,
    entropy::{Entropy, draw},
};

pub(super) use inspect::{mechanisms_checked, reached, signs_per_second};
pub use open_error::OpenError;
pub use records::SlotRecords;

/// Sessions unless configured: a device that is quick keeps four busy from one node, and more threads
/// than cores bought nothing with SoftHSM.
pub const SESSIONS_DEFAULT: NonZeroU8 = NonZeroU8::MIN.saturating_add(3);
/// Deadline of one call unless configured: a network HSM answers in some 10 ms, and a client waits
/// a few seconds.
pub const DEADLINE_DEFAULT: Duration = Duration::from_secs(2);
/// What a key signs to prove that its halves belong together.
const PROOF: &[u8] = b"exequatur pairwise test";

/// Where the HSM is and how it is used.
#[derive(Clone, Debug)]
pub struct Pkcs11Config {
    /// The region whose keys they are.
    pub region: RegionId,
    /// The PKCS#11 library.
    pub module: PathBuf,
    /// The label of the slot's token.
    pub slot: String,
    /// The file that holds the PIN, readable by its owner only.
    pub pin_file: PathBuf,
    /// The file in which secrets are kept, sealed by a key of the HSM.
    pub secrets_file: PathBuf,
    /// Sessions, and so calls that run at once.
    pub sessions: NonZeroU8,
    /// Longest time from a call to its answer.
    pub deadline: Duration,
}

/// Keys in one slot of an HSM.
pub struct Pkcs11KeyStore {
    slot: Arc<OpenSlot>,
    region: RegionId,
    secrets: SealedSecrets,
    entropy: Arc<dyn Entropy>,
    machinery: Arc<Machinery>,
    /// Every key that was handed out, once.
    signers: Mutex<Vec<Arc<Pkcs11Signer>>>,
}

impl Pkcs11KeyStore {
    /// Loads the library, finds the slot, logs in and starts the workers. Makes nothing.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(
        config: Pkcs11Config,
        entropy: Arc<dyn Entropy>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let module = Module::load(&config.module)?;
        let slot = OpenSlot::find(module, &config.slot, &config.pin_file, Arc::clone(&clock))?;
        slot.log_in(&config.pin_file)?;
        let slot = Arc::new(slot);
        refuse_foreign_keys(&slot, &config.region)?;
        let settings =
            PoolSettings { workers: usize::from(config.sessions.get()), deadline: config.deadline };
        let device = Arc::new(SlotDevice(Arc::clone(&slot)));
        let pool =
            SessionPool::start(device, Arc::clone(&clock), settings).map_err(OpenError::Thread)?;
        let (region, path) = (config.region, config.secrets_file);
        let secrets = SealedSecrets { slot: Arc::clone(&slot), region: region.clone(), path };
        let machinery = Arc::new(Machinery { pool, clock, rejected: AtomicU64::new(0) });
        Ok(Self { slot, region, secrets, entropy, machinery, signers: Mutex::default() })
    }

    fn label(&self, purpose: Purpose, algorithm: Algorithm) -> String {
        keys::label(&self.region, purpose, algorithm)
    }

    /// Does something in a session of its own, about the key of this label.
    fn in_session<T>(
        &self,
        label: &str,
        access: Access,
        act: impl FnOnce(&Session) -> Result<T, KeyStoreError>,
    ) -> Result<T, KeyStoreError> {
        let concerning = |error: DeviceError| error.concerning(label, self.slot.label());
        let session = self.slot.session(access).map_err(concerning)?;
        act(&*session.enter().map_err(concerning)?)
    }

    /// The key of this label, proved by a signature.
    fn proved(
        &self,
        session: &Session,
        label: &str,
        algorithm: Algorithm,
    ) -> Result<Option<(KeyReference, PublicKey)>, KeyStoreError> {
        let Some((key, public)) = keys::find(session, self.slot.label(), label, algorithm)? else {
            return Ok(None);
        };
        let concerning = |error: DeviceError| error.concerning(label, self.slot.label());
        let handle = keys::find_again(session, &key).map_err(concerning)?;
        let input = signer::input(algorithm, PROOF);
        let proof = mechanisms::sign(session, handle, algorithm, &input).map_err(concerning)?;
        if public.verify(algorithm, PROOF, &proof) {
            return Ok(Some((key, public)));
        }
        let detail = "its public half does not verify its signature";
        Err(KeyStoreError::NotItself { key: label.to_owned(), detail })
    }

    fn signer(&self, key: KeyReference, public: PublicKey) -> Arc<dyn Signer> {
        let mut signers = locked(&self.signers);
        if let Some(known) = signers.iter().find(|known| known.key().id == key.id) {
            return Arc::clone(known) as Arc<dyn Signer>;
        }
        let signer = Arc::new(Pkcs11Signer::new(key, public, Arc::clone(&self.machinery)));
        signers.push(Arc::clone(&signer));
        signer
    }

    fn refuse_unsupported(&self, label: &str, algorithm: Algorithm) -> Result<(), KeyStoreError> {
        let known = self.slot.mechanisms();
        let known = known.map_err(|error| error.concerning(label, self.slot.label()))?;
        let mut needed = mechanisms::needed(algorithm).into_iter();
        let Some(missing) = needed.find(|mechanism| !known.contains(mechanism)) else {
            return Ok(());
        };
        let detail = format!("slot `{}` does not list {missing}", self.slot.label());
        Err(KeyStoreError::Unsupported { algorithm: algorithm.as_str(), detail })
    }
}

impl KeyStore for Pkcs11KeyStore {
    fn find(
        &self,
        purpose: Purpose,
        algorithm: Algorithm,
    ) -> Result<Option<Arc<dyn Signer>>, KeyStoreError> {
        let label = self.label(purpose, algorithm);
        let found = self
            .in_session(&label, Access::Read, |session| self.proved(session, &label, algorithm))?;
        Ok(found.map(|(key, public)| self.signer(key, public)))
    }

    fn create(
        &self,
        purpose: Purpose,
        algorithm: Algorithm,
    ) -> Result<Arc<dyn Signer>, KeyStoreError> {
        let label = self.label(purpose, algorithm);
        let concerning = |error: DeviceError| error.concerning(&label, self.slot.label());
        let (key, public) = self.in_session(&label, Access::Write, |session| {
            if keys::find(session, self.slot.label(), &label, algorithm)?.is_some() {
                return Err(KeyStoreError::AlreadyExists { key: label.clone() });
            }
            self.refuse_unsupported(&label, algorithm)?;
            keys::create(session, &label, algorithm).map_err(concerning)?;
            let made = self.proved(session, &label, algorithm)?;
            made.ok_or_else(|| concerning(DeviceError::KeyAbsent))
        })?;
        Ok(self.signer(key, public))
    }

    fn secret(&self, name: &str) -> Result<Option<Secret32>, KeyStoreError> {
        checked_secret_name(name)?;
        self.secrets.open(name)
    }

    fn create_secret(&self, name: &str) -> Result<Secret32, KeyStoreError> {
        let secret = Secret32::from_bytes(draw(&*self.entropy)?);
        self.keep_secret(name, &secret)?;
        Ok(secret)
    }

    fn keep_secret(&self, name: &str, secret: &Secret32) -> Result<(), KeyStoreError> {
        checked_secret_name(name)?;
        self.secrets.keep(name, secret, &*self.entropy)
    }

    fn check(&self) -> Result<(), KeyStoreError> {
        let signers: Vec<_> = locked(&self.signers).clone();
        for signer in signers {
            let KeyReference { label, algorithm, .. } = signer.key();
            let found = self.in_session(label, Access::Read, |session| {
                self.proved(session, label, *algorithm)
            })?;
            let absent = || DeviceError::KeyAbsent.concerning(label, self.slot.label());
            let (_, public) = found.ok_or_else(absent)?;
            if public != *signer.public_key() {
                let detail = "another key has its label since it was found";
                return Err(KeyStoreError::NotItself { key: label.clone(), detail });
            }
        }
        self.secrets.check()
    }

    fn records(&self) -> Option<SlotRecords> {
        Some(SlotRecords::of(&self.slot))
    }

    fn health(&self) -> Health {
        let Machinery { pool, rejected, .. } = &*self.machinery;
        Health {
            available: locked(&self.signers).iter().all(|signer| signer.is_available()),
            workers_hung: pool.workers_hung(),
            deadlines_passed: pool.deadlines_passed(),
            signatures_rejected: rejected.load(Ordering::Relaxed),
        }
    }
}

fn refuse_foreign_keys(slot: &OpenSlot, region: &RegionId) -> Result<(), OpenError> {
    let session = slot.session(Access::Read)?;
    match keys::foreign_region(&*session.enter()?, region)? {
        None => Ok(()),
        Some(found) => Err(OpenError::ForeignKeys {
            slot: slot.label().to_owned(),
            expected: region.to_string(),
            found,
        }),
    }
}
