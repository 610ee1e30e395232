//! Whether nodes that applied the same have the same ledger (I-C3).
//!
//! Every outcome is folded into a digest, so nodes whose digests are equal at one entry have been
//! equal at all before it, and nodes that differ at one differ at all after it. A leader is told
//! digests with every probe and compares them with its own. It does not know by itself which of two
//! is right: whoever differs from most voters is not.

use std::collections::{BTreeMap, BTreeSet};

use super::Digest;
use crate::membership::NodeId;

/// How far a node's ledger is, and its digest there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateDigest {
    /// Index of the last entry that was applied.
    pub index: u64,
    /// The digest after it.
    pub digest: Digest,
}

/// What the leader knows of a node's ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The leader has not applied that entry, or has forgotten its digest.
    Unknown,
    /// It is the leader's.
    Same,
    /// It is not the leader's, and which of them most voters have is not known.
    Differs,
    /// It is not what most voters have: the node must stop.
    Minority {
        /// An entry after which it is not.
        index: u64,
    },
}

/// What a leader has been told in one term.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    told: BTreeMap<NodeId, Told>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// Equal to the leader's up to this entry at least.
    Same(u64),
    /// Not equal from this entry on at the latest.
    Differs(u64),
}

impl Agreement {
    /// Notes what a node tells of its ledger. `own` is the leader's digest at that entry, if the
    /// leader knows it.
    pub fn note(&mut self, node: NodeId, state: &StateDigest, own: Option<Digest>) {
        let Some(own) = own else { return };
        let index = state.index;
        let now = match (self.told.get(&node), own == state.digest) {
            (Some(Told::Same(known)), true) => Told::Same(index.max(*known)),
            // It was sent before what made the node the same again, and has come after it.
            (Some(Told::Same(known)), false) if index <= *known => Told::Same(*known),
            (_, true) => Told::Same(index),
            (Some(Told::Differs(known)), false) => Told::Differs(index.min(*known)),
            (_, false) => Told::Differs(index),
        };
        self.told.insert(node, now);
    }

    /// What to tell a node other than the leader.
    #[must_use]
    pub fn verdict(&self, node: NodeId, leader: NodeId, voters: &BTreeSet<NodeId>) -> Verdict {
        let index = match self.told.get(&node) {
            None => return Verdict::Unknown,
            Some(Told::Same(_)) => return Verdict::Same,
            Some(Told::Differs(index)) => *index,
        };
        let agrees = |voter: &&NodeId| {
            **voter == leader
                || matches!(self.told.get(voter), Some(Told::Same(known)) if *known >= index)
        };
        if is_most(voters.iter().filter(agrees).count(), voters) {
            Verdict::Minority { index }
        } else {
            Verdict::Differs
        }
    }

    /// What the leader is to think of itself.
    #[must_use]
    pub fn verdict_of_leader(&self, leader: NodeId, voters: &BTreeSet<NodeId>) -> Verdict {
        let others = self.told.iter().filter(|(node, _)| voters.contains(node) && **node != leader);
        let differing: Vec<u64> = others
            .filter_map(|(_, told)| match told {
                Told::Differs(index) => Some(*index),
                Told::Same(_) => None,
            })
            .collect();
        match differing.iter().max() {
            Some(index) if is_most(differing.len(), voters) => Verdict::Minority { index: *index },
            _ => Verdict::Same,
        }
    }
}

fn is_most(count: usize, voters: &BTreeSet<NodeId>) -> bool {
    count.saturating_mul(2) > voters.len()
}

#[cfg(test)]
mod tests {
    use super::{super::Fixed, *};

    const LEADER: u64 = 1;

    fn node(number: u64) -> NodeId {
        NodeId::new(number).unwrap()
    }

    fn voters(numbers: std::ops::RangeInclusive<u64>) -> BTreeSet<NodeId> {
        numbers.map(node).collect()
    }

    /// Tells the leader of ledgers: node, entry, and whether it is as the leader's.
    fn told(reports: &[(u64, u64, bool)]) -> Agreement {
        let mut agreement = Agreement::default();
        for (number, index, same) in reports {
            let own = Fixed([7; 32]);
            let digest = if *same { own } else { Fixed([8; 32]) };
            agreement.note(node(*number), &StateDigest { index: *index, digest }, Some(own));
        }
        agreement
    }

    fn verdicts(agreement: &Agreement, voters: &BTreeSet<NodeId>) -> Vec<Verdict> {
        let leader = node(LEADER);
        let others = voters.iter().filter(|voter| **voter != leader);
        std::iter::once(agreement.verdict_of_leader(leader, voters))
            .chain(others.map(|voter| agreement.verdict(*voter, leader, voters)))
            .collect()
    }

    #[test]
    fn one_of_three_that_differs_is_told_once_the_third_is_known_to_agree() {
        let voters = voters(1..=3);
        let alone = told(&[(3, 10, false)]);
        assert_eq!(verdicts(&alone, &voters), [Verdict::Same, Verdict::Unknown, Verdict::Differs]);
        let behind = told(&[(3, 10, false), (2, 9, true)]);
        assert_eq!(verdicts(&behind, &voters), [Verdict::Same, Verdict::Same, Verdict::Differs]);
        let known = told(&[(3, 10, false), (3, 20, false), (2, 10, true)]);
        let minority = Verdict::Minority { index: 10 };
        assert_eq!(verdicts(&known, &voters), [Verdict::Same, Verdict::Same, minority]);
    }

    #[test]
    fn a_leader_that_differs_from_both_others_is_the_minority() {
        let agreement = told(&[(2, 10, false), (3, 12, false)]);
        let expected = [Verdict::Minority { index: 12 }, Verdict::Differs, Verdict::Differs];
        assert_eq!(verdicts(&agreement, &voters(1..=3)), expected);
    }

    #[test]
    fn without_a_majority_on_either_side_nobody_must_stop() {
        let agreement = told(&[(2, 10, true), (3, 10, false), (4, 10, false)]);
        let verdicts = verdicts(&agreement, &voters(1..=4));
        let expected = [Verdict::Same, Verdict::Same, Verdict::Differs, Verdict::Differs];
        assert_eq!(verdicts, expected);
    }

    #[test]
    fn a_learner_counts_for_no_side_but_is_told() {
        let voters = voters(1..=3);
        let learner = told(&[(9, 10, false), (8, 10, true)]);
        assert_eq!(learner.verdict(node(9), node(LEADER), &voters), Verdict::Differs);
        let learner = told(&[(9, 10, false), (2, 10, true)]);
        let verdict = learner.verdict(node(9), node(LEADER), &voters);
        assert_eq!(verdict, Verdict::Minority { index: 10 });
        let learners = told(&[(7, 1, false), (8, 1, false), (9, 1, false)]);
        assert_eq!(learners.verdict_of_leader(node(LEADER), &voters), Verdict::Same);
    }

    #[test]
    fn a_node_whose_ledger_was_replaced_by_a_snapshot_is_the_same_again() {
        let agreement = told(&[(2, 10, true), (3, 10, false), (3, 30, true)]);
        assert_eq!(verdicts(&agreement, &voters(1..=3)), [Verdict::Same; 3]);
        let late = told(&[(2, 10, true), (3, 10, false), (3, 30, true), (3, 11, false)]);
        assert_eq!(late, agreement);
    }

    #[test]
    fn what_the_leader_cannot_compare_changes_nothing() {
        let mut agreement = told(&[(2, 10, true)]);
        let before = agreement.clone();
        let unknown = StateDigest { index: 11, digest: Fixed([9; 32]) };
        agreement.note(node(2), &unknown, None);
        agreement.note(node(3), &unknown, None);
        assert_eq!(agreement, before);
    }
}
