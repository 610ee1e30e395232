//! What `exequatur hsm doctor` asks of a device, step by step, beyond what the key store itself
//! does.

use std::{sync::Arc, thread, time::Duration};

use cryptoki::mechanism::MechanismType;
use exequatur_federation::jose::Algorithm;

use super::{
    super::{Purpose, doctor::Check},
    OpenError, PROOF, Pkcs11Config,
    context::{Access, Module},
    device::{Device as _, DeviceError},
    keys, mechanisms,
    signer::{self, SlotDevice},
    slot::OpenSlot,
};
use crate::clock::Clock;

/// Signatures that each session makes for one measurement: 20 ms to 1 s.
const SIGNATURES_MEASURED: u32 = 200;

/// Library, slot and login, one check each, up to the first that fails.
pub(in super::super) fn reached(
    config: &Pkcs11Config,
    clock: &Arc<dyn Clock>,
    checks: &mut Vec<Check>,
) -> bool {
    let loaded = Module::load(&config.module).and_then(|m| Ok((m.description()?, m)));
    let path = config.module.display();
    let Some((_, module)) = checked(checks, "library", loaded, |(d, _)| format!("`{path}`: {d}"))
    else {
        return false;
    };
    let slot = OpenSlot::find(module, &config.slot, &config.pin_file, Arc::clone(clock));
    let found = |_: &OpenSlot| format!("one slot is labelled `{}`", config.slot);
    let Some(slot) = checked(checks, "slot", slot, found) else { return false };
    let login = slot.log_in(&config.pin_file);
    checked(checks, "login", login, |()| "the PIN is accepted".to_owned()).is_some()
}

/// Whether the slot lists what keys of these algorithms and sealed secrets need.
pub(in super::super) fn mechanisms_checked(
    config: &Pkcs11Config,
    algorithms: &[Algorithm],
    clock: &Arc<dyn Clock>,
    checks: &mut Vec<Check>,
) {
    let mut needed = vec![MechanismType::AES_KEY_GEN, MechanismType::AES_GCM];
    for mechanism in algorithms.iter().flat_map(|algorithm| mechanisms::needed(*algorithm)) {
        if !needed.contains(&mechanism) {
            needed.push(mechanism);
        }
    }
    let listed = slot(config, clock).and_then(|slot| Ok(slot.mechanisms()?));
    let (ok, detail) = match listed {
        Err(error) => (false, error.to_string()),
        Ok(listed) => match named(needed.iter().filter(|m| !listed.contains(m))) {
            missing if missing.is_empty() => (true, named(needed.iter())),
            missing => (false, format!("the slot does not list {missing}")),
        },
    };
    checks.push(Check { name: "mechanisms".to_owned(), ok, detail });
}

/// Signatures a second that so many sessions make together.
pub(in super::super) fn signs_per_second(
    config: &Pkcs11Config,
    (purpose, algorithm): (Purpose, Algorithm),
    sessions: u32,
    clock: &Arc<dyn Clock>,
) -> Result<f64, OpenError> {
    let slot = slot(config, clock)?;
    let label = keys::label(&config.region, purpose, algorithm);
    let session = slot.session(Access::Read)?;
    let found = keys::find(&*session.enter()?, slot.label(), &label, algorithm);
    let found = found.map_err(|error| OpenError::Device { detail: error.to_string() })?;
    let (key, _) = found.ok_or(DeviceError::KeyAbsent)?;
    let device = SlotDevice(Arc::new(slot));
    let sign_all = || -> Result<(), DeviceError> {
        let mut connection = device.connect()?;
        let input = signer::input(algorithm, PROOF);
        (0..SIGNATURES_MEASURED).try_for_each(|_| connection.sign(&key, &input).map(drop))
    };
    let started = clock.monotonic();
    let outcome = thread::scope(|scope| {
        let threads: Vec<_> = (0..sessions).map(|_| scope.spawn(sign_all)).collect();
        // Every thread is joined before the first failure is reported.
        let outcomes: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        outcomes.into_iter().try_for_each(|joined| {
            joined.map_err(|_| DeviceError::Failed("a session's thread ended early".to_owned()))?
        })
    });
    outcome?;
    let elapsed = clock.monotonic().saturating_sub(started).max(Duration::from_micros(1));
    Ok(f64::from(sessions.saturating_mul(SIGNATURES_MEASURED)) / elapsed.as_secs_f64())
}

fn slot(config: &Pkcs11Config, clock: &Arc<dyn Clock>) -> Result<OpenSlot, OpenError> {
    let module = Module::load(&config.module)?;
    OpenSlot::find(module, &config.slot, &config.pin_file, Arc::clone(clock))
}

fn checked<T>(
    checks: &mut Vec<Check>,
    name: &str,
    outcome: Result<T, OpenError>,
    detail: impl FnOnce(&T) -> String,
) -> Option<T> {
    let (ok, detail) = match &outcome {
        Ok(value) => (true, detail(value)),
        Err(error) => (false, error.to_string()),
    };
    checks.push(Check { name: name.to_owned(), ok, detail });
    outcome.ok()
}

fn named<'a>(mechanisms: impl Iterator<Item = &'a MechanismType>) -> String {
    mechanisms.map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
