//! One claim rule.

use crate::claims::Pointer;

/// One `[[claim]]` rule, compiled.
#[derive(Clone, Debug)]
pub struct ClaimRule {
    /// The upstream it is for; `None` where the region has only one.
    pub upstream: Option<String>,
    /// Where the claim stands in the global token.
    pub from: Pointer,
    /// What is done with it.
    pub action: Action,
    /// Its name here.
    pub to: String,
}

/// What a rule does with a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The value goes through unchanged.
    Keep,
}
