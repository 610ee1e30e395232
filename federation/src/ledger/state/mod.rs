//! The tables of the ledger, as values: what every node holds alike. They say what is; which
//! command may change what stands in [`super::rules`], how they are written in a snapshot in
//! [`super::snapshot`].
//!
//! Every table is shared until it is changed, so that a copy for a reader or a snapshot costs a few
//! counters and nobody waits for it.

mod cut;
mod rows;
mod shards;

pub use cut::{CutRow, Indexes, ListRow, Lix, Owner};
pub use rows::{
    ConfigRow, Cosigner, FederationRow, HEADS_KEPT_MAX, Head, KeyRow, KeyState, LogRow, MemberRow,
    PendingAction, PendingRow, Quota, RegionRow, Staged, Window,
};
pub use shards::{ROWS_PER_SHARD_MAX, SHARDS, Sharded, Spread};

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{KeyThumbprint, LogName};
use crate::{membership::NodeId, region::RegionNumber};

/// A table that is copied when it is changed while somebody else holds it.
pub(super) type Table<K, V> = Arc<BTreeMap<K, V>>;

/// What was revoked of every region, and how the regions are: shared with the ledger it is from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revoked {
    /// The regions.
    pub regions: Arc<BTreeMap<RegionNumber, RegionRow>>,
    /// What was revoked of them.
    pub owners: Arc<BTreeMap<RegionNumber, Arc<Owner>>>,
}

/// Everything that commands have made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// `None` before genesis.
    pub federation: Option<FederationRow>,
    pub regions: Table<RegionNumber, RegionRow>,
    /// Numbers of regions that were: never used again.
    pub gone: Arc<BTreeSet<RegionNumber>>,
    pub members: Table<NodeId, MemberRow>,
    /// Ids that were members, with their region: never used again.
    pub tombstones: Table<NodeId, RegionNumber>,
    pub windows: Table<NodeId, Window>,
    pub keys: Table<(RegionNumber, KeyThumbprint), KeyRow>,
    pub logs: Table<LogName, Arc<LogRow>>,
    pub configs: Table<RegionNumber, ConfigRow>,
    pub pending: Table<PendingAction, PendingRow>,
    pub revocations: Table<RegionNumber, Arc<Owner>>,
}

impl State {
    /// Whether the region takes part in what regions decide together: it serves, was not revoked,
    /// and has a node that can speak for it.
    pub(super) fn is_active(&self, region: RegionNumber) -> bool {
        self.regions.get(&region).is_some_and(RegionRow::serves)
            && self.members.values().any(|member| member.region == region)
    }

    /// Whether the region may say anything, if only about itself.
    pub(super) fn may_speak(&self, region: RegionNumber) -> bool {
        self.regions.get(&region).is_some_and(|row| !row.revoked)
            && self.members.values().any(|member| member.region == region)
    }

    /// The regions that take part.
    pub(super) fn active(&self) -> impl Iterator<Item = RegionNumber> {
        let peopled: BTreeSet<RegionNumber> =
            self.members.values().map(|member| member.region).collect();
        let active = move |(number, row): (&RegionNumber, &RegionRow)| {
            (row.serves() && peopled.contains(number)).then_some(*number)
        };
        self.regions.iter().filter_map(active)
    }

    /// The nodes of a region.
    pub(super) fn nodes(&self, region: RegionNumber) -> impl Iterator<Item = NodeId> {
        let of_region =
            move |(node, row): (&NodeId, &MemberRow)| (row.region == region).then_some(*node);
        self.members.iter().filter_map(of_region)
    }
}
