//! Residency: which claims of a global token a region lets through, and why.

mod apply;
mod coarsen;
mod names;
mod project;
mod rule;
mod step;
mod transfer;

pub use names::{is_linking_claim, is_protocol_claim, linking_claims};
pub use project::{
    Effect, Explanation, Projection, ProjectionFault, ProjectionInput, explain, project,
};
pub use rule::{
    Action, Bounds, ClaimClass, ClaimRule, Coarsening, Condition, Join, Selector, Separator,
    ValueKind,
};
pub use step::{Cause, Outcome, Step};
pub use transfer::{LegalBasis, LegalBasisCode, TransferLimits, TransferRule};
