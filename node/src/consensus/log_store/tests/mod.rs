//! Tests of the log on files and on a disk that fails in every way.

mod conformance;
pub(crate) mod fixture;
