//! What one region does: it reads facts, asks the federation crate to decide, records, signs and
//! replies. Rules live in `exequatur_federation`; this crate does the reading and writing.

pub mod admin;
pub mod audit;
mod causes;
pub mod cli;
pub mod clock;
pub mod consensus;
pub mod demo;
pub mod entropy;
pub mod facade;
pub mod hsm;
pub mod identity;
pub mod issuer;
pub mod memory;
pub mod net;
pub mod node;
pub mod peer;
pub mod revocation;
pub mod store;
pub mod telemetry;
pub mod upstream;
