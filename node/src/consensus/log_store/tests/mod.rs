//! Tests of the log on files and on a disk that fails in every way.

mod conformance;
mod crash;
mod damage;
mod durability;
pub(crate) mod fixture;
