//! The software key store: what is refused, and what survives.

use std::{fs, os::unix::fs::PermissionsExt as _};

use super::*;
use crate::{
    entropy::SystemEntropy,
    hsm::{PrivateFileError, private_file::Replacement},
};

fn config(directory: &tempfile::TempDir) -> SoftwareConfig {
    SoftwareConfig {
        region: RegionId::new("eu-central").unwrap(),
        key_file: directory.path().join("keys"),
        passphrase_file: directory.path().join("passphrase"),
    }
}

fn entropy() -> Arc<dyn Entropy> {
    Arc::new(SystemEntropy::default())
}

fn refusal(config: SoftwareConfig) -> KeyStoreError {
    match SoftwareKeyStore::open(config, entropy()) {
        Ok(_) => panic!("it opened"),
        Err(error) => error,
    }
}

#[test]
fn nothing_is_made_by_opening() {
    let directory = tempfile::tempdir().unwrap();
    let error = refusal(config(&directory));
    assert!(matches!(error, KeyStoreError::File(PrivateFileError::Missing { .. })), "{error}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_key_file_that_exists_is_never_replaced_by_an_empty_one() {
    let directory = tempfile::tempdir().unwrap();
    let store = SoftwareKeyStore::initialise(config(&directory), entropy()).unwrap();
    store.create(Purpose::Audit, Algorithm::Es256).unwrap();
    let again = SoftwareKeyStore::initialise(config(&directory), entropy());
    assert!(matches!(again, Err(KeyStoreError::File(PrivateFileError::AlreadyExists { .. }))));
    assert!(store.find(Purpose::Audit, Algorithm::Es256).unwrap().is_some());
}

#[test]
fn refuses_files_that_others_may_read() {
    for name in ["keys", "passphrase"] {
        let directory = tempfile::tempdir().unwrap();
        SoftwareKeyStore::initialise(config(&directory), entropy()).unwrap();
        let path = directory.path().join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = refusal(config(&directory)).to_string();
        assert!(error.contains(&format!("chmod 600 {}", path.display())), "{error}");
    }
}

#[test]
fn refuses_a_passphrase_shorter_than_256_bits() {
    let directory = tempfile::tempdir().unwrap();
    let short = format!("{}\n", "a".repeat(31));
    let path = directory.path().join("passphrase");
    Replacement::begin(&path).unwrap().commit(short.as_bytes()).unwrap();
    let made = SoftwareKeyStore::initialise(config(&directory), entropy());
    let error = made.err().unwrap();
    let short = PrivateFileError::WrongLength { path, got: 31, min: 32, max: 1_024 };
    assert_eq!(error.to_string(), short.to_string());
}

#[test]
fn the_file_opens_neither_for_another_region_nor_under_another_passphrase() {
    let directory = tempfile::tempdir().unwrap();
    SoftwareKeyStore::initialise(config(&directory), entropy()).unwrap();
    let elsewhere =
        SoftwareConfig { region: RegionId::new("us-east").unwrap(), ..config(&directory) };
    assert!(matches!(refusal(elsewhere), KeyStoreError::Sealed { .. }));
    let path = directory.path().join("passphrase");
    Replacement::begin(&path).unwrap().commit("b".repeat(43).as_bytes()).unwrap();
    assert!(matches!(refusal(config(&directory)), KeyStoreError::Sealed { .. }));
}

#[test]
fn a_changed_byte_anywhere_in_the_file_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let store = SoftwareKeyStore::initialise(config(&directory), entropy()).unwrap();
    store.create_secret("pairwise").unwrap();
    let path = directory.path().join("keys");
    let whole = fs::read(&path).unwrap();
    for position in 0..whole.len() {
        let mut changed = whole.clone();
        changed[position] ^= 1;
        fs::write(&path, &changed).unwrap();
        let error = refusal(config(&directory));
        assert!(matches!(error, KeyStoreError::Sealed { .. }), "byte {position}: {error}");
    }
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        refusal(config(&directory));
    }
}

#[test]
fn the_file_holds_no_key_or_secret_in_clear() {
    let directory = tempfile::tempdir().unwrap();
    let store = SoftwareKeyStore::initialise(config(&directory), entropy()).unwrap();
    let secret = store.create_secret("pairwise").unwrap();
    let file = fs::read(directory.path().join("keys")).unwrap();
    for canary in [secret.expose().as_slice(), base64url(secret.expose()).as_bytes(), b"pairwise"] {
        assert!(!file.windows(canary.len()).any(|w| w == canary));
    }
}

#[test]
fn what_one_process_made_is_not_lost_when_another_adds_to_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let first = SoftwareKeyStore::initialise(config(&directory), entropy()).unwrap();
    let second = SoftwareKeyStore::open(config(&directory), entropy()).unwrap();
    first.create(Purpose::Audit, Algorithm::Es256).unwrap();
    second.create(Purpose::Response, Algorithm::Es256).unwrap();
    assert!(first.find(Purpose::Response, Algorithm::Es256).unwrap().is_some());
    assert!(second.find(Purpose::Audit, Algorithm::Es256).unwrap().is_some());
    first.check().unwrap();
}

#[test]
fn a_signature_that_rots_is_caught_by_the_sampled_verification() {
    let key = PrivateKey::generate(Algorithm::Es256).unwrap();
    let other = PrivateKey::generate(Algorithm::Es256).unwrap().public_key().unwrap();
    let rejected = Arc::default();
    let mut signer = SoftwareSigner::proved(key, Arc::clone(&rejected)).unwrap();
    signer.public_key = other;
    let outcomes: Vec<_> = (0..VERIFY_ONE_IN).map(|_| signer.sign_now(b"message")).collect();
    let caught = outcomes.iter().filter(|o| **o == Err(SignError::Rejected)).count();
    assert_eq!((caught, rejected.load(Ordering::Relaxed)), (1, 1));
}
