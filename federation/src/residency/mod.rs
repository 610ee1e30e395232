//! Residency: which claims of a global token a region lets through, and why.

mod project;
mod rule;
mod transfer;

pub use project::{Outcome, Projection, ProjectionFault, ProjectionInput, Step, project};
pub use rule::{Action, ClaimRule};
pub use transfer::TransferRule;
