//! The first entry: regions, founders and law, exactly as every founder pinned them.

use std::{collections::BTreeSet, sync::Arc};

use super::{Judgement, Verdict, config::check_regions, effect::Effect, members::member};
use crate::{
    jose::sha256,
    ledger::{
        Command, Digest, Fixed, Genesis, Objection, Proposal, RegionEntry,
        state::{FederationRow, RegionRow, State},
    },
    membership::{LEVELS, NodeTicket},
    time::UnixTime,
};

/// Judges the first proposal of a ledger whose genesis has the digest that was pinned.
pub(super) fn judge(pinned: &Digest, proposal: &Proposal) -> Judgement {
    let Command::Genesis(genesis) = &proposal.command else { return Err(Objection::Genesis) };
    if Fixed(sha256(&proposal.seal())) != *pinned {
        return Err(Objection::Genesis);
    }
    if proposal.header.level != genesis.level || !LEVELS.contains(genesis.level) {
        return Err(Objection::Level);
    }
    check_regions(genesis.regions.items())?;
    founders(genesis)?;
    let region = entry(genesis, proposal.header.region).ok_or(Objection::UnknownRegion)?;
    let proposes = |ticket: &NodeTicket| {
        let said = &ticket.description;
        (said.region, said.node) == (proposal.header.region, proposal.header.node)
    };
    if !genesis.founders.items().iter().any(proposes) {
        return Err(Objection::UnknownNode);
    }
    let ledger = crate::ledger::LedgerId { cluster: genesis.cluster, epoch: genesis.epoch };
    let message = Proposal::signing_bytes(ledger, &proposal.header, &proposal.command);
    let signed = proposal.signature.is_some_and(|s| region.identity.verify(&message, &s));
    if !signed {
        return Err(Objection::Signature);
    }
    let at = proposal.header.proposed_at;
    Ok(Verdict::take(Effect::Found { genesis: Box::new(genesis.clone()), at }))
}

/// Fills the tables.
pub(super) fn take(state: &mut State, genesis: &Genesis, at: UnixTime) {
    let Some(first) = genesis.founders.items().first() else { return };
    state.federation = Some(FederationRow {
        cluster: genesis.cluster,
        epoch: genesis.epoch,
        name: first.description.federation,
        level: genesis.level,
        law: genesis.law,
        founded_at: at,
        time: at,
        purged: at.seconds() / 60,
    });
    let region = |entry: &RegionEntry| (entry.region, RegionRow::new(entry.clone(), at));
    state.regions = Arc::new(genesis.regions.items().iter().map(region).collect());
    let founder = |ticket: &NodeTicket| (ticket.description.node, member(ticket));
    state.members = Arc::new(genesis.founders.items().iter().map(founder).collect());
}

/// Every founder is vouched for by its region, for one federation, under an id and key of its own.
fn founders(genesis: &Genesis) -> Result<(), Objection> {
    let founders = genesis.founders.items();
    let first = founders.first().ok_or(Objection::Invalid)?;
    let (mut nodes, mut keys) = (BTreeSet::new(), BTreeSet::new());
    for ticket in founders {
        let said = &ticket.description;
        let region = entry(genesis, said.region).ok_or(Objection::UnknownRegion)?;
        if said.federation != first.description.federation
            || said.key.to_public().is_err()
            || !nodes.insert(said.node)
            || !keys.insert(said.key)
        {
            return Err(Objection::Invalid);
        }
        if !said.levels.contains(genesis.level) {
            return Err(Objection::Level);
        }
        if !ticket.verify(&region.identity) {
            return Err(Objection::Signature);
        }
    }
    Ok(())
}

fn entry(genesis: &Genesis, region: crate::region::RegionNumber) -> Option<&RegionEntry> {
    genesis.regions.items().iter().find(|entry| entry.region == region)
}
