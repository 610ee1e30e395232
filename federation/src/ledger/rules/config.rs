//! Laws: which one a region could go by, and the entry at which all of them change to it, with the
//! regions that it names.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Case, Judgement, Verdict,
    effect::Effect,
    together::{Need, both},
};
use crate::{
    ledger::{
        ActivateConfig, AnnounceConfig, ConfigScope, LawVersion, List, Objection, REGIONS_MAX,
        RegionEntry,
        state::{PendingAction, RegionRow, Staged, State},
    },
    region::RegionNumber,
    time::UnixTime,
};

/// Most regions that were and are no more: their numbers are remembered for ever.
pub const REGIONS_GONE_MAX: usize = 1_024;

/// The law changes.
#[derive(Clone, Debug)]
pub(in crate::ledger) struct Switch {
    law: LawVersion,
    regions: List<RegionEntry, REGIONS_MAX>,
    at: UnixTime,
}

/// A region says which configuration it has.
pub(super) fn announce(case: &Case<'_>, command: &AnnounceConfig) -> Judgement {
    // What a region's nodes know includes what is in force.
    if !command.levels.contains(case.federation.level) {
        return Err(Objection::Level);
    }
    let region = case.header.region;
    let mut row = case.state.configs.get(&region).cloned().unwrap_or_default();
    let before = row.clone();
    match &command.scope {
        ConfigScope::Region => {
            newer(row.own, command.law)?;
            row.own = Some(command.law);
        }
        ConfigScope::Federation(regions) => {
            if command.law == case.federation.law {
                if !is_in_force(case.state, regions) {
                    return Err(Objection::Conflict);
                }
                row.staged = None;
            } else {
                if command.law.version <= case.federation.law.version {
                    return Err(Objection::WrongState);
                }
                check_regions(regions.items())?;
                check_numbers(case.state, regions)?;
                row.staged = Some(Staged { law: command.law, regions: regions.clone() });
            }
        }
    }
    let known = |node| case.state.members.get(&node).is_some_and(|m| m.levels == command.levels);
    if row == before && case.state.nodes(region).all(known) {
        return Ok(Verdict::duplicate());
    }
    let levels = command.levels;
    Ok(Verdict::take(Effect::Announce { region, row: Box::new(row), levels }))
}

/// The law changes when every active region has staged the same, and two have asked, which need not
/// be active: whoever is left alone after the others went cannot make a law for them. A federation
/// of one region has only one to ask.
pub(super) fn activate(case: &Case<'_>, command: &ActivateConfig) -> Judgement {
    if command.law == case.federation.law {
        return Ok(Verdict::duplicate());
    }
    if command.law.version <= case.federation.law.version {
        return Err(Objection::WrongState);
    }
    let staged = staged(case, case.header.region).filter(|staged| staged.law == command.law);
    let staged = staged.ok_or(Objection::NotReady)?;
    if !case.state.active().all(|region| self::staged(case, region) == Some(staged)) {
        return Err(Objection::NotReady);
    }
    check_numbers(case.state, &staged.regions)?;
    check_members(case.state, &staged.regions)?;
    let switch = Switch { law: staged.law, regions: staged.regions.clone(), at: case.now };
    let effect = Effect::Switch(Box::new(switch));
    let action = PendingAction::ActivateConfig(*command);
    let mut others = case.state.regions.keys().filter(|region| **region != case.header.region);
    if !others.any(|region| case.state.may_speak(*region)) {
        return Ok(Verdict { settles: Some(action), ..Verdict::take(effect) });
    }
    both(case, action, Need::AnyTwo, effect)
}

/// Puts the regions of the new law in place of the old ones.
pub(super) fn take(state: &mut State, switch: &Switch) {
    let Some(federation) = &mut state.federation else { return };
    federation.law = switch.law;
    let before = std::mem::take(&mut state.regions);
    let row = |entry: &RegionEntry| {
        let row = match before.get(&entry.region) {
            Some(row) => with_entry(row, entry),
            None => RegionRow::new(entry.clone(), switch.at),
        };
        (entry.region, row)
    };
    state.regions = Arc::new(switch.regions.items().iter().map(row).collect());
    let removed: Vec<RegionNumber> =
        before.keys().copied().filter(|region| !state.regions.contains_key(region)).collect();
    if !removed.is_empty() {
        Arc::make_mut(&mut state.gone).extend(removed);
        let regions = &state.regions;
        Arc::make_mut(&mut state.keys).retain(|(region, _), _| regions.contains_key(region));
        Arc::make_mut(&mut state.configs).retain(|region, _| regions.contains_key(region));
        for row in Arc::make_mut(&mut state.regions).values_mut() {
            row.stand_in = row.stand_in.filter(|region| !state.gone.contains(region));
        }
    }
    for row in Arc::make_mut(&mut state.configs).values_mut() {
        let waits = |staged: &Staged| staged.law.version > switch.law.version;
        row.staged = row.staged.take().filter(waits);
    }
}

/// A region of both laws goes on as it was. With another identity key it is a region that was found
/// again: what made it be revoked is over, and it comes back as any region does.
fn with_entry(row: &RegionRow, entry: &RegionEntry) -> RegionRow {
    let mut next = row.clone();
    next.revoked = row.revoked && row.entry.identity == entry.identity;
    next.stand_in = row.stand_in.filter(|region| entry.stand_ins.items().contains(region));
    next.entry = entry.clone();
    next
}

/// Whether regions make sense by themselves: ascending numbers, keys of their own, stand-ins that
/// are other regions.
pub(super) fn check_regions(regions: &[RegionEntry]) -> Result<(), Objection> {
    if regions.is_empty() || !regions.is_sorted_by(|a, b| a.region < b.region) {
        return Err(Objection::Invalid);
    }
    let mut identities = BTreeSet::new();
    for entry in regions {
        if entry.identity.to_public().is_err() || !identities.insert(entry.identity) {
            return Err(Objection::Invalid);
        }
        let mut stand_ins = BTreeSet::new();
        for stand_in in entry.stand_ins.items() {
            let known = regions.iter().any(|other| other.region == *stand_in);
            if !known || *stand_in == entry.region || !stand_ins.insert(*stand_in) {
                return Err(Objection::Invalid);
            }
        }
    }
    Ok(())
}

/// Numbers of regions that were are not given to others, and there is room to remember them.
fn check_numbers(state: &State, regions: &List<RegionEntry, REGIONS_MAX>) -> Result<(), Objection> {
    if regions.items().iter().any(|entry| state.gone.contains(&entry.region)) {
        return Err(Objection::Conflict);
    }
    let goes = |region: &&RegionNumber| !names(regions, **region);
    if state.gone.len() + state.regions.keys().filter(goes).count() > REGIONS_GONE_MAX {
        return Err(Objection::TableFull);
    }
    Ok(())
}

/// A region with members cannot vanish; nor can the last that serves.
fn check_members(state: &State, regions: &List<RegionEntry, REGIONS_MAX>) -> Result<(), Objection> {
    if state.members.values().all(|member| names(regions, member.region)) {
        Ok(())
    } else {
        Err(Objection::WrongState)
    }
}

fn names(regions: &List<RegionEntry, REGIONS_MAX>, region: RegionNumber) -> bool {
    regions.items().iter().any(|entry| entry.region == region)
}

fn is_in_force(state: &State, regions: &List<RegionEntry, REGIONS_MAX>) -> bool {
    state.regions.values().map(|row| &row.entry).eq(regions.items())
}

fn staged<'a>(case: &Case<'a>, region: RegionNumber) -> Option<&'a Staged> {
    case.state.configs.get(&region)?.staged.as_ref()
}

/// A region's own versions count upwards, and one version is one text.
fn newer(before: Option<LawVersion>, law: LawVersion) -> Result<(), Objection> {
    match before {
        Some(before) if law.version < before.version => Err(Objection::WrongState),
        Some(before) if law.version == before.version && law != before => Err(Objection::Conflict),
        Some(_) | None => Ok(()),
    }
}
