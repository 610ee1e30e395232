//! Who may speak at all: what is asked of every proposal before its command is looked at.
//!
//! Replicated time advances here too: a proposal that was admitted tells its region's time,
//! whatever becomes of its command.

use std::sync::Arc;

use super::Case;
use crate::{
    ledger::{
        Header, Objection, Proposal,
        state::{FederationRow, Lix, RegionRow, State, Window},
    },
    membership::LEVELS,
    time::UnixTime,
};

/// Serials that are told apart for each node: the highest and those before it. A node has at most
/// 64 signed proposals in flight.
pub(in crate::ledger) const WINDOW: u64 = 64;

/// What admission says of a proposal.
pub(in crate::ledger) enum Admission<'a> {
    /// Its command may be judged.
    Admitted(Case<'a>),
    /// It was judged before, and had taken effect.
    Duplicate,
}

impl<'a> Admission<'a> {
    /// Admits a proposal of a member, for this ledger and level, signed where it must be, and not
    /// judged before.
    pub(in crate::ledger) fn of(
        state: &'a State,
        federation: &'a FederationRow,
        proposal: &'a Proposal,
        index: u64,
    ) -> Result<Self, Objection> {
        let header = &proposal.header;
        let region = state.regions.get(&header.region).ok_or(Objection::UnknownRegion)?;
        if region.revoked {
            return Err(Objection::NotAuthorised);
        }
        let member = state.members.get(&header.node).ok_or(Objection::UnknownNode)?;
        if member.region != header.region {
            return Err(Objection::UnknownNode);
        }
        // A program that does not know the level in force has no rules to go by: it refuses all,
        // its state digest differs from that of those that do, and it is halted.
        if header.level != federation.level || !LEVELS.contains(header.level) {
            return Err(Objection::Level);
        }
        if proposal.command.is_signed() {
            signed(federation, region, proposal)?;
            let window = state.windows.get(&header.node).copied().unwrap_or_default();
            match window.look(header.serial) {
                Seen::Not => {}
                Seen::Taken => return Ok(Self::Duplicate),
                // Refused once is refused for good: whoever holds a signed proposal cannot keep it
                // for the day on which it would take effect.
                Seen::Refused | Seen::TooOld => return Err(Objection::SerialTooOld),
            }
        } else if proposal.signature.is_some() {
            return Err(Objection::Signature);
        }
        let now = time_with(state, federation, header);
        let lix = Lix { epoch: federation.epoch, index };
        Ok(Self::Admitted(Case { state, federation, region, header, now, lix }))
    }
}

fn signed(
    federation: &FederationRow,
    region: &RegionRow,
    proposal: &Proposal,
) -> Result<(), Objection> {
    let signature = proposal.signature.as_ref().ok_or(Objection::Signature)?;
    let message = Proposal::signing_bytes(federation.id(), &proposal.header, &proposal.command);
    if !region.entry.identity.verify(&message, signature) {
        return Err(Objection::Signature);
    }
    Ok(())
}

/// Replicated time if the header is counted: the lower median over the active regions of the
/// latest time that each proposed, and never earlier than before.
fn time_with(state: &State, federation: &FederationRow, header: &Header) -> UnixTime {
    let latest = |(number, row): (_, &RegionRow)| {
        if number == header.region { row.latest.max(header.proposed_at) } else { row.latest }
    };
    let mut times: Vec<UnixTime> = state
        .active()
        .filter_map(|number| state.regions.get(&number).map(|row| latest((number, row))))
        .collect();
    times.sort_unstable();
    let median = times.get(times.len().saturating_sub(1) / 2).copied().unwrap_or_default();
    federation.time.max(median)
}

/// Notes that an admitted proposal was judged: the time that it told, and its serial.
pub(in crate::ledger) fn note(state: &mut State, proposal: &Proposal, now: UnixTime, taken: bool) {
    let header = &proposal.header;
    if let Some(federation) = &mut state.federation {
        federation.time = now;
    }
    if let Some(row) = state.regions.get(&header.region)
        && row.latest < header.proposed_at
        && let Some(row) = Arc::make_mut(&mut state.regions).get_mut(&header.region)
    {
        row.latest = header.proposed_at;
    }
    // A node that has just left has no window any more.
    if proposal.command.is_signed() && state.members.contains_key(&header.node) {
        let window = Arc::make_mut(&mut state.windows).entry(header.node).or_default();
        *window = window.with(header.serial, taken);
    }
}

enum Seen {
    Not,
    Taken,
    Refused,
    TooOld,
}

impl Window {
    fn look(self, serial: u64) -> Seen {
        if serial > self.highest || self.judged == 0 {
            return Seen::Not;
        }
        let behind = self.highest - serial;
        if behind >= WINDOW {
            return Seen::TooOld;
        }
        match (self.judged >> behind & 1, self.taken >> behind & 1) {
            (0, _) => Seen::Not,
            (_, 0) => Seen::Refused,
            _ => Seen::Taken,
        }
    }

    fn with(self, serial: u64, taken: bool) -> Self {
        let mut next = self;
        if serial > self.highest || self.judged == 0 {
            let ahead = serial.saturating_sub(self.highest);
            let shifted = |bits: u64| {
                u32::try_from(ahead).ok().and_then(|by| bits.checked_shl(by)).unwrap_or(0)
            };
            next.judged = shifted(self.judged);
            next.taken = shifted(self.taken);
            next.highest = serial;
        }
        let behind = next.highest - serial;
        if behind < WINDOW {
            next.judged |= 1 << behind;
            next.taken |= u64::from(taken) << behind;
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_tells_64_serials_apart_in_any_order() {
        let mut window = Window::default();
        for serial in [0, 5, 3, 63, 64] {
            assert!(matches!(window.look(serial), Seen::Not), "{serial}");
            window = window.with(serial, serial != 3);
        }
        assert!(matches!(window.look(0), Seen::TooOld));
        assert!(matches!(window.look(1), Seen::Not));
        assert!(matches!(window.look(3), Seen::Refused));
        assert!(matches!(window.look(5), Seen::Taken));
        assert!(matches!(window.look(64), Seen::Taken));
        window = window.with(u64::MAX, true);
        assert!(matches!(window.look(64), Seen::TooOld));
        assert!(matches!(window.look(u64::MAX), Seen::Taken));
        assert!(matches!(window.look(u64::MAX - 63), Seen::Not));
    }
}
