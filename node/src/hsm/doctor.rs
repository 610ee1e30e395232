//! What `exequatur hsm doctor` finds out about a key store: whether it is reached, what it can do,
//! which keys are there, whether they sign, and how fast. Makes and changes nothing.

use std::{fmt::Display, sync::Arc};

use exequatur_federation::jose::Algorithm;
use serde::Serialize;

use super::{
    KeyStore, Purpose,
    pkcs11::{self, Pkcs11Config, Pkcs11KeyStore},
    software::{SoftwareConfig, SoftwareKeyStore},
};
use crate::{clock::Clock, entropy::Entropy};

/// Numbers of sessions for which signing is measured.
const SESSIONS_MEASURED: [u32; 3] = [1, 2, 4];

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at, for example `slot` or `key access_token ES256`.
    pub name: String,
    /// Whether it is as it must be.
    pub ok: bool,
    /// What was found, or what is wrong and how to mend it.
    pub detail: String,
}

/// Everything that was looked at, in order. A check that needs a failed one is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DoctorReport {
    /// The checks.
    pub checks: Vec<Check>,
}

impl DoctorReport {
    /// Whether every check is as it must be.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.checks.iter().all(|check| check.ok)
    }
}

/// The keys that a region's configuration asks for.
pub type ExpectedKeys<'a> = &'a [(Purpose, Algorithm)];

/// Examines an HSM. Blocks for a few seconds.
#[must_use]
pub fn examine_pkcs11(
    config: &Pkcs11Config,
    expected: ExpectedKeys<'_>,
    entropy: Arc<dyn Entropy>,
    clock: &Arc<dyn Clock>,
) -> DoctorReport {
    let mut report = DoctorReport::default();
    if !pkcs11::reached(config, clock, &mut report.checks) {
        return report;
    }
    let algorithms: Vec<_> = expected.iter().map(|(_, algorithm)| *algorithm).collect();
    pkcs11::mechanisms_checked(config, &algorithms, clock, &mut report.checks);
    let store = Pkcs11KeyStore::open(config.clone(), entropy, Arc::clone(clock));
    let Some(store) = opened(&mut report, store) else { return report };
    let found = keys_examined(&mut report, (&store, "it cannot leave"), expected);
    let Some(key) = found.first() else { return report };
    for sessions in SESSIONS_MEASURED {
        let rate = pkcs11::signs_per_second(config, *key, sessions, clock);
        let (ok, detail) = match rate {
            Ok(rate) => (true, format!("{rate:.0} signatures a second with {}", key.1.as_str())),
            Err(error) => (false, error.to_string()),
        };
        let name =
            format!("speed with {sessions} {}", if sessions == 1 { "session" } else { "sessions" });
        report.checks.push(Check { name, ok, detail });
    }
    report
}

/// Examines a sealed key file.
#[must_use]
pub fn examine_software(
    config: &SoftwareConfig,
    expected: ExpectedKeys<'_>,
    entropy: Arc<dyn Entropy>,
) -> DoctorReport {
    let mut report = DoctorReport::default();
    let store = SoftwareKeyStore::open(config.clone(), entropy);
    if let Some(store) = opened(&mut report, store) {
        keys_examined(&mut report, (&store, "it is in a file"), expected);
    }
    report
}

fn opened<T>(report: &mut DoctorReport, outcome: Result<T, impl Display>) -> Option<T> {
    let (ok, detail) = match &outcome {
        Ok(_) => (true, "it opens".to_owned()),
        Err(error) => (false, error.to_string()),
    };
    report.checks.push(Check { name: "key store".to_owned(), ok, detail });
    outcome.ok()
}

/// One check a key; returns the keys that are there and sign.
fn keys_examined(
    report: &mut DoctorReport,
    (store, custody): (&dyn KeyStore, &str),
    expected: ExpectedKeys<'_>,
) -> Vec<(Purpose, Algorithm)> {
    let mut found = Vec::new();
    for (purpose, algorithm) in expected {
        let (ok, detail) = match store.find(*purpose, *algorithm) {
            Ok(Some(signer)) => {
                found.push((*purpose, *algorithm));
                (true, format!("kid {}; {custody} and its signature verifies", signer.key_id()))
            }
            Ok(None) => (false, "it is not there: `exequatur init` makes it".to_owned()),
            Err(error) => (false, error.to_string()),
        };
        let name = format!("key {purpose} {}", algorithm.as_str());
        report.checks.push(Check { name, ok, detail });
    }
    found
}
