//! One rule on the claims of one person: select, check the bounds, transform.

use std::borrow::Cow;

use serde_json::Value;

use super::coarsen::coarsened;
use crate::{
    claims::GlobalClaims,
    residency::{
        Action, Bounds, Cause, ClaimRule, Join, ProjectionInput, Selector, Separator, ValueKind,
    },
};

/// Whether the rule's condition holds.
pub(super) fn applies(rule: &ClaimRule, claims: &GlobalClaims) -> bool {
    rule.when.as_ref().is_none_or(|when| claims.at(&when.at) == Some(&when.equals))
}

/// Whether the provider left out what the rule would read and points elsewhere for it.
pub(super) fn reads_elsewhere(rule: &ClaimRule, claims: &GlobalClaims) -> bool {
    let payload = claims.members();
    let distributed = payload.get("_claim_names").and_then(Value::as_object);
    let hidden_groups = payload.get("hasgroups").is_some_and(|v| *v == true || *v == "true");
    let holds = |value: Option<&Value>| value.is_some_and(|v| !v.is_null());
    rule.from.iter().take_while(|pointer| !holds(claims.at(pointer))).any(|pointer| {
        let member = pointer.first_member();
        distributed.is_some_and(|names| names.contains_key(member))
            || (hidden_groups && member == "groups")
    })
}

/// What the rule releases, or why it releases nothing.
pub(super) fn apply(
    rule: &ClaimRule,
    claims: &GlobalClaims,
    input: &ProjectionInput<'_>,
) -> Result<Value, Cause> {
    if !applies(rule, claims) {
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
                Join::Region => input.pairwise.claim_of_region(&rule.to, &input.subject, &text),
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
