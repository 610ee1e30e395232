//! The software key store: keys made by aws-lc-rs, kept in one sealed file.
//!
//! For development. Whoever reads the process's memory has the keys, and the store says so at
//! every start. A key is proved by a signature when it is loaded and by one in 256 after that,
//! which finds a key that rotted in memory without doubling the price of every signature.

mod key;
mod sealed_file;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use aws_lc_rs::rand::SystemRandom;
use exequatur_federation::{
    jose::{Algorithm, KeyId, PublicKey, base64url, from_base64url},
    region::RegionId,
};
use zeroize::Zeroizing;

use self::{
    key::PrivateKey,
    sealed_file::{Content, SealedFile, StoredKey, StoredSecret},
};
use super::{
    Defect, Health, KeyStore, KeyStoreError, Purpose, Secret32, SignError, Signer, Signing,
    checked_secret_name,
};
use crate::entropy::{Entropy, draw};

/// One signature of this many is verified before it is released.
const VERIFY_ONE_IN: u64 = 256;
/// What a key signs to prove that its halves belong together.
const PROOF: &[u8] = b"exequatur pairwise test";

/// Where a software key store is.
#[derive(Clone, Debug)]
pub struct SoftwareConfig {
    /// The region whose keys they are; the file of another region does not open.
    pub region: RegionId,
    /// The sealed file.
    pub key_file: PathBuf,
    /// The file that holds the passphrase: at least 32 bytes, readable by its owner only.
    pub passphrase_file: PathBuf,
}

/// Keys and secrets in one sealed file.
pub struct SoftwareKeyStore {
    file: SealedFile,
    entropy: Arc<dyn Entropy>,
    rejected: Arc<AtomicU64>,
}

impl SoftwareKeyStore {
    /// Makes an empty key file and, where there is none, a passphrase of 256 random bits.
    ///
    /// # Errors
    /// The key file exists already, or a file cannot be written.
    pub fn initialise(
        config: SoftwareConfig,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, KeyStoreError> {
        let store = Self::at(config, entropy);
        store.file.initialise(&*store.entropy)?;
        Ok(store)
    }

    /// Opens the key file that [`Self::initialise`] made.
    ///
    /// # Errors
    /// A file is missing, open to others, or does not open under the passphrase.
    pub fn open(config: SoftwareConfig, entropy: Arc<dyn Entropy>) -> Result<Self, KeyStoreError> {
        let store = Self::at(config, entropy);
        store.file.load()?;
        tracing::warn!(
            region = %store.file.region,
            key_file = %store.file.path.display(),
            "keys are kept in software: for development only, use provider pkcs11 in production"
        );
        Ok(store)
    }

    fn at(config: SoftwareConfig, entropy: Arc<dyn Entropy>) -> Self {
        let SoftwareConfig { region, key_file, passphrase_file } = config;
        let file = SealedFile { path: key_file, passphrase_path: passphrase_file, region };
        Self { file, entropy, rejected: Arc::default() }
    }

    fn signer(&self, stored: &StoredKey) -> Result<SoftwareSigner, KeyStoreError> {
        let label = label(stored.purpose, stored.algorithm);
        let unreadable = "it is no private key of its algorithm";
        let not_itself = |detail| KeyStoreError::NotItself { key: label.clone(), detail };
        let pkcs8 = from_base64url(&stored.pkcs8).map(Zeroizing::new);
        let key = pkcs8
            .and_then(|pkcs8| PrivateKey::from_pkcs8(stored.algorithm, &pkcs8))
            .ok_or_else(|| not_itself(unreadable))?;
        SoftwareSigner::proved(key, Arc::clone(&self.rejected))
            .ok_or_else(|| not_itself("its public half does not verify its signature"))
    }
}

impl KeyStore for SoftwareKeyStore {
    fn find(
        &self,
        purpose: Purpose,
        algorithm: Algorithm,
    ) -> Result<Option<Arc<dyn Signer>>, KeyStoreError> {
        let content = self.file.load()?;
        let mut fitting = content.keys_of(purpose, algorithm);
        let Some(stored) = fitting.next() else { return Ok(None) };
        let others = fitting.count();
        if others > 0 {
            let key = label(purpose, algorithm);
            return Err(KeyStoreError::Ambiguous { key, count: others.saturating_add(1) });
        }
        Ok(Some(Arc::new(self.signer(stored)?)))
    }

    fn create(
        &self,
        purpose: Purpose,
        algorithm: Algorithm,
    ) -> Result<Arc<dyn Signer>, KeyStoreError> {
        let unsupported = || KeyStoreError::Unsupported {
            algorithm: algorithm.as_str(),
            detail: "the cryptographic library could not make one".to_owned(),
        };
        let signer = self.file.update(&*self.entropy, |content| {
            if content.keys_of(purpose, algorithm).next().is_some() {
                return Err(KeyStoreError::AlreadyExists { key: label(purpose, algorithm) });
            }
            let pkcs8 = PrivateKey::generate(algorithm).and_then(|key| key.to_pkcs8());
            let pkcs8 = base64url(&pkcs8.ok_or_else(unsupported)?);
            let stored = StoredKey { purpose, algorithm, pkcs8 };
            let signer = self.signer(&stored)?;
            content.keys.push(stored);
            Ok(signer)
        })?;
        Ok(Arc::new(signer))
    }

    fn secret(&self, name: &str) -> Result<Option<Secret32>, KeyStoreError> {
        checked_secret_name(name)?;
        let content = self.file.load()?;
        let Some(stored) = content.secrets.iter().find(|s| s.name == name) else {
            return Ok(None);
        };
        let bytes = from_base64url(&stored.value).map(Zeroizing::new);
        let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
        let detail = "it is not 32 bytes long";
        let key = || name.to_owned();
        let bytes = bytes.ok_or_else(|| KeyStoreError::NotItself { key: key(), detail })?;
        Ok(Some(Secret32::from_bytes(bytes)))
    }

    fn create_secret(&self, name: &str) -> Result<Secret32, KeyStoreError> {
        let secret = Secret32::from_bytes(draw(&*self.entropy)?);
        self.keep_secret(name, &secret)?;
        Ok(secret)
    }

    fn keep_secret(&self, name: &str, secret: &Secret32) -> Result<(), KeyStoreError> {
        checked_secret_name(name)?;
        self.file.update(&*self.entropy, |content| {
            if content.secrets.iter().any(|s| s.name == name) {
                return Err(KeyStoreError::AlreadyExists { key: name.to_owned() });
            }
            let value = base64url(secret.expose());
            content.secrets.push(StoredSecret { name: name.to_owned(), value });
            Ok(())
        })
    }

    fn check(&self) -> Result<(), KeyStoreError> {
        self.file.load()?.keys.iter().try_for_each(|stored| self.signer(stored).map(drop))
    }

    fn health(&self) -> Health {
        let signatures_rejected = self.rejected.load(Ordering::Relaxed);
        Health { available: true, signatures_rejected, ..Health::default() }
    }
}

impl Content {
    fn keys_of(&self, purpose: Purpose, algorithm: Algorithm) -> impl Iterator<Item = &StoredKey> {
        self.keys.iter().filter(move |k| (k.purpose, k.algorithm) == (purpose, algorithm))
    }
}

/// The name of a key in messages.
fn label(purpose: Purpose, algorithm: Algorithm) -> String {
    format!("{purpose} {}", algorithm.as_str())
}

struct SoftwareSigner {
    key: PrivateKey,
    key_id: KeyId,
    public_key: PublicKey,
    random: SystemRandom,
    signatures: AtomicU64,
    rejected: Arc<AtomicU64>,
}

impl SoftwareSigner {
    /// The signer of a key whose halves belong together.
    fn proved(key: PrivateKey, rejected: Arc<AtomicU64>) -> Option<Self> {
        let public_key = key.public_key()?;
        let random = SystemRandom::new();
        let proof = key.sign(&random, PROOF)?;
        public_key.verify(key.algorithm(), PROOF, &proof).then(|| Self {
            key_id: public_key.thumbprint(),
            key,
            public_key,
            random,
            signatures: AtomicU64::new(0),
            rejected,
        })
    }

    fn sign_now(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let signature = self.key.sign(&self.random, message);
        let signature = signature.ok_or(SignError::Unusable(Defect::MechanismRefused))?;
        let count = self.signatures.fetch_add(1, Ordering::Relaxed);
        if count.is_multiple_of(VERIFY_ONE_IN)
            && !self.public_key.verify(self.key.algorithm(), message, &signature)
        {
            self.rejected.fetch_add(1, Ordering::Relaxed);
            return Err(SignError::Rejected);
        }
        Ok(signature)
    }
}

impl Signer for SoftwareSigner {
    fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> Signing<'a> {
        // An ES256 signature takes some 20 µs: less than handing it to another thread.
        Box::pin(async move { self.sign_now(message) })
    }
}

#[cfg(test)]
#[path = "software/store_test.rs"]
mod store_test;
