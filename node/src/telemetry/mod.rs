//! Logs, metrics and health: what an operator sees of a running node.
//!
//! Nothing here carries a token, a claim, a request body or a whole client address; labels come
//! from closed lists, so that no stranger can add a time series. It knows no rule and decides
//! nothing: other modules hand it numbers and reasons.

pub mod address;
pub mod health;
pub mod logs;
pub mod metrics;
pub mod operations;
