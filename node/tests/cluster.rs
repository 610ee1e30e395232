//! Three nodes of three regions as processes on one machine, and what must not bring them down.
//!
//! Every test forms a federation by the documented steps, does one thing to it, heals it, and asks
//! whether what consensus promises was kept (`lab::invariants`). Waiting has a deadline and nothing
//! is measured. Namespaces and mounts need root; without it these tests fail and say so.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a failed setup step should fail the test, with what the nodes said"
)]

mod cluster {
    mod lab;

    mod abroad;
    mod certificates;
    mod clocks;
    mod disk_full;
    mod diverged;
    mod formed;
    mod killed;
    mod law;
    mod lost_disk;
    mod members;
    mod partitions;
    mod paused;
    mod revocation;
    mod rolling;
    mod stale;
    mod strangers;
}
