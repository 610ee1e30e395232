//! Where nodes are and which region each belongs to, as `federation.toml` has it.

use std::collections::BTreeMap;

use exequatur_federation::{
    membership::NodeId,
    region::{RegionId, RegionNumber},
};

/// The federation's name, its regions, and the addresses of its nodes.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    /// The federation's name; stands in every certificate between nodes.
    pub federation: String,
    /// Regions that have nodes, by name.
    pub regions: BTreeMap<RegionId, RegionNumber>,
    /// Nodes by id.
    pub nodes: BTreeMap<NodeId, NodeEntry>,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeEntry {
    /// Its region.
    pub region: RegionId,
    /// Host and port.
    pub address: String,
}
