//! Benchmarks of a real region: the release binary on one core, a load generator of our own on
//! another, and beside every row that is judged by its speed the floor, measured in the same run.
//!
//! The machine is shared and noisy: windows of floor and node alternate, and a row is the median of
//! its windows. Nothing here is a test, and no test depends on a number from here.

pub(crate) mod exchange;
pub(crate) mod floor;
pub(crate) mod pin;
pub(crate) mod raft;

mod disk;
mod federation;
mod histogram;
mod issuer;
mod key;
mod load;
mod program;
mod region;
mod report;
mod request;
mod response;
mod rows;
mod site;
mod softhsm;
