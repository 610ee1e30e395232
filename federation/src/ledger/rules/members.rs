//! The table of members: who joins, who leaves for ever, and the level that all of them know.

use super::{
    Case, Judgement, Verdict,
    effect::Effect,
    regions::speaks_of_others,
    together::{Need, both},
};
use crate::{
    ledger::{
        Join, Leave, NODES_MAX, Objection, RaiseLevel,
        state::{MemberRow, PendingAction},
    },
    membership::NodeTicket,
};

/// Most ids of a region that are or were members: a node that lost its disk takes another id, which
/// happens once a year, not a thousand times. A node can leave whatever the number, since it is
/// looked at when one joins.
pub const TOMBSTONES_PER_REGION_MAX: usize = 1_024;

/// A region vouches for a node by its ticket, whoever proposes it. A newer ticket of a member says
/// what it knows now; only its own region brings one.
pub(super) fn join(case: &Case<'_>, command: &Join) -> Judgement {
    let ticket = &command.ticket;
    let said = &ticket.description;
    let region = case.state.regions.get(&said.region).ok_or(Objection::Unknown)?;
    if region.revoked || (case.header.region != said.region && !case.region.serves()) {
        return Err(Objection::NotAuthorised);
    }
    if case.state.tombstones.contains_key(&said.node) {
        return Err(Objection::Tombstone);
    }
    if said.federation != case.federation.name || said.key.to_public().is_err() {
        return Err(Objection::Invalid);
    }
    if !said.levels.contains(case.federation.level) {
        return Err(Objection::Level);
    }
    if !ticket.verify(&region.entry.identity) {
        return Err(Objection::Signature);
    }
    let row = member(ticket);
    if let Some(before) = case.state.members.get(&said.node) {
        if (before.region, before.key) != (row.region, row.key) {
            return Err(Objection::Conflict);
        }
        if *before == row {
            return Ok(Verdict::duplicate());
        }
        if case.header.region != said.region {
            return Err(Objection::NotAuthorised);
        }
    } else {
        room(case, &row)?;
    }
    Ok(Verdict::take(Effect::Join(said.node, row)))
}

/// A region lets go of its own node; two others, of any.
pub(super) fn leave(case: &Case<'_>, command: &Leave) -> Judgement {
    if case.state.tombstones.contains_key(&command.node) {
        return Ok(Verdict::duplicate());
    }
    let row = case.state.members.get(&command.node).ok_or(Objection::Unknown)?;
    let effect = Effect::Leave(command.node);
    if row.region == case.header.region {
        return Ok(Verdict::take(effect));
    }
    speaks_of_others(case)?;
    both(case, PendingAction::Leave(*command), Need::Two, effect)
}

/// The next level, once every member knows it.
pub(super) fn raise_level(case: &Case<'_>, command: &RaiseLevel) -> Judgement {
    speaks_of_others(case)?;
    let level = case.federation.level;
    if command.level == level {
        return Ok(Verdict::duplicate());
    }
    if level.checked_add(1) != Some(command.level) {
        return Err(Objection::WrongState);
    }
    if !case.state.members.values().all(|member| member.levels.contains(command.level)) {
        return Err(Objection::NotReady);
    }
    Ok(Verdict::take(Effect::Level(command.level)))
}

/// What the ledger holds of a ticket.
pub(super) const fn member(ticket: &NodeTicket) -> MemberRow {
    let said = &ticket.description;
    MemberRow { region: said.region, key: said.key, levels: said.levels, build: said.build }
}

fn room(case: &Case<'_>, row: &MemberRow) -> Result<(), Objection> {
    if case.state.members.values().any(|other| other.key == row.key) {
        return Err(Objection::Conflict);
    }
    let left = case.state.tombstones.values().filter(|region| **region == row.region).count();
    let ids = left + case.state.nodes(row.region).count();
    if case.state.members.len() >= NODES_MAX || ids >= TOMBSTONES_PER_REGION_MAX {
        return Err(Objection::TableFull);
    }
    Ok(())
}
