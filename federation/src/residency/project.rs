//! Claims in, claims out, and why.
//!
//! Nothing leaves that no rule names. A projection remembers what each rule did; an explanation adds
//! a [`Step`] for every rule and every claim without one. Steps name claims and rules, never values.

use std::convert::Infallible;

use serde_json::Map;

use super::{
    apply::{applies, apply, reads_elsewhere},
    step::{step_of_rule, steps_without_rule},
};
use crate::{
    claims::{GlobalClaims, Pointer, RegionalClaims},
    residency::{Action, Cause, ClaimRule, Step},
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

/// Claims that came out, and what each rule did.
#[derive(Clone, Debug)]
pub struct Projection {
    /// The claims under their names here.
    pub claims: RegionalClaims,
    /// What each rule for this upstream did, in the order of the file.
    pub effects: Vec<Effect>,
}

/// What one rule did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect {
    /// Position of the rule in the file, from 0.
    pub rule: usize,
    /// Why it released nothing; `None` if it released its claim.
    pub cause: Option<Cause>,
}

/// Why no token may be issued for these claims. Names the rule, never a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProjectionFault {
    /// The provider left out a claim that a rule reads because it was too long, and named a place
    /// to fetch it from (OpenID Connect Core section 5.6.2; Entra's "group overage").
    #[error("the provider left out the claim that rule {rule} reads and points elsewhere for it")]
    GroupOverage {
        /// Position of the rule in the file, from 0.
        rule: usize,
    },
    /// A required claim is missing or has no acceptable value.
    #[error("the claim that rule {rule} requires is missing or has no acceptable value")]
    Required {
        /// Position of the rule in the file, from 0.
        rule: usize,
    },
}

/// What the rules of one upstream do to claims, also where they end in a refusal.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// What came out. Nothing of it is released if there is a fault.
    pub projection: Projection,
    /// What happened, rule by rule, then the claims that no rule names.
    pub steps: Vec<Step>,
    /// Why no token may be issued for these claims: the first reason.
    pub fault: Option<ProjectionFault>,
}

/// Applies the rules of one upstream.
///
/// # Errors
/// See [`ProjectionFault`].
pub fn project(
    rules: &[ClaimRule],
    claims: &GlobalClaims,
    input: &ProjectionInput<'_>,
) -> Result<Projection, ProjectionFault> {
    walk(rules, claims, input, Err)
}

/// Applies the rules as [`project`] does, but goes on after a fault, so that a person can be told
/// of every rule.
#[must_use]
pub fn explain(
    rules: &[ClaimRule],
    claims: &GlobalClaims,
    input: &ProjectionInput<'_>,
) -> Explanation {
    let mut first = None;
    let noted = walk(rules, claims, input, |fault| {
        first.get_or_insert(fault);
        Ok::<(), Infallible>(())
    });
    let Ok(projection) = noted;
    let steps = steps(rules, claims, &projection);
    Explanation { projection, steps, fault: first }
}

/// Applies every rule in order; `on_fault` says whether a fault ends the walk.
fn walk<E>(
    rules: &[ClaimRule],
    claims: &GlobalClaims,
    input: &ProjectionInput<'_>,
    mut on_fault: impl FnMut(ProjectionFault) -> Result<(), E>,
) -> Result<Projection, E> {
    let mut released = Map::new();
    let mut effects = Vec::with_capacity(rules.len());
    for (index, rule) in rules.iter().enumerate().filter(|(_, r)| r.is_for(input.upstream)) {
        let reads = rule.action != Action::Drop && applies(rule, claims);
        if reads && reads_elsewhere(rule, claims) {
            on_fault(ProjectionFault::GroupOverage { rule: index })?;
        }
        let result = apply(rule, claims, input);
        let cause = result.as_ref().err().copied();
        if rule.required && cause.is_some_and(|c| c != Cause::ConditionUnmet) {
            on_fault(ProjectionFault::Required { rule: index })?;
        }
        effects.push(Effect { rule: index, cause });
        if let Ok(value) = result {
            released.insert(rule.to.clone(), value);
        }
    }
    Ok(Projection { claims: RegionalClaims::new(released), effects })
}

fn steps(rules: &[ClaimRule], claims: &GlobalClaims, projection: &Projection) -> Vec<Step> {
    let applied = || projection.effects.iter().filter_map(|e| Some((e, rules.get(e.rule)?)));
    let mut steps: Vec<Step> =
        applied().map(|(e, rule)| step_of_rule(e.rule, rule, claims, e.cause)).collect();
    let named: Vec<&str> =
        applied().flat_map(|(_, r)| r.from.iter().map(Pointer::as_str)).collect();
    steps_without_rule(claims.members(), "", &named, &mut steps);
    steps
}

impl ProjectionFault {
    /// Position of the rule in the file, from 0.
    #[must_use]
    pub const fn rule(self) -> usize {
        match self {
            Self::GroupOverage { rule } | Self::Required { rule } => rule,
        }
    }
}

#[cfg(test)]
#[path = "project_test.rs"]
mod tests;
