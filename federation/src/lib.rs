//! What every region of a federation must agree on: the law, as pure functions and plain types.
//!
//! Nothing in this crate reads a clock, a file, a socket, the environment or a source of
//! randomness; whatever a decision needs arrives as an argument. See `README.md` beside this
//! crate for the map of its modules.

pub mod audit;
pub mod authenticate;
pub mod claims;
pub mod client;
pub mod config;
pub mod exchange;
pub mod foreign;
pub mod freshness;
pub mod introspection;
pub mod jose;
pub mod law;
pub mod ledger;
pub mod membership;
pub mod oauth;
pub mod operator;
pub mod refusal;
pub mod region;
pub mod residency;
pub mod revocation;
pub mod seal;
pub mod subject;
pub mod time;
pub mod token;
pub mod trust;
pub mod verified;
