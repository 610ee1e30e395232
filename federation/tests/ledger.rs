//! The ledger as its users see it: proposals in, outcomes out. One file a theme; `world` founds the
//! federation that they all begin with, and asks `check` before every `apply`.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what these tests cannot find should fail them"
)]
mod ledger {
    mod admission;
    mod checkpoints;
    mod config;
    mod duties;
    mod genesis;
    mod golden;

    mod keys;
    mod members;

    mod properties;
    mod regions;
    mod revocations;
    mod snapshot;
    mod time;
    mod view;
    mod world;
}
