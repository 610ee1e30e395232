//! Both key stores before one conformance suite, and the HSM's own faults before SoftHSM.
#![expect(clippy::unwrap_used, reason = "a failed setup step should fail the test")]
#![expect(clippy::panic, reason = "a missing package should fail the test and say which")]

mod conformance;
mod pkcs11;
mod softhsm;
mod software;
