//! `exequatur cluster`: the built binary against the operator's service, with the region's real audit
//! log and a cluster in memory.

mod actions;
mod entry;
mod service;
mod status;
