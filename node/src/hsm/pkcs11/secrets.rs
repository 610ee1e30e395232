//! Secrets that an HSM cannot use but must protect: sealed by a key that never leaves it, kept in
//! a file beside the configuration.
//!
//! The wrapping key is AES-256 in the slot; each secret is sealed by AES-GCM (NIST SP 800-38D)
//! under a random IV, with the region and the secret's name authenticated, so that neither another
//! region's nor another secret's value passes for this one. A wrapping key is made only when the
//! first secret is.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use cryptoki::{
    mechanism::{Mechanism, aead::GcmParams},
    object::{Attribute, ObjectClass, ObjectHandle},
    session::Session,
};
use exequatur_federation::{
    jose::{base64url, from_base64url},
    region::RegionId,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    super::{
        KeyStoreError, PrivateFileError, Secret32,
        private_file::{self, Replacement},
    },
    context::{Access, LiveSession},
    device::DeviceError,
    keys, mechanisms,
    slot::OpenSlot,
};
use crate::entropy::{Entropy, draw};

/// Most bytes of the file: a sealed secret takes some 150, so this is some 400 secrets.
const FILE_BYTES_MAX: usize = 64 * 1_024;
const VERSION: u8 = 1;
/// Bytes of an IV: the length for which GCM is defined without hashing it.
const IV_BYTES: usize = 12;
const TAG_BITS: u64 = 128;
const STORE_KEY_BYTES: u64 = 32;

/// The secrets of one region.
pub(super) struct SealedSecrets {
    pub(super) slot: Arc<OpenSlot>,
    pub(super) region: RegionId,
    pub(super) path: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretsFile {
    version: u8,
    secrets: BTreeMap<String, Sealed>,
}

/// One secret as it is kept; both members are base64url.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    iv: String,
    sealed: String,
}

impl SealedSecrets {
    /// The secret of this name; `None` if there is none.
    pub(super) fn open(&self, name: &str) -> Result<Option<Secret32>, KeyStoreError> {
        let file = self.load()?;
        let Some(sealed) = file.secrets.get(name) else { return Ok(None) };
        let live = self.session(Access::Read)?;
        let session = live.enter().map_err(|error| self.failed(error))?;
        let key = self.store_key(&session)?.ok_or_else(|| KeyStoreError::KeyAbsent {
            key: self.label(),
            place: format!("slot `{}`", self.slot.label()),
        })?;
        self.unseal(&session, key, name, sealed).map(Some)
    }

    /// Seals and stores the secret of this name.
    pub(super) fn keep(
        &self,
        name: &str,
        secret: &Secret32,
        entropy: &dyn Entropy,
    ) -> Result<(), KeyStoreError> {
        let replacement = Replacement::begin(&self.path)?;
        let mut file = self.load()?;
        if file.secrets.contains_key(name) {
            return Err(KeyStoreError::AlreadyExists { key: name.to_owned() });
        }
        let live = self.session(Access::Write)?;
        let session = live.enter().map_err(|error| self.failed(error))?;
        let key = match self.store_key(&session)? {
            Some(key) => key,
            None if file.secrets.is_empty() => self.create_store_key(&session)?,
            // The key of the secrets in the file is gone: a new one would hide the loss.
            None => {
                let place = format!("slot `{}`", self.slot.label());
                return Err(KeyStoreError::KeyAbsent { key: self.label(), place });
            }
        };
        let sealed = self.seal(&session, key, name, (secret, draw(entropy)?))?;
        // What does not open again must not be relied upon.
        let opened = self.unseal(&session, key, name, &sealed)?;
        if opened.expose() != secret.expose() {
            return Err(self.unreadable());
        }
        file.secrets.insert(name.to_owned(), sealed);
        let bytes = serde_json::to_vec_pretty(&file).map_err(|_| self.unreadable())?;
        replacement.commit(&bytes)?;
        Ok(())
    }

    /// Checks that the wrapping key is there, if there is anything to unwrap.
    pub(super) fn check(&self) -> Result<(), KeyStoreError> {
        self.load()?.secrets.keys().try_for_each(|name| self.open(name).map(drop))
    }

    fn load(&self) -> Result<SecretsFile, KeyStoreError> {
        let bytes = match private_file::read(&self.path, 1, FILE_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(PrivateFileError::Missing { .. }) => {
                return Ok(SecretsFile { version: VERSION, secrets: BTreeMap::new() });
            }
            Err(error) => return Err(error.into()),
        };
        let file: SecretsFile = serde_json::from_slice(&bytes).map_err(|_| self.unreadable())?;
        if file.version == VERSION { Ok(file) } else { Err(self.unreadable()) }
    }

    fn seal(
        &self,
        session: &Session,
        key: ObjectHandle,
        name: &str,
        (secret, mut iv): (&Secret32, [u8; IV_BYTES]),
    ) -> Result<Sealed, KeyStoreError> {
        let text = base64url(&iv);
        let aad = self.authenticated(name);
        let sealed = GcmParams::new(&mut iv, &aad, TAG_BITS.into())
            .and_then(|gcm| session.encrypt(&Mechanism::AesGcm(gcm), key, secret.expose()))
            .map_err(|error| {
                DeviceError::from(error).concerning(&self.label(), self.slot.label())
            })?;
        Ok(Sealed { iv: text, sealed: base64url(&sealed) })
    }

    fn unseal(
        &self,
        session: &Session,
        key: ObjectHandle,
        name: &str,
        sealed: &Sealed,
    ) -> Result<Secret32, KeyStoreError> {
        let iv = from_base64url(&sealed.iv).and_then(|iv| <[u8; IV_BYTES]>::try_from(iv).ok());
        let mut iv = iv.ok_or_else(|| self.unreadable())?;
        let body = from_base64url(&sealed.sealed).ok_or_else(|| self.unreadable())?;
        let aad = self.authenticated(name);
        // Libraries report a wrong tag in many ways; all of them mean that it does not open.
        let opened = GcmParams::new(&mut iv, &aad, TAG_BITS.into())
            .and_then(|gcm| session.decrypt(&Mechanism::AesGcm(gcm), key, &body))
            .map(Zeroizing::new)
            .map_err(|_| self.unreadable())?;
        let bytes = <[u8; 32]>::try_from(opened.as_slice()).map_err(|_| self.unreadable())?;
        Ok(Secret32::from_bytes(bytes))
    }

    fn store_key(&self, session: &Session) -> Result<Option<ObjectHandle>, KeyStoreError> {
        let (slot, label) = (self.slot.label(), self.label());
        let with_label = Attribute::Label(label.as_str().into());
        let found = keys::only(session, slot, &label, ObjectClass::SECRET_KEY, with_label)?;
        if let Some(key) = found {
            keys::check_attributes(session, key).map_err(|e| e.concerning(&label, slot))?;
        }
        Ok(found)
    }

    fn create_store_key(&self, session: &Session) -> Result<ObjectHandle, KeyStoreError> {
        let mut template = mechanisms::template_for_life(&self.label());
        template.extend([
            Attribute::ValueLen(STORE_KEY_BYTES.into()),
            Attribute::Encrypt(true),
            Attribute::Decrypt(true),
        ]);
        let made = session.generate_key(&Mechanism::AesKeyGen, &template);
        made.map_err(|error| self.failed(error))
    }

    fn session(&self, access: Access) -> Result<LiveSession, KeyStoreError> {
        self.slot.session(access).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: impl Into<DeviceError>) -> KeyStoreError {
        error.into().concerning(&self.label(), self.slot.label())
    }

    fn label(&self) -> String {
        keys::store_label(&self.region)
    }

    fn authenticated(&self, name: &str) -> Vec<u8> {
        format!("{} {name}", self.label()).into_bytes()
    }

    fn unreadable(&self) -> KeyStoreError {
        KeyStoreError::Sealed { path: self.path.clone() }
    }
}
