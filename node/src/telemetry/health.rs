//! Readiness: named conditions, each with the reason why it does not hold.
//!
//! A condition starts as not ready, so that a part which never reports keeps the node out of
//! rotation instead of letting it in.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde::Serialize;

/// Why a condition that nobody has reported on does not hold.
const NOT_YET_REPORTED: &str = "has not reported yet";

/// The node's conditions. A node is ready when all of them hold; with none it is not.
#[derive(Debug, Default)]
pub struct Health {
    conditions: Arc<RwLock<BTreeMap<&'static str, State>>>,
}

/// The handle by which one part of the node reports its condition.
#[derive(Clone, Debug)]
pub struct Condition {
    name: &'static str,
    conditions: Arc<RwLock<BTreeMap<&'static str, State>>>,
}

/// What `/readyz` answers.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// Whether all conditions hold.
    pub ready: bool,
    /// Every condition, ordered by name.
    pub conditions: Vec<ConditionState>,
}

/// One condition as `/readyz` shows it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct ConditionState {
    /// The condition's name.
    pub name: &'static str,
    /// Whether it holds.
    pub ready: bool,
    /// Why not, or what is amiss although it holds; operators' text, without personal data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Reason,
}

/// `None` while nothing is amiss.
type Reason = Option<Cow<'static, str>>;

/// Whether a condition holds, and what is amiss.
#[derive(Debug, PartialEq, Eq)]
struct State {
    ready: bool,
    reason: Reason,
}

impl Health {
    /// A registry without conditions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a condition, at first not ready. A name that is already there is reset.
    #[must_use]
    pub fn condition(&self, name: &'static str) -> Condition {
        let condition = Condition { name, conditions: Arc::clone(&self.conditions) };
        let unreported = State { ready: false, reason: Some(NOT_YET_REPORTED.into()) };
        // Said by `/readyz` only: at every start it would be a warning that means nothing.
        condition
            .conditions
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name, unreported);
        condition
    }

    /// All conditions as they are now.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        let conditions = self.conditions.read().unwrap_or_else(PoisonError::into_inner);
        let conditions: Vec<_> = conditions
            .iter()
            .map(|(name, state)| ConditionState {
                name,
                ready: state.ready,
                reason: state.reason.clone(),
            })
            .collect();
        Readiness {
            ready: !conditions.is_empty() && conditions.iter().all(|c| c.ready),
            conditions,
        }
    }
}

impl Condition {
    /// The condition holds.
    pub fn ready(&self) {
        self.report(State { ready: true, reason: None });
    }

    /// The condition holds, but `reason` deserves an operator's look.
    pub fn degraded(&self, reason: impl Into<Cow<'static, str>>) {
        self.report(State { ready: true, reason: Some(reason.into()) });
    }

    /// The condition does not hold, because of `reason`.
    pub fn not_ready(&self, reason: impl Into<Cow<'static, str>>) {
        self.report(State { ready: false, reason: Some(reason.into()) });
    }

    fn report(&self, state: State) {
        let mut conditions = self.conditions.write().unwrap_or_else(PoisonError::into_inner);
        if conditions.get(self.name) == Some(&state) {
            return;
        }
        let condition = self.name;
        match (&state.reason, state.ready) {
            (None, _) => tracing::info!(condition, "condition holds"),
            (Some(reason), true) => tracing::warn!(condition, %reason, "condition holds, degraded"),
            (Some(reason), false) => tracing::warn!(condition, %reason, "condition does not hold"),
        }
        conditions.insert(self.name, state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_without_conditions_is_not_ready() {
        assert!(!Health::new().readiness().ready);
    }

    #[test]
    fn a_condition_that_never_reported_keeps_the_node_out() {
        let health = Health::new();
        let store = health.condition("store");
        let _hsm = health.condition("hsm");
        store.ready();
        let readiness = health.readiness();
        assert!(!readiness.ready);
        let hsm = &readiness.conditions[0];
        assert_eq!((hsm.name, hsm.reason.as_deref()), ("hsm", Some(NOT_YET_REPORTED)));
        assert!(readiness.conditions[1].ready);
    }

    #[test]
    fn a_condition_can_fail_and_come_back() {
        let health = Health::new();
        let store = health.condition("store");
        store.ready();
        assert!(health.readiness().ready);
        store.not_ready("disk full");
        assert!(!health.readiness().ready);
        store.ready();
        assert!(health.readiness().ready);
    }
}
