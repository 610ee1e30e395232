//! What `federation.toml` says of the federation's ledger: regions, their nodes, the law's version.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    ledger::{IdentityKey, LawVersion, List, REGIONS_MAX, RegionEntry, STAND_INS_MAX, TooMany},
    membership::{NodeId, RaftTiming},
    region::{RegionId, RegionNumber},
};

/// What all regions share about the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FederationSettings {
    /// Name of the federation.
    pub name: String,
    /// Version of the law, and the digest of its canonical form: what nodes compare.
    pub law: LawVersion,
    /// Longest round trip between two regions.
    pub max_rtt: Duration,
    /// The regions.
    pub regions: BTreeMap<RegionId, FederationRegion>,
}

/// A region of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FederationRegion {
    /// Its number there; every region has one once any has nodes.
    pub number: Option<RegionNumber>,
    /// The key that its proposals are verified with.
    pub identity: Option<IdentityKey>,
    /// PEM file of the authority that certifies its nodes, as written.
    pub ca: Option<String>,
    /// Regions that may stand in for it.
    pub stand_ins: Vec<RegionId>,
    /// Whether it cosigns audit checkpoints of others.
    pub witness: bool,
    /// Whether the leader should be one of its nodes.
    pub prefer_leader: bool,
    /// Its nodes.
    pub nodes: BTreeMap<NodeId, FederationNode>,
}

/// A node as others find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FederationNode {
    /// Host and port.
    pub address: String,
    /// Whether it is to vote.
    pub voter: bool,
}

/// Why there is no table of regions for the ledger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegionsTableError {
    /// A region with nodes has no identity key.
    #[error(
        "region `{region}` has nodes but no `identity` in federation.toml: `exequatur init` prints \
         it there"
    )]
    IdentityMissing {
        /// The region.
        region: RegionId,
    },
    /// A region stands in for another, but is not in the ledger itself.
    #[error(
        "`{stand_in}` is to stand in for `{region}`, but has no number and identity in \
         federation.toml"
    )]
    StandInMissing {
        /// The region.
        region: RegionId,
        /// The other.
        stand_in: RegionId,
    },
    /// More than the ledger has room for.
    #[error(transparent)]
    TooMany(#[from] TooMany),
}

impl FederationSettings {
    /// The times of consensus.
    #[must_use]
    pub fn timing(&self) -> RaftTiming {
        RaftTiming::new(self.max_rtt)
    }

    /// A region by its number.
    #[must_use]
    pub fn region(&self, number: RegionNumber) -> Option<(&RegionId, &FederationRegion)> {
        self.regions.iter().find(|(_, region)| region.number == Some(number))
    }

    /// A node, with the name and the number of its region.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<(&RegionId, &FederationRegion, &FederationNode)> {
        self.regions
            .iter()
            .find_map(|(name, region)| region.nodes.get(&id).map(|node| (name, region, node)))
    }

    /// The nodes that are to vote, with the numbers of their regions.
    #[must_use]
    pub fn voters(&self) -> BTreeMap<NodeId, RegionNumber> {
        let numbered = self.regions.values().filter_map(|r| Some((r.number?, &r.nodes)));
        let voting = numbered.flat_map(|(number, nodes)| {
            nodes.iter().filter(|(_, node)| node.voter).map(move |(id, _)| (*id, number))
        });
        voting.collect()
    }

    /// The regions as the ledger takes them, by ascending number. A region that has neither nodes
    /// nor an identity key yet is left out.
    ///
    /// # Errors
    /// A region lacks what the ledger needs.
    pub fn regions_table(&self) -> Result<List<RegionEntry, REGIONS_MAX>, RegionsTableError> {
        let mut entries = Vec::new();
        for (name, region) in &self.regions {
            match (region.number, region.identity) {
                (Some(number), Some(identity)) => entries.push(RegionEntry {
                    region: number,
                    identity,
                    stand_ins: self.stand_ins(name, region)?,
                    witness: region.witness,
                }),
                _ if region.nodes.is_empty() => {}
                _ => return Err(RegionsTableError::IdentityMissing { region: name.clone() }),
            }
        }
        entries.sort_by_key(|entry| entry.region);
        Ok(List::new(entries)?)
    }

    fn stand_ins(
        &self,
        name: &RegionId,
        region: &FederationRegion,
    ) -> Result<List<RegionNumber, STAND_INS_MAX>, RegionsTableError> {
        let number = |stand_in: &RegionId| {
            let there = self.regions.get(stand_in).filter(|other| other.identity.is_some());
            let (region, stand_in) = (name.clone(), stand_in.clone());
            let missing = RegionsTableError::StandInMissing { region, stand_in };
            there.and_then(|other| other.number).ok_or(missing)
        };
        let numbers: Vec<RegionNumber> =
            region.stand_ins.iter().map(number).collect::<Result<_, _>>()?;
        Ok(List::new(numbers)?)
    }
}
