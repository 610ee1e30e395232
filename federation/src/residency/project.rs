//! Claims in, claims out, and why.
//!
//! Nothing leaves that no rule names. Every rule and every claim without one gets a [`Step`], so
//! that an operator can be told what happened to a claim; steps name claims and rules, never
//! values.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::coarsen::coarsened;
use crate::{
    claims::{GlobalClaims, RegionalClaims},
    residency::{
        Action, Bounds, ClaimRule, Join, Selector, Separator, ValueKind, is_protocol_claim,
    },
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

/// Applies the rules of one upstream.
///
/// # Errors
/// See [`ProjectionFault`].
pub fn project(
    rules: &[ClaimRule],
    claims: &GlobalClaims,
    input: &ProjectionInput<'_>,
) -> Result<Projection, ProjectionFault> {
    let mut released = Map::new();
    let mut steps = Vec::with_capacity(rules.len() + claims.members().len());
    for (index, rule) in rules.iter().enumerate().filter(|(_, r)| r.is_for(input.upstream)) {
        if rule.action != Action::Drop && reads_elsewhere(rule, claims.members()) {
            return Err(ProjectionFault::GroupOverage { rule: index });
        }
        let result = apply(rule, claims, input);
        let cause = result.as_ref().err().copied();
        if rule.required && cause.is_some_and(|c| c != Cause::ConditionUnmet) {
            return Err(ProjectionFault::Required { rule: index });
        }
        steps.push(step_of_rule(index, rule, claims, cause));
        if let Ok(value) = result {
            released.insert(rule.to.clone(), value);
        }
    }
    let named: Vec<&str> = rules
        .iter()
        .filter(|r| r.is_for(input.upstream))
        .flat_map(|r| r.from.iter().map(crate::claims::Pointer::as_str))
        .collect();
    steps_without_rule(claims.members(), "", &named, &mut steps);
    Ok(Projection { claims: RegionalClaims::new(released), steps })
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

fn reads_elsewhere(rule: &ClaimRule, claims: &Map<String, Value>) -> bool {
    let distributed = claims.get("_claim_names").and_then(Value::as_object);
    let hidden_groups = claims.get("hasgroups").is_some_and(|v| *v == true || *v == "true");
    rule.from.iter().any(|pointer| {
        let member = pointer.first_member();
        distributed.is_some_and(|names| names.contains_key(member))
            || (hidden_groups && member == "groups")
    })
}

fn apply(
    rule: &ClaimRule,
    claims: &GlobalClaims,
    input: &ProjectionInput<'_>,
) -> Result<Value, Cause> {
    if let Some(condition) = &rule.when
        && claims.at(&condition.at) != Some(&condition.equals)
    {
        return Err(Cause::ConditionUnmet);
    }
    if let (Action::Constant(constant), []) = (&rule.action, rule.from.as_slice()) {
        return Ok(constant.clone());
    }
    let value = found(rule, claims).ok_or(Cause::Absent)?;
    match &rule.action {
        Action::Drop => return Err(Cause::ByRule),
        Action::Constant(constant) => return Ok(constant.clone()),
        Action::Coarsen(coarsening) => {
            return coarsened(coarsening, value, claims.members(), input.now);
        }
        Action::Keep | Action::Map(_) | Action::Pseudonymise(_) | Action::Rename => {}
    }
    match select(rule, value)? {
        Selected::One(value) => transformed(rule, value, input),
        Selected::Many(values) => transformed_all(rule, &values, input),
    }
}

/// The first place of the rule that holds a value; `null` is none.
fn found<'c>(rule: &ClaimRule, claims: &'c GlobalClaims) -> Option<&'c Value> {
    rule.from.iter().filter_map(|p| claims.at(p)).find(|v| !v.is_null())
}

/// What the action sees.
enum Selected<'v> {
    One(&'v Value),
    Many(Vec<Cow<'v, Value>>),
}

fn select<'v>(rule: &ClaimRule, value: &'v Value) -> Result<Selected<'v>, Cause> {
    let owned = |text: &str| Cow::Owned(Value::from(text));
    let many = match (&rule.selector, value) {
        (Selector::Whole, Value::Array(items)) => items.iter().map(Cow::Borrowed).collect(),
        (Selector::Whole, _) => return Ok(Selected::One(value)),
        (Selector::Each(None), Value::Array(items)) => items.iter().map(Cow::Borrowed).collect(),
        (Selector::Each(Some(inner)), Value::Array(items)) => {
            let members = items.iter().filter_map(Value::as_object);
            members.filter_map(|m| inner.select(m)).map(Cow::Borrowed).collect()
        }
        (Selector::Keys, Value::Object(members)) => members.keys().map(|k| owned(k)).collect(),
        (Selector::Split(Separator::Space), Value::String(text)) => {
            text.split_whitespace().map(owned).collect()
        }
        (Selector::Split(Separator::Comma), Value::String(text)) => {
            text.split(',').map(str::trim).filter(|p| !p.is_empty()).map(owned).collect()
        }
        (Selector::Each(_) | Selector::Keys | Selector::Split(_), _) => {
            return Err(Cause::WrongType);
        }
    };
    let many: Vec<Cow<'v, Value>> = many;
    if many.len() > rule.bounds.items_max {
        return Err(Cause::TooLarge);
    }
    Ok(Selected::Many(many))
}

/// Transforms each value; those that are not acceptable are left out, equal results stand once.
fn transformed_all(
    rule: &ClaimRule,
    values: &[Cow<'_, Value>],
    input: &ProjectionInput<'_>,
) -> Result<Value, Cause> {
    let mut out: Vec<Value> = Vec::with_capacity(values.len());
    let mut cause = Cause::Absent;
    for value in values {
        match transformed(rule, value, input) {
            Ok(value) if out.contains(&value) => {}
            Ok(value) => out.push(value),
            Err(reason) => cause = reason,
        }
    }
    if out.is_empty() { Err(cause) } else { Ok(Value::Array(out)) }
}

fn transformed(
    rule: &ClaimRule,
    value: &Value,
    input: &ProjectionInput<'_>,
) -> Result<Value, Cause> {
    check_bounds(&rule.bounds, value)?;
    match &rule.action {
        Action::Map(map) => {
            let listed = map.get(text_of(value).as_ref());
            listed.map(|text| Value::from(text.as_str())).ok_or(Cause::NotListed)
        }
        Action::Pseudonymise(join) => {
            let text = text_of(value);
            Ok(Value::from(match join {
                Join::Region => {
                    input.pairwise.claim_of_region(&rule.to, input.subject.issuer, &text)
                }
                Join::Subject => input.pairwise.claim_of_subject(&rule.to, &input.subject, &text),
            }))
        }
        Action::Keep | Action::Rename => Ok(value.clone()),
        Action::Coarsen(_) | Action::Constant(_) | Action::Drop => Err(Cause::ByRule),
    }
}

/// Only texts, numbers and flags pass: an object would carry members that no rule names.
fn check_bounds(bounds: &Bounds, value: &Value) -> Result<(), Cause> {
    let kind = match value {
        Value::Bool(_) => ValueKind::Flag,
        Value::Number(_) => ValueKind::Number,
        Value::String(text) if text.len() > bounds.bytes_max => return Err(Cause::TooLarge),
        Value::String(_) => ValueKind::Text,
        Value::Null | Value::Array(_) | Value::Object(_) => return Err(Cause::WrongType),
    };
    if bounds.kind.is_none_or(|wanted| wanted == kind) { Ok(()) } else { Err(Cause::WrongType) }
}

fn text_of(value: &Value) -> Cow<'_, str> {
    value.as_str().map_or_else(|| Cow::Owned(value.to_string()), Cow::Borrowed)
}

fn step_of_rule(
    index: usize,
    rule: &ClaimRule,
    claims: &GlobalClaims,
    cause: Option<Cause>,
) -> Step {
    let holds = |p: &&crate::claims::Pointer| claims.at(p).is_some_and(|v| !v.is_null());
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
fn steps_without_rule(
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

#[cfg(test)]
#[path = "project_test.rs"]
mod tests;
