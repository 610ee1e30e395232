//! Both key stores before one conformance suite; the HSM's own faults, and the anchor that it keeps,
//! before SoftHSM.
#![expect(clippy::unwrap_used, reason = "a failed setup step should fail the test")]
#![expect(clippy::panic, reason = "a missing package should fail the test and say which")]

mod anchor;
mod conformance;
mod pkcs11;
mod softhsm;
mod software;
