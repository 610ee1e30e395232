//! Residency: which claims of a global token a region lets through, and why.

mod coarsen;
mod names;
mod project;
mod rule;
mod transfer;

pub use names::{is_linking_claim, is_protocol_claim, linking_claims};
pub use project::{Cause, Outcome, Projection, ProjectionFault, ProjectionInput, Step, project};
pub use rule::{
    Action, Bounds, ClaimClass, ClaimRule, Coarsening, Condition, Join, Selector, Separator,
    ValueKind,
};
pub use transfer::{LegalBasis, LegalBasisCode, TransferLimits, TransferRule};
