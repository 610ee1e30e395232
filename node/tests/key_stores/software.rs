//! The sealed file.

use std::sync::Arc;

use exequatur_federation::{jose::Algorithm, region::RegionId};
use exequatur_node::{
    entropy::SystemEntropy,
    hsm::{
        Purpose,
        doctor::examine_software,
        software::{SoftwareConfig, SoftwareKeyStore},
    },
};

use crate::conformance::conforms;

fn config(directory: &tempfile::TempDir) -> SoftwareConfig {
    SoftwareConfig {
        region: RegionId::new("eu-central").unwrap(),
        key_file: directory.path().join("keys"),
        passphrase_file: directory.path().join("passphrase"),
    }
}

#[test]
fn conforms_to_what_every_key_store_must_do() {
    let directory = tempfile::tempdir().unwrap();
    let entropy = || Arc::new(SystemEntropy::default());
    SoftwareKeyStore::initialise(config(&directory), entropy()).unwrap();
    let open = || SoftwareKeyStore::open(config(&directory), entropy()).unwrap();
    conforms(&|| Box::new(open()), &Algorithm::ALL);
}

#[test]
fn the_doctor_says_what_is_there_and_what_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let entropy = || Arc::new(SystemEntropy::default());
    let expected = [(Purpose::AccessToken, Algorithm::Es256)];
    let absent = examine_software(&config(&directory), &expected, entropy());
    assert!(!absent.is_healthy());
    assert_eq!(absent.checks.len(), 1);
    SoftwareKeyStore::initialise(config(&directory), entropy()).unwrap();
    let empty = examine_software(&config(&directory), &expected, entropy());
    assert_eq!(empty.checks.iter().map(|c| c.ok).collect::<Vec<_>>(), [true, false]);
}
