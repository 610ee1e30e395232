//! What needs two regions: the first one's command waits, the second one's, word for word the same,
//! takes effect.

use super::{Case, Verdict, effect::Effect};
use crate::{
    ledger::{
        Objection, Outcome,
        state::{PendingAction, PendingRow},
    },
    region::RegionNumber,
    time::{Ttl, UnixTime},
};

/// How long the first region's part waits, in replicated time: two operators on the telephone need
/// minutes, and what is found lying around next week is not what somebody wants now.
pub const PENDING_WAIT: Ttl = Ttl::from_seconds(3_600);
/// Most actions that wait for a second region, of each region that began them: a region that lost
/// its mind cannot take the others' room.
pub const PENDING_PER_REGION_MAX: usize = 16;

/// Whose signatures an action needs.
#[derive(Clone, Copy)]
pub(super) enum Need {
    /// Two active regions.
    Two,
    /// Two regions, whether they serve or not.
    AnyTwo,
    /// This region and an active other one.
    AndOne(RegionNumber),
}

/// Judges a part of an action: `effect` if it is the last one needed.
pub(super) fn both(
    case: &Case<'_>,
    action: PendingAction,
    need: Need,
    effect: Effect,
) -> Result<Verdict, Objection> {
    let by = case.header.region;
    let waiting = case.state.pending.get(&action).filter(|row| counts(case, row, need));
    match waiting {
        Some(row) if row.by == by => Ok(Verdict::duplicate()),
        Some(row) if completes(row.by, by, need) => {
            Ok(Verdict { outcome: Outcome::Applied, effect, settles: Some(action) })
        }
        // A third region that agrees is no second part where the region itself must agree.
        Some(_) => Ok(waiting_still(Effect::Nothing)),
        None => {
            let begun = |(other, row): (&PendingAction, &PendingRow)| {
                *other != action && row.by == by && !is_over(row, case.now)
            };
            if case.state.pending.iter().filter(|row| begun(*row)).count() >= PENDING_PER_REGION_MAX
            {
                return Err(Objection::TableFull);
            }
            Ok(waiting_still(Effect::Wait(action, PendingRow { by, at: case.now })))
        }
    }
}

/// Whether a part still waits at `now`.
pub(super) fn is_over(row: &PendingRow, now: UnixTime) -> bool {
    row.at.plus(PENDING_WAIT) < now
}

const fn waiting_still(effect: Effect) -> Verdict {
    Verdict { outcome: Outcome::Pending, effect, settles: None }
}

/// Whether the first part is still one: in time, of a region that still may.
fn counts(case: &Case<'_>, row: &PendingRow, need: Need) -> bool {
    let may = match need {
        Need::AnyTwo => case.state.may_speak(row.by),
        Need::AndOne(region) if region == row.by => case.state.may_speak(row.by),
        Need::Two | Need::AndOne(_) => case.state.is_active(row.by),
    };
    may && !is_over(row, case.now)
}

/// Whether the parts of two different regions are all that is needed.
fn completes(first: RegionNumber, second: RegionNumber, need: Need) -> bool {
    match need {
        Need::Two | Need::AnyTwo => true,
        Need::AndOne(region) => first == region || second == region,
    }
}
