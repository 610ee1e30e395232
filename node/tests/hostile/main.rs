//! A hostile world: tables of bad input before a real node (`bad_input`), and faults of what a node
//! stands on while it runs (`faults`). The place in which both happen is `lab`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed setup step should fail the test"
)]

mod bad_input;
mod faults;
mod lab;
