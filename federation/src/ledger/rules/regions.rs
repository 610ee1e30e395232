//! The table of regions: whether a region serves, and the end of one that was lost.

use super::{
    Case, Judgement, Verdict,
    effect::Effect,
    together::{Need, both},
};
use crate::{
    ledger::{
        Objection, RegionState, RevokeRegion, SetRegionState,
        state::{PendingAction, RegionRow},
    },
    region::RegionNumber,
};

/// A region goes by itself, or when two others say so. It comes back when it says so and another.
pub(super) fn set_state(case: &Case<'_>, command: &SetRegionState) -> Judgement {
    let row = case.state.regions.get(&command.region).ok_or(Objection::Unknown)?;
    let itself = case.header.region == command.region;
    if !itself {
        speaks_of_others(case)?;
    }
    stand_in(case, command, row)?;
    if (row.state, row.stand_in) == (command.state, command.stand_in) {
        return Ok(Verdict::duplicate());
    }
    if row.state == RegionState::Evacuated && command.state == RegionState::Draining {
        return Err(Objection::WrongState);
    }
    let mut next = row.clone();
    (next.state, next.stand_in) = (command.state, command.stand_in);
    let effect = Effect::Region(command.region, Box::new(next));
    let action = PendingAction::SetRegionState(*command);
    if command.state == RegionState::Active {
        if row.revoked {
            return Err(Objection::WrongState);
        }
        return both(case, action, Need::AndOne(command.region), effect);
    }
    another_stays(case, command.region)?;
    if itself {
        return Ok(Verdict::take(effect));
    }
    both(case, action, Need::Two, effect)
}

/// By itself, a region declares dead what it has issued, and goes on. Two others end it: its keys
/// verify nothing and it proposes nothing, until a law gives it another identity key.
pub(super) fn revoke(case: &Case<'_>, command: &RevokeRegion) -> Judgement {
    let row = case.state.regions.get(&command.region).ok_or(Objection::Unknown)?;
    let mut next = row.clone();
    next.cutoff = Some(case.lix);
    if case.header.region == command.region {
        return Ok(Verdict::take(Effect::Region(command.region, Box::new(next))));
    }
    speaks_of_others(case)?;
    if row.revoked {
        return Ok(Verdict::duplicate());
    }
    another_stays(case, command.region)?;
    next.revoked = true;
    next.state = RegionState::Evacuated;
    let effect = Effect::Region(command.region, Box::new(next));
    both(case, PendingAction::RevokeRegion(*command), Need::Two, effect)
}

/// Only a region that serves takes part in what is decided about another.
pub(super) fn speaks_of_others(case: &Case<'_>) -> Result<(), Objection> {
    if case.region.serves() { Ok(()) } else { Err(Objection::NotAuthorised) }
}

/// A federation without an active region could do nothing any more, not even bring one back.
fn another_stays(case: &Case<'_>, going: RegionNumber) -> Result<(), Objection> {
    if case.state.active().any(|region| region != going) {
        Ok(())
    } else {
        Err(Objection::WrongState)
    }
}

/// A stand-in is declared, and serves itself; a region that serves has none.
fn stand_in(case: &Case<'_>, command: &SetRegionState, row: &RegionRow) -> Result<(), Objection> {
    let Some(stand_in) = command.stand_in else { return Ok(()) };
    if command.state == RegionState::Active || !row.entry.stand_ins.items().contains(&stand_in) {
        return Err(Objection::Invalid);
    }
    if !case.state.is_active(stand_in) {
        return Err(Objection::WrongState);
    }
    Ok(())
}
