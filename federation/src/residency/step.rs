//! What happened to each claim, for explanations and records. Steps name claims and rules, never
//! values.

use serde_json::{Map, Value};

use crate::{
    claims::{GlobalClaims, Pointer},
    residency::{ClaimRule, is_protocol_claim},
};

/// What happened to one claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Pointer of the claim in the global token: the first place of the rule that holds a value,
    /// else its first place; empty for a constant that reads none.
    pub claim: String,
    /// Position of the rule in the file, from 0; `None` if no rule names the claim.
    pub rule: Option<usize>,
    /// Line of the rule in the region's file, from 1.
    pub line: Option<usize>,
    /// What the rule does, in words; `none` without a rule.
    pub action: &'static str,
    /// The claim's name here, where it was released.
    pub to: Option<String>,
    /// What happened.
    pub outcome: Outcome,
    /// Why it was dropped.
    pub cause: Option<Cause>,
}

/// What happened to a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was let through, possibly changed.
    Released,
    /// It was dropped.
    Dropped,
}

/// Why a claim was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The token has no such claim.
    #[error("the token does not have it")]
    Absent,
    /// The rule drops it.
    #[error("the rule drops it")]
    ByRule,
    /// What the rule's `when` asks for does not hold.
    #[error("the condition of the rule does not hold")]
    ConditionUnmet,
    /// No rule names it.
    #[error("no rule names it")]
    NoRule,
    /// None of its values is listed in the rule.
    #[error("the rule lists none of its values")]
    NotListed,
    /// The protocol reads and writes it, so no rule does.
    #[error("the protocol writes it anew")]
    Protocol,
    /// It is longer than the rule allows.
    #[error("it is larger than the rule allows")]
    TooLarge,
    /// It is of the right type but not of the form that the action reads.
    #[error("it has not the form that the rule reads")]
    Unreadable,
    /// The provider has not verified it.
    #[error("the provider has not verified it")]
    Unverified,
    /// It is of a type that the rule does not read.
    #[error("it is of a type that the rule does not read")]
    WrongType,
}

/// The step of one rule; `cause` says why it released nothing.
pub(super) fn step_of_rule(
    index: usize,
    rule: &ClaimRule,
    claims: &GlobalClaims,
    cause: Option<Cause>,
) -> Step {
    let holds = |p: &&Pointer| claims.at(p).is_some_and(|v| !v.is_null());
    let place = rule.from.iter().find(holds).or_else(|| rule.from.first());
    Step {
        claim: place.map_or_else(String::new, |p| p.as_str().to_owned()),
        rule: Some(index),
        line: Some(rule.line),
        action: rule.action.as_str(),
        to: cause.is_none().then(|| rule.to.clone()),
        outcome: if cause.is_none() { Outcome::Released } else { Outcome::Dropped },
        cause,
    }
}

/// Adds a step for every member that no rule reads; where rules read inside a member, for its
/// members. The depth is bounded by that of the token.
pub(super) fn steps_without_rule(
    members: &Map<String, Value>,
    prefix: &str,
    named: &[&str],
    steps: &mut Vec<Step>,
) {
    for (name, value) in members {
        let place = format!("{prefix}/{}", name.replace('~', "~0").replace('/', "~1"));
        if named.contains(&place.as_str()) {
            continue;
        }
        let inside =
            |p: &str| p.strip_prefix(place.as_str()).is_some_and(|rest| rest.starts_with('/'));
        if let (true, Value::Object(inner)) = (named.iter().any(|p| inside(p)), value) {
            steps_without_rule(inner, &place, named, steps);
            continue;
        }
        let protocol = prefix.is_empty() && is_protocol_claim(name);
        steps.push(Step {
            claim: place,
            rule: None,
            line: None,
            action: "none",
            to: None,
            outcome: Outcome::Dropped,
            cause: Some(if protocol { Cause::Protocol } else { Cause::NoRule }),
        });
    }
}
