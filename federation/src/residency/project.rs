//! Claims in, claims out, and why.

use crate::{
    claims::{GlobalClaims, RegionalClaims},
    residency::ClaimRule,
    subject::{PairwiseKey, Subject},
    time::UnixTime,
};

/// What a projection needs besides rules and claims.
#[derive(Clone, Copy, Debug)]
pub struct ProjectionInput<'a> {
    /// Name of the upstream that issued the token.
    pub upstream: &'a str,
    /// Whose claims they are.
    pub subject: Subject<'a>,
    /// The key for pseudonyms.
    pub pairwise: &'a PairwiseKey,
    /// The time of the decision.
    pub now: UnixTime,
}

/// Claims that came out, and what happened to each that went in.
#[derive(Clone, Debug)]
pub struct Projection {
    /// The claims under their names here.
    pub claims: RegionalClaims,
    /// What happened, rule by rule, then the claims that no rule names.
    pub steps: Vec<Step>,
}

/// What happened to one claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Pointer of the claim in the global token.
    pub claim: String,
    /// Position of the rule in the file, from 0; `None` if no rule names the claim.
    pub rule: Option<usize>,
    /// What happened.
    pub outcome: Outcome,
}

/// What happened to a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was let through, possibly changed.
    Released,
    /// It was dropped.
    Dropped,
}

/// Why no token may be issued for these claims. Names the rule, never a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProjectionFault {
    /// A required claim is missing or has no acceptable value.
    Required {
        /// Position of the rule in the file, from 0.
        rule: usize,
    },
}

/// Applies the rules of one upstream.
///
/// # Errors
/// See [`ProjectionFault`].
pub fn project(
    _rules: &[ClaimRule],
    _claims: &GlobalClaims,
    _input: &ProjectionInput<'_>,
) -> Result<Projection, ProjectionFault> {
    Ok(Projection { claims: RegionalClaims::default(), steps: Vec::new() })
}
