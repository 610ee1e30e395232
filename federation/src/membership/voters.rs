//! The rules that a set of voters must keep, so that losing any one region leaves a quorum.
//!
//! They are asked three times: of `federation.toml`, before a membership change is proposed, and
//! when it is applied; of a joint change, both sets must keep them.

use std::collections::BTreeMap;

use super::NodeId;
use crate::{
    ledger::{Member, Membership},
    region::RegionNumber,
};

/// Fewest regions with voters: of two, the larger one alone would be a quorum or a veto.
pub const VOTER_REGIONS_MIN: usize = 3;

/// How a set of voters breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VoterFault {
    /// Nobody votes. No exception excuses this one.
    #[error("no node is a voter, so nothing could ever be agreed")]
    Empty,
    /// An even number survives no more losses than one voter fewer would.
    #[error("{count} voters are an even number: one more or one fewer survives as much")]
    Even {
        /// How many voters there are.
        count: usize,
    },
    /// Too few regions.
    #[error("voters stand in {regions} region(s): at least {VOTER_REGIONS_MIN} are needed")]
    FewRegions {
        /// How many regions have voters.
        regions: usize,
    },
    /// One region's loss would take the quorum.
    #[error(
        "region {region} has {got} of {count} voters, at most {max} leave a quorum when it is lost"
    )]
    Concentrated {
        /// The region.
        region: RegionNumber,
        /// Its voters.
        got: usize,
        /// All voters.
        count: usize,
        /// How many it may have.
        max: usize,
    },
}

/// Why a membership is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MembershipFault {
    /// A voter is not among the nodes.
    #[error("voter {node} is not among the nodes")]
    Unlisted {
        /// The voter.
        node: NodeId,
    },
    /// A set of voters breaks a rule.
    #[error(transparent)]
    Voters(#[from] VoterFault),
}

/// Every rule that a set of voters breaks, given the region of each.
#[must_use]
pub fn faults(voters: impl IntoIterator<Item = RegionNumber>) -> Vec<VoterFault> {
    let mut by_region: BTreeMap<RegionNumber, usize> = BTreeMap::new();
    for region in voters {
        *by_region.entry(region).or_default() += 1;
    }
    let count: usize = by_region.values().sum();
    if count == 0 {
        return vec![VoterFault::Empty];
    }
    let mut faults = Vec::new();
    if count.is_multiple_of(2) {
        faults.push(VoterFault::Even { count });
    }
    if by_region.len() < VOTER_REGIONS_MIN {
        faults.push(VoterFault::FewRegions { regions: by_region.len() });
    }
    let max = (count - 1) / 2;
    let over = by_region.into_iter().filter(|(_, got)| *got > max);
    faults.extend(over.map(|(region, got)| VoterFault::Concentrated { region, got, count, max }));
    faults
}

/// Whether a set of voters keeps the rules. `accept_reduced_survival` excuses everything but a set
/// without voters.
///
/// # Errors
/// The first rule that it breaks.
pub fn check(
    voters: impl IntoIterator<Item = RegionNumber>,
    accept_reduced_survival: bool,
) -> Result<(), VoterFault> {
    let excused = |fault: &VoterFault| accept_reduced_survival && *fault != VoterFault::Empty;
    match faults(voters).into_iter().find(|fault| !excused(fault)) {
        Some(fault) => Err(fault),
        None => Ok(()),
    }
}

/// Whether every set of voters of a membership keeps the rules.
///
/// # Errors
/// The first rule that one breaks, or a voter that is not among the nodes.
pub fn check_membership(
    membership: &Membership,
    accept_reduced_survival: bool,
) -> Result<(), MembershipFault> {
    let members: BTreeMap<NodeId, Member> = membership.nodes.items().iter().copied().collect();
    if membership.configurations.items().is_empty() {
        return Err(VoterFault::Empty.into());
    }
    for voters in membership.configurations.items() {
        let region = |node: &NodeId| {
            let member = members.get(node).ok_or(MembershipFault::Unlisted { node: *node });
            member.map(|member| member.region)
        };
        let regions: Vec<RegionNumber> =
            voters.items().iter().map(region).collect::<Result<_, _>>()?;
        check(regions, accept_reduced_survival)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ledger::{Fixed, List};

    /// One voter for each number, in the region of that number.
    fn voters(regions: &[u16]) -> Vec<RegionNumber> {
        regions.iter().map(|r| RegionNumber::new(*r).unwrap()).collect()
    }

    /// A membership with a set of voters for each list of regions; voters have running ids.
    fn membership(sets: &[&[u16]]) -> Membership {
        let mut nodes = Vec::new();
        let mut configurations = Vec::new();
        for set in sets {
            let mut ids = Vec::new();
            for region in voters(set) {
                let id = NodeId::new(nodes.len() as u64 + 1).unwrap();
                nodes.push((id, Member { region, key: Fixed([0; 32]) }));
                ids.push(id);
            }
            configurations.push(List::new(ids).unwrap());
        }
        Membership {
            configurations: List::new(configurations).unwrap(),
            nodes: List::new(nodes).unwrap(),
        }
    }

    #[test]
    fn one_voter_in_each_of_three_regions_and_larger_balanced_sets_are_right() {
        for set in [&[1, 2, 3][..], &[1, 1, 2, 2, 3], &[1, 2, 3, 4, 5], &[9, 9, 9, 4, 4, 4, 7]] {
            assert_eq!(faults(voters(set)), [], "{set:?}");
        }
    }

    #[test]
    fn every_broken_rule_is_told_at_once() {
        assert_eq!(faults([]), [VoterFault::Empty]);
        let [one, two] = [1, 2].map(|r| RegionNumber::new(r).unwrap());
        let heavy = |region, got, count, max| VoterFault::Concentrated { region, got, count, max };
        assert_eq!(
            faults(voters(&[1])),
            [VoterFault::FewRegions { regions: 1 }, heavy(one, 1, 1, 0)]
        );
        assert_eq!(
            faults(voters(&[1, 1, 2, 2])),
            [
                VoterFault::Even { count: 4 },
                VoterFault::FewRegions { regions: 2 },
                heavy(one, 2, 4, 1),
                heavy(two, 2, 4, 1),
            ]
        );
        assert_eq!(faults(voters(&[1, 2, 2, 2, 3])), [heavy(two, 3, 5, 2)]);
    }

    #[test]
    fn an_exception_excuses_everything_but_nobody() {
        for set in [&[1][..], &[1, 2], &[1, 1, 1, 2, 3]] {
            assert!(check(voters(set), false).is_err(), "{set:?}");
            assert_eq!(check(voters(set), true), Ok(()), "{set:?}");
        }
        assert_eq!(check([], true), Err(VoterFault::Empty));
        let empty = MembershipFault::Voters(VoterFault::Empty);
        assert_eq!(check_membership(&membership(&[]), true), Err(empty));
        assert_eq!(check_membership(&membership(&[&[1, 2, 3], &[]]), true), Err(empty));
    }

    #[test]
    fn both_sets_of_a_joint_membership_must_keep_the_rules() {
        let right = [1, 2, 3];
        let even = MembershipFault::Voters(VoterFault::Even { count: 4 });
        assert_eq!(check_membership(&membership(&[&right, &[1, 2, 3, 4, 5]]), false), Ok(()));
        for sets in [[&right[..], &[1, 2, 3, 4]], [&[1, 2, 3, 4], &right]] {
            assert_eq!(check_membership(&membership(&sets), false), Err(even));
            assert_eq!(check_membership(&membership(&sets), true), Ok(()));
        }
    }

    #[test]
    fn a_voter_that_is_not_among_the_nodes_is_refused_even_by_exception() {
        let mut strange = membership(&[&[1, 2, 3]]);
        strange.nodes = List::new(strange.nodes.items()[1..].to_vec()).unwrap();
        let node = NodeId::new(1).unwrap();
        let fault = Err(MembershipFault::Unlisted { node });
        assert_eq!(check_membership(&strange, true), fault);
    }

    proptest! {
        #[test]
        fn losing_any_one_region_leaves_a_quorum_exactly_where_the_rules_hold(
            set in prop::collection::vec(1_u16..7, 0..16)
        ) {
            let all = voters(&set);
            let quorum = all.len() / 2 + 1;
            let survives = |lost| all.iter().filter(|region| **region != lost).count() >= quorum;
            let any_loss = !all.is_empty() && all.iter().all(|region| survives(*region));
            if check(all.iter().copied(), false).is_ok() {
                prop_assert!(any_loss);
            } else if all.len() % 2 == 1 {
                // Among odd sets the rules refuse nothing that would survive.
                prop_assert!(!any_loss);
            }
        }
    }
}
