//! The region's key store: opened by `run`, filled by `init`. The one never becomes the other.

use std::{num::NonZeroU8, path::Path, sync::Arc};

use exequatur_federation::{
    config::{KeyProvider, NodeSettings},
    jose::Algorithm,
    region::RegionId,
};

use super::{Seams, StartError, resolve, seal::SECRETS};
use crate::hsm::{
    KeyStore, Purpose,
    doctor::{self, Check, DoctorReport},
    pkcs11::{DEADLINE_DEFAULT, Pkcs11Config, Pkcs11KeyStore, SESSIONS_DEFAULT},
    software::{SoftwareConfig, SoftwareKeyStore},
};

/// Name of the secret under which people's pseudonyms are derived.
pub const PAIRWISE: &str = "pairwise";
/// Algorithm of a region's identity: the one that every HSM has.
pub const IDENTITY_ALGORITHM: Algorithm = Algorithm::Es256;
/// Algorithm of signed introspection answers.
const RESPONSE_ALGORITHM: Algorithm = Algorithm::Es256;

/// The keys that tokens and answers are signed with.
#[must_use]
pub fn token_keys(settings: &NodeSettings) -> [(Purpose, Algorithm); 2] {
    [(Purpose::AccessToken, settings.keys.algorithm), (Purpose::Response, RESPONSE_ALGORITHM)]
}

/// The key that status lists are signed with.
pub const STATUS_LIST_KEY: (Purpose, Algorithm) = (Purpose::StatusList, Algorithm::Es256);

/// Every key that a node signs with.
#[must_use]
pub fn key_plan(settings: &NodeSettings) -> Vec<(Purpose, Algorithm)> {
    let identity = settings.cluster.as_ref().map(|_| (Purpose::Identity, IDENTITY_ALGORITHM));
    token_keys(settings).into_iter().chain([STATUS_LIST_KEY]).chain(identity).collect()
}

/// Opens the key store that the settings name. There is no fallback to another.
///
/// # Errors
/// It does not open, or is another region's.
pub fn open_key_store(
    region: &RegionId,
    settings: &NodeSettings,
    directory: &Path,
    seams: &Seams,
) -> Result<Arc<dyn KeyStore>, StartError> {
    let entropy = Arc::clone(&seams.entropy);
    Ok(match plan(region, &settings.keys.provider, directory) {
        Provider::Software(config) => Arc::new(SoftwareKeyStore::open(config, entropy)?),
        Provider::Pkcs11(config) => {
            Arc::new(Pkcs11KeyStore::open(config, entropy, Arc::clone(&seams.clock))?)
        }
    })
}

/// Whether `init` may make the secret under which people's pseudonyms are derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewPairwise {
    /// Whatever existed before: everybody gets another `sub`.
    RenamesEverySubject,
    /// Only where the region has no database yet: otherwise it was lost, and must be restored.
    WithNewDatabase {
        /// Whether the region has a database.
        database_exists: bool,
    },
}

/// Makes what is missing: the sealed file of a software key store, then every key and secret that
/// a node needs. What exists is left alone. Returns the labels of what was made.
///
/// # Errors
/// Something cannot be made, or was lost; what was made before stays.
pub fn initialise_key_store(
    region: &RegionId,
    (settings, directory): (&NodeSettings, &Path),
    new_pairwise: NewPairwise,
    seams: &Seams,
) -> Result<Vec<String>, StartError> {
    let lost_if_missing = new_pairwise == NewPairwise::WithNewDatabase { database_exists: true };
    if let Provider::Software(config) = plan(region, &settings.keys.provider, directory)
        // A file that may not be looked at is there: opening it says what is wrong.
        && !config.key_file.try_exists().unwrap_or(true)
    {
        if lost_if_missing {
            return Err(StartError::PairwiseLost);
        }
        SoftwareKeyStore::initialise(config, Arc::clone(&seams.entropy))?;
    }
    let store = open_key_store(region, settings, directory, seams)?;
    if lost_if_missing && store.secret(PAIRWISE)?.is_none() {
        return Err(StartError::PairwiseLost);
    }
    let mut made = Vec::new();
    for (purpose, algorithm) in key_plan(settings) {
        if store.find(purpose, algorithm)?.is_none() {
            let signer = store.create(purpose, algorithm)?;
            made.push(format!("{purpose} {} {}", algorithm.as_str(), signer.key_id()));
        }
    }
    for name in SECRETS {
        if store.secret(name)?.is_none() {
            store.create_secret(name)?;
            made.push(format!("secret {name}"));
        }
    }
    Ok(made)
}

/// Examines the key store that the settings name; makes and changes nothing. Blocks for a few
/// seconds on an HSM.
#[must_use]
pub fn examine_key_store(
    region: &RegionId,
    settings: &NodeSettings,
    directory: &Path,
    seams: &Seams,
) -> DoctorReport {
    let expected = key_plan(settings);
    let entropy = Arc::clone(&seams.entropy);
    let mut report = match plan(region, &settings.keys.provider, directory) {
        Provider::Software(config) => doctor::examine_software(&config, &expected, entropy),
        Provider::Pkcs11(config) => {
            doctor::examine_pkcs11(&config, &expected, entropy, &seams.clock)
        }
    };
    if report.is_healthy() {
        let store = open_key_store(region, settings, directory, seams);
        report.checks.extend(SECRETS.map(|name| {
            let secret = store.as_ref().map(|store| store.secret(name));
            let (ok, detail) = match secret {
                Ok(Ok(Some(_))) => (true, "it is there".to_owned()),
                Ok(Ok(None)) => (false, "it is not there: `exequatur init` makes it".to_owned()),
                Ok(Err(error)) => (false, error.to_string()),
                Err(error) => (false, error.to_string()),
            };
            Check { name: format!("secret {name}"), ok, detail }
        }));
    }
    report
}

/// Settings of one kind of key store.
enum Provider {
    Pkcs11(Pkcs11Config),
    Software(SoftwareConfig),
}

fn plan(region: &RegionId, provider: &KeyProvider, directory: &Path) -> Provider {
    match provider {
        KeyProvider::Software { file, passphrase_file } => Provider::Software(SoftwareConfig {
            region: region.clone(),
            key_file: resolve(directory, file),
            passphrase_file: resolve(directory, passphrase_file),
        }),
        KeyProvider::Pkcs11 { module, slot, pin_file, sessions } => {
            let sessions = u8::try_from(*sessions).ok().and_then(NonZeroU8::new);
            Provider::Pkcs11(Pkcs11Config {
                region: region.clone(),
                module: resolve(directory, module),
                slot: slot.clone(),
                pin_file: resolve(directory, pin_file),
                secrets_file: directory.join(format!("{region}.secrets")),
                sessions: sessions.unwrap_or(SESSIONS_DEFAULT),
                deadline: DEADLINE_DEFAULT,
            })
        }
    }
}
