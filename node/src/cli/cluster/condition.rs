//! Whether a federation works as it should: what makes `cluster status` end with exit code 4.

use exequatur_federation::time::UnixTime;
use serde::Serialize;

use crate::consensus::control::{ClusterStatus, NodeState, ViewState};

/// A region that proposes nothing says the time every 30 s, and clocks may differ by 60 s; half a
/// minute more is for elections.
const BEHIND_SECONDS_MAX: u64 = 120;

/// What is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Condition {
    /// The node knows no leader.
    NoLeader,
    /// The loss of one region would stop the federation.
    ReducedSurvival,
    /// What the node knows is old.
    Stale,
    /// Its view of revocations is stale.
    StaleView,
}

impl Condition {
    /// Everything that is not as it should be.
    pub(super) fn of(status: &ClusterStatus, now: UnixTime) -> Vec<Self> {
        let leaderless = status.leader.is_none() || status.state == NodeState::Shutdown;
        let stale = now.since(status.replicated_time) > BEHIND_SECONDS_MAX;
        let stale_view = status.view.is_some_and(|view| view.state != ViewState::Fresh);
        let found = [
            leaderless.then_some(Self::NoLeader),
            (!status.survives_any_region).then_some(Self::ReducedSurvival),
            stale.then_some(Self::Stale),
            stale_view.then_some(Self::StaleView),
        ];
        found.into_iter().flatten().collect()
    }

    /// What it means.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::NoLeader => "no leader: revocations and other proposals wait",
            Self::ReducedSurvival => "the loss of one region can stop the federation",
            Self::Stale => {
                "time in the ledger is more than 2 minutes ago: the node hears of nothing new, or \
                 a clock is wrong"
            }
            Self::StaleView => {
                "the node's view of revocations is stale: nothing crosses a border there"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use exequatur_federation::{ledger::Fixed, membership::NodeId};

    use super::*;
    use crate::consensus::control::ViewStatus;

    fn well() -> ClusterStatus {
        let node = NodeId::new(1).unwrap();
        ClusterStatus {
            cluster: String::new(),
            epoch: 1,
            node,
            region: String::new(),
            state: NodeState::Leader,
            term: 1,
            leader: Some(node),
            level: 1,
            last_log_index: None,
            committed_index: None,
            applied_index: None,
            snapshot_index: None,
            purged_index: None,
            replicated_time: UnixTime::from_seconds(1_000),
            state_digest: Fixed([0; 32]),
            law: Fixed([0; 32]),
            nodes: Vec::new(),
            survives_any_region: true,
            view: None,
            warnings: Vec::new(),
        }
    }

    #[test]
    fn each_condition_has_its_cause() {
        let of = |change: fn(&mut ClusterStatus), now| {
            let mut status = well();
            change(&mut status);
            Condition::of(&status, UnixTime::from_seconds(now))
        };
        assert_eq!(of(|_| {}, 1_120), []);
        assert_eq!(of(|_| {}, 0), [], "a clock that is slow here says nothing");
        assert_eq!(of(|_| {}, 1_121), [Condition::Stale]);
        assert_eq!(of(|s| s.leader = None, 1_000), [Condition::NoLeader]);
        assert_eq!(of(|s| s.state = NodeState::Shutdown, 1_000), [Condition::NoLeader]);
        let reduced = of(|s| s.survives_any_region = false, 1_000);
        assert_eq!(reduced, [Condition::ReducedSurvival]);
        for (state, expected) in [
            (ViewState::Fresh, &[][..]),
            (ViewState::Local, &[Condition::StaleView]),
            (ViewState::Stale, &[Condition::StaleView]),
        ] {
            let view = ViewStatus { age_ms: Some(1), state, local_seconds_left: None };
            let status = ClusterStatus { view: Some(view), ..well() };
            assert_eq!(Condition::of(&status, UnixTime::from_seconds(1_000)), expected);
        }
        let all = of(|s| (s.leader, s.survives_any_region) = (None, false), 9_999);
        assert_eq!(all, [Condition::NoLeader, Condition::ReducedSurvival, Condition::Stale]);
    }
}
