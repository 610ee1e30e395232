//! The genesis: one founder makes it from `federation.toml` and everybody's tickets, and every founder
//! checks and pins it. What is checked here is what the makers can be wrong about by hand; the ledger
//! checks it again when it applies it.

use std::collections::BTreeMap;

use exequatur_federation::{
    config::{FederationSettings, RegionsTableError},
    jose::sha256,
    ledger::{
        Command, Digest, EnvelopeError, FOUNDERS_MAX, Fixed, Genesis, Header, LedgerId, List,
        PROPOSAL_BYTES_MAX, Proposal, TooMany,
    },
    membership::{
        ClusterId, LEVELS, LevelRange, NodeDescription, NodeId, NodeTicket,
        voters::{self, VoterFault},
    },
    region::RegionNumber,
    time::UnixTime,
};

use super::ticket::{IdentitySignError, TicketError, check_ticket, sign_as_region};
use crate::hsm::Signer;

/// What a federation is founded from.
#[derive(Clone, Copy, Debug)]
pub struct Founding<'a> {
    /// What `federation.toml` says.
    pub settings: &'a FederationSettings,
    /// Everybody's tickets.
    pub tickets: &'a [NodeTicket],
    /// The node that founds.
    pub here: NodeDescription,
    /// The new federation's id.
    pub cluster: ClusterId,
    /// The time.
    pub now: UnixTime,
}

/// Why nothing was founded.
#[derive(Debug, thiserror::Error)]
pub enum FoundingError {
    /// A ticket does not vouch for a node of this federation.
    #[error(transparent)]
    Ticket(#[from] TicketError),
    /// A node came twice.
    #[error("the ticket of node {node} was given twice")]
    Twice {
        /// The node.
        node: NodeId,
    },
    /// A node that is not to vote.
    #[error(
        "node {node} has `voter = false` in federation.toml, so it is no founder: invite it when the \
         cluster runs"
    )]
    NoVoter {
        /// The node.
        node: NodeId,
    },
    /// A voter's ticket is missing.
    #[error(
        "the tickets of these voters of federation.toml are missing: {}",
        nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    TicketsMissing {
        /// The nodes.
        nodes: Vec<NodeId>,
    },
    /// The node itself is not among them.
    #[error("this node, {node}, is not among the founders: give its own ticket too")]
    NotHere {
        /// The node.
        node: NodeId,
    },
    /// The voters break a rule.
    #[error(transparent)]
    Voters(#[from] VoterFault),
    /// No feature level is known to all.
    #[error(
        "node {node} knows the feature levels {} to {}, and another founder only up to {level}",
        levels.lowest, levels.highest
    )]
    Levels {
        /// The node.
        node: NodeId,
        /// What it knows.
        levels: LevelRange,
        /// The highest that the least able one knows.
        level: u16,
    },
    /// A region cannot be part of the ledger.
    #[error(transparent)]
    Regions(#[from] RegionsTableError),
    /// Too many founders.
    #[error("founders: {0}")]
    TooMany(#[from] TooMany),
    /// The genesis does not fit a proposal.
    #[error(
        "the genesis has {got} bytes: at most {PROPOSAL_BYTES_MAX} fit; found it with fewer nodes"
    )]
    TooLarge {
        /// Its size.
        got: usize,
    },
    /// The region's key did not sign.
    #[error("the region's identity key did not sign the genesis")]
    Sign(#[from] IdentitySignError),
}

/// Why a genesis is not pinned.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// The file is no genesis.
    #[error("it is no genesis: {fault}")]
    Malformed {
        /// What is wrong with it.
        fault: EnvelopeError,
    },
    /// Its maker is not one of the federation's regions.
    #[error("it was made by region {region}, which has no `identity` in federation.toml")]
    RegionNotPinned {
        /// The number of the region.
        region: RegionNumber,
    },
    /// Another key signed it.
    #[error("it is not signed by the identity key that federation.toml has for region {region}")]
    Signature {
        /// The number of the region.
        region: RegionNumber,
    },
    /// A founder's ticket is wrong, above all that of another federation.
    #[error(transparent)]
    Founder(#[from] TicketError),
    /// It was made under another law.
    #[error(
        "it was made under version {theirs} of federation.toml (digest {their_digest}), this node goes \
         by version {ours} (digest {our_digest}): put the same file in every region"
    )]
    OtherLaw {
        /// Version of the genesis.
        theirs: u64,
        /// Digest of the genesis.
        their_digest: Digest,
        /// Version here.
        ours: u64,
        /// Digest here.
        our_digest: Digest,
    },
    /// Its regions are others.
    #[error("its regions are not those of federation.toml")]
    OtherRegions,
    /// A region cannot be part of the ledger.
    #[error(transparent)]
    Regions(#[from] RegionsTableError),
    /// Its founders are others.
    #[error("its founders are not the voters of federation.toml")]
    OtherFounders,
    /// A level that this program does not know.
    #[error("its ledger begins at feature level {level}, and this program knows {} to {}", LEVELS.lowest, LEVELS.highest)]
    Level {
        /// The level.
        level: u16,
    },
    /// The node is not among the founders.
    #[error("node {node} with this key is not among its founders: it joins with an invite")]
    NotAFounder {
        /// The node.
        node: NodeId,
    },
}

impl Founding<'_> {
    /// The command that founds the federation, and who proposes it.
    ///
    /// # Errors
    /// See [`FoundingError`].
    pub fn command(&self) -> Result<(Header, Command), FoundingError> {
        let founders = self.founders()?;
        // No exception: what `federation.toml` must keep, it keeps without one.
        voters::check(founders.values().map(|ticket| ticket.description.region), false)?;
        let level = level(founders.values())?;
        let header = Header {
            region: self.here.region,
            node: self.here.node,
            serial: 0,
            level,
            proposed_at: self.now,
        };
        let genesis = Genesis {
            cluster: self.cluster,
            epoch: 0,
            level,
            law: self.settings.law,
            regions: self.settings.regions_table()?,
            founders: List::<_, FOUNDERS_MAX>::new(founders.into_values().collect())?,
        };
        Ok((header, Command::Genesis(genesis)))
    }

    /// The tickets by node: those of all voters of `federation.toml`, and no others.
    fn founders(&self) -> Result<BTreeMap<NodeId, NodeTicket>, FoundingError> {
        let mut founders = BTreeMap::new();
        let mut missing = self.settings.voters();
        for ticket in self.tickets {
            check_ticket(ticket, self.settings)?;
            let node = ticket.description.node;
            if founders.insert(node, *ticket).is_some() {
                return Err(FoundingError::Twice { node });
            }
            missing.remove(&node).ok_or(FoundingError::NoVoter { node })?;
        }
        let NodeDescription { node, key, .. } = self.here;
        if founders.get(&node).is_none_or(|ticket| ticket.description.key != key) {
            return Err(FoundingError::NotHere { node });
        }
        if !missing.is_empty() {
            return Err(FoundingError::TicketsMissing { nodes: missing.into_keys().collect() });
        }
        Ok(founders)
    }
}

/// The highest feature level that all founders know.
fn level<'t>(tickets: impl Iterator<Item = &'t NodeTicket> + Clone) -> Result<u16, FoundingError> {
    let ranges = tickets.map(|ticket| (ticket.description.node, ticket.description.levels));
    let highest = ranges.clone().map(|(_, levels)| levels.highest);
    let level = highest.min().unwrap_or(LEVELS.highest);
    for (node, levels) in ranges {
        if !levels.contains(level) {
            return Err(FoundingError::Levels { node, levels, level });
        }
    }
    Ok(level)
}

/// Signs the founding command, and gives the frame that everybody pins.
///
/// # Errors
/// The key store did not sign, or the frame is too large.
pub async fn sign_command(
    signer: &dyn Signer,
    cluster: ClusterId,
    (header, command): (Header, Command),
) -> Result<Vec<u8>, FoundingError> {
    let ledger = LedgerId { cluster, epoch: 0 };
    let message = Proposal::signing_bytes(ledger, &header, &command);
    let signature = Some(sign_as_region(signer, &message).await?);
    let frame = Proposal { header, command, signature }.seal();
    if frame.len() > PROPOSAL_BYTES_MAX {
        return Err(FoundingError::TooLarge { got: frame.len() });
    }
    Ok(frame)
}

/// Whether a genesis founds the federation that `federation.toml` describes, with this node. Gives
/// the digest that is pinned.
///
/// # Errors
/// See [`GenesisError`].
pub fn check_genesis(
    frame: &[u8],
    settings: &FederationSettings,
    here: &NodeDescription,
) -> Result<Digest, GenesisError> {
    let malformed = |fault| GenesisError::Malformed { fault };
    let (proposal, rest) = Proposal::open(frame).map_err(malformed)?;
    if !rest.is_empty() {
        return Err(malformed(EnvelopeError::Trailing));
    }
    let Proposal { header, command, signature } = proposal;
    let Command::Genesis(genesis) = &command else {
        return Err(malformed(EnvelopeError::Kind { got: command.kind().number() }));
    };
    // First: the founders of another federation say so best.
    for ticket in genesis.founders.items() {
        check_ticket(ticket, settings)?;
    }
    let region = header.region;
    let pinned = settings.region(region).and_then(|(_, known)| known.identity);
    let identity = pinned.ok_or(GenesisError::RegionNotPinned { region })?;
    let ledger = LedgerId { cluster: genesis.cluster, epoch: genesis.epoch };
    let message = Proposal::signing_bytes(ledger, &header, &command);
    if !signature.is_some_and(|signature| identity.verify(&message, &signature)) {
        return Err(GenesisError::Signature { region });
    }
    check_against(genesis, settings)?;
    let own = |ticket: &&NodeTicket| {
        (ticket.description.node, ticket.description.key) == (here.node, here.key)
    };
    match genesis.founders.items().iter().find(own) {
        Some(_) => Ok(Fixed(sha256(frame))),
        None => Err(GenesisError::NotAFounder { node: here.node }),
    }
}

fn check_against(genesis: &Genesis, settings: &FederationSettings) -> Result<(), GenesisError> {
    if genesis.law != settings.law {
        return Err(GenesisError::OtherLaw {
            theirs: genesis.law.version,
            their_digest: genesis.law.digest,
            ours: settings.law.version,
            our_digest: settings.law.digest,
        });
    }
    if genesis.regions != settings.regions_table()? {
        return Err(GenesisError::OtherRegions);
    }
    let founders = genesis.founders.items().iter();
    let founders: Vec<NodeId> = founders.map(|ticket| ticket.description.node).collect();
    if !founders.iter().eq(settings.voters().keys()) {
        return Err(GenesisError::OtherFounders);
    }
    if !LEVELS.contains(genesis.level) {
        return Err(GenesisError::Level { level: genesis.level });
    }
    Ok(())
}

#[cfg(test)]
#[path = "genesis_test.rs"]
mod tests;
