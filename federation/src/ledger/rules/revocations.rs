//! The tables of revocations: what is dead, of which region, until when.
//!
//! They only grow, until what they cover has expired. At a cap an index becomes a cut-off of its
//! list, and a list becomes a cut-off of all lists of its owner: more is dead than was asked, and
//! nothing that was asked is alive.

use std::{collections::BTreeMap, sync::Arc};

use super::{Case, Judgement, Verdict, effect::Effect, purge::PURGE_MARGIN};
use crate::{
    ledger::{
        Fixed, Mode, Objection, Revoke, StatusTarget, Target,
        state::{
            CutRow, Indexes, ListRow, Lix, Owner, Quota, ROWS_PER_SHARD_MAX, RegionRow, Sharded,
            State,
        },
    },
    region::RegionNumber,
    revocation::{LIST_SIZE, ListId},
    time::{Ttl, UnixTime},
};

/// How long a revocation lasts at most: longer than any token lives. A block is renewed.
pub const REVOCATION_LIFETIME_MAX: Ttl = Ttl::from_seconds(400 * 24 * 3_600);
/// Most single tokens that are revoked of a region: at two bytes each, 8 MiB.
pub const INDEXES_PER_REGION_MAX: u64 = 1 << 22;
/// Most clients of a region that have a cut-off or block at a time.
pub const CLIENTS_PER_REGION_MAX: usize = 4_096;
/// Most transfer rules of a region that have a cut-off or block at a time.
pub const RULES_PER_REGION_MAX: usize = 1_024;
/// Tokens of other regions that a region may revoke in an hour of replicated time: one a second, as
/// people log out whose tokens it had exchanged. What a region that lost its mind can do to the
/// others is bounded by it.
pub const FOREIGN_REVOCATIONS_PER_HOUR_MAX: u32 = 3_600;

/// A change of the tables of one owner.
#[derive(Clone, Debug)]
pub(in crate::ledger) struct Change {
    owner: RegionNumber,
    row: Row,
    /// The foreign region whose quota it is counted in.
    charged: Option<(RegionNumber, Quota)>,
}

#[derive(Clone, Copy, Debug)]
enum Row {
    Index(StatusTarget, UnixTime),
    /// The cut-off of a list, in place of its indexes.
    List(ListId, Lix, UnixTime),
    /// The cut-off of all lists, in place of the lists.
    AllLists(CutRow),
    Session(Fixed<16>, CutRow),
    Subject(Fixed<16>, CutRow),
    Client(u32, CutRow),
    Rule(u32, CutRow),
}

/// A revocation takes effect unless what it covers has expired, or is covered already until then.
pub(super) fn judge(case: &Case<'_>, command: &Revoke) -> Judgement {
    let region = case.state.regions.get(&command.owner).ok_or(Objection::Unknown)?;
    let authority = Authority::of(case, region, command)?;
    let expires_at = command.expires_at.min(case.now.plus(REVOCATION_LIFETIME_MAX));
    // As long as nothing is purged, a clock that is behind may still believe the token.
    if expires_at.plus(PURGE_MARGIN) < case.now {
        return Err(Objection::Expired);
    }
    let empty = Owner::default();
    let owner = case.state.revocations.get(&command.owner).map_or(&empty, |owner| &**owner);
    let cut = |row: Option<&CutRow>| cut(case, command.mode, row, expires_at);
    let row = match command.target {
        Target::Status(status) => index(case, owner, status, expires_at, authority)?,
        Target::List(list) => whole_list(case, owner, list, expires_at),
        Target::Session(digest) => {
            room(&owner.sessions, &digest)?;
            cut(owner.sessions.get(&digest))?.map(|row| Row::Session(digest, row))
        }
        Target::Subject(digest) => {
            room(&owner.subjects, &digest)?;
            cut(owner.subjects.get(&digest))?.map(|row| Row::Subject(digest, row))
        }
        Target::Client(number) => {
            room_of(&owner.clients, number, CLIENTS_PER_REGION_MAX)?;
            cut(owner.clients.get(&number))?.map(|row| Row::Client(number, row))
        }
        Target::TransferRule(number) => {
            room_of(&owner.rules, number, RULES_PER_REGION_MAX)?;
            cut(owner.rules.get(&number))?.map(|row| Row::Rule(number, row))
        }
    };
    let Some(row) = row else { return Ok(Verdict::duplicate()) };
    let charged = match authority {
        Authority::Owner => None,
        Authority::Ancestor => Some((case.header.region, charge(case)?)),
    };
    Ok(Verdict::take(Effect::Revoke(Change { owner: command.owner, row, charged })))
}

/// Why a region may revoke.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Authority {
    /// It is its own, or of a region that it stands in for.
    Owner,
    /// It holds the reference as an ancestor of a token that it issued.
    Ancestor,
}

impl Authority {
    fn of(case: &Case<'_>, owner: &RegionRow, command: &Revoke) -> Result<Self, Objection> {
        // Single tokens and lists have no life after: who would lift, issues anew.
        if matches!(command.target, Target::Status(_) | Target::List(_))
            && command.mode != Mode::Cutoff
        {
            return Err(Objection::Invalid);
        }
        let proposer = case.header.region;
        let stands_in = !owner.serves() && owner.entry.stand_ins.items().contains(&proposer);
        if command.owner == proposer || stands_in {
            return Ok(Self::Owner);
        }
        if matches!(command.target, Target::Status(_)) {
            return Ok(Self::Ancestor);
        }
        Err(Objection::NotAuthorised)
    }
}

/// The cut-off that follows from `before`; `None` if it says so already.
///
/// A cut-off that is sent again is a later one: it covers what was issued in between. To take it for
/// the same would leave a token alive that somebody was told is dead. While nothing is issued, there
/// is nothing in between.
fn cut(
    case: &Case<'_>,
    mode: Mode,
    before: Option<&CutRow>,
    expires_at: UnixTime,
) -> Result<Option<CutRow>, Objection> {
    let blocked = before.and_then(|row| row.blocked_until).filter(|until| *until > case.now);
    // By any clock: near its end some node may issue again.
    let stays_blocked = blocked.is_some_and(|until| until.minus(PURGE_MARGIN) > case.now);
    let earlier = before.map_or(UnixTime::default(), |row| row.expires_at);
    let kept = expires_at.max(earlier);
    let row = match mode {
        Mode::Cutoff => CutRow { cutoff: case.lix, blocked_until: blocked, expires_at: kept },
        Mode::Block => CutRow {
            cutoff: case.lix,
            blocked_until: Some(blocked.map_or(expires_at, |until| until.max(expires_at))),
            expires_at: kept,
        },
        Mode::Lift => {
            let before = before.ok_or(Objection::Unknown)?;
            if before.blocked_until.is_none() {
                return Ok(None);
            }
            CutRow { cutoff: case.lix, blocked_until: None, expires_at: kept }
        }
    };
    Ok(match before {
        Some(before) if before.cutoff >= case.lix && *before == row => None,
        Some(before) if stays_blocked && is_weaker(before, &row) => None,
        Some(before) => {
            let stays = before.cutoff.max(row.cutoff);
            Some(CutRow { cutoff: stays, ..row })
        }
        None => Some(row),
    })
}

/// Whether `next` says no more than `before` of one that is blocked.
fn is_weaker(before: &CutRow, next: &CutRow) -> bool {
    next.blocked_until.is_some()
        && next.blocked_until <= before.blocked_until
        && next.expires_at <= before.expires_at
}

/// One token. The list's row lasts as long as its last token.
fn index(
    case: &Case<'_>,
    owner: &Owner,
    status: StatusTarget,
    expires_at: UnixTime,
    authority: Authority,
) -> Result<Option<Row>, Objection> {
    if status.index >= LIST_SIZE {
        return Err(Objection::Invalid);
    }
    let list = owner.lists.get(&status.list);
    let known = list.is_some_and(|list| list.indexes.contains(status.index));
    if known && list.is_some_and(|list| list.expires_at >= expires_at) {
        return Ok(None);
    }
    // A list that nobody has heard of may be made up. So its owner alone is believed so far that all
    // lists are cut off, and others cannot bring it to that: half of the room is the owner's.
    let has_room = match authority {
        Authority::Owner => owner.lists.has_room(&status.list),
        Authority::Ancestor => {
            owner.lists.has_room_below(&status.list, ROWS_PER_SHARD_MAX / 2)
                || return Err(Objection::TableFull)
        }
    };
    if !has_room {
        return Ok(Some(all_lists(case, owner, expires_at)));
    }
    if !known && owner.indexes >= INDEXES_PER_REGION_MAX {
        return Ok(Some(Row::List(status.list, case.lix, expires_at)));
    }
    Ok(Some(Row::Index(status, expires_at)))
}

fn whole_list(case: &Case<'_>, owner: &Owner, list: ListId, expires_at: UnixTime) -> Option<Row> {
    let before = owner.lists.get(&list);
    if !owner.lists.has_room(&list) {
        return Some(all_lists(case, owner, expires_at));
    }
    let same = |row: &Arc<ListRow>| {
        row.cutoff.is_some_and(|cutoff| cutoff >= case.lix) && row.expires_at >= expires_at
    };
    (!before.is_some_and(same)).then_some(Row::List(list, case.lix, expires_at))
}

/// The cut-off that takes the place of all lists, until the last of them would have been purged.
fn all_lists(case: &Case<'_>, owner: &Owner, expires_at: UnixTime) -> Row {
    let lists = owner.lists.iter().map(|(_, list)| list.expires_at);
    let before = owner.all_lists.iter().map(|cut| cut.expires_at);
    let last = lists.chain(before).fold(expires_at, UnixTime::max);
    Row::AllLists(CutRow { cutoff: case.lix, blocked_until: None, expires_at: last })
}

fn room(rows: &Sharded<Fixed<16>, CutRow>, digest: &Fixed<16>) -> Result<(), Objection> {
    if rows.has_room(digest) { Ok(()) } else { Err(Objection::TableFull) }
}

fn room_of(rows: &BTreeMap<u32, CutRow>, number: u32, max: usize) -> Result<(), Objection> {
    if rows.len() < max || rows.contains_key(&number) { Ok(()) } else { Err(Objection::TableFull) }
}

/// The quota with one more, if there is one left in this hour.
fn charge(case: &Case<'_>) -> Result<Quota, Objection> {
    let hour = case.now.seconds() / 3_600;
    let quota = case.region.quota;
    let used = if quota.hour == hour { quota.used } else { 0 };
    if used >= FOREIGN_REVOCATIONS_PER_HOUR_MAX {
        return Err(Objection::QuotaExceeded);
    }
    Ok(Quota { hour, used: used + 1 })
}

/// Writes the row.
pub(super) fn take(state: &mut State, change: &Change) {
    let owners = Arc::make_mut(&mut state.revocations);
    let owner = Arc::make_mut(owners.entry(change.owner).or_default());
    match change.row {
        Row::Index(status, expires_at) => {
            let mut added = false;
            owner.lists.update(status.list, |list| {
                let list = Arc::make_mut(list);
                added = list.indexes.insert(status.index);
                list.expires_at = list.expires_at.max(expires_at);
            });
            owner.indexes += u64::from(added);
        }
        Row::List(list, cutoff, expires_at) => {
            let mut freed = 0;
            owner.lists.update(list, |row| {
                let row = Arc::make_mut(row);
                // An entry that revokes a token stands behind every entry that it was issued at:
                // the cut-off covers each of the indexes.
                freed = row.indexes.len();
                row.indexes = Indexes::default();
                row.cutoff = row.cutoff.max(Some(cutoff));
                row.expires_at = row.expires_at.max(expires_at);
            });
            owner.indexes = owner.indexes.saturating_sub(freed);
        }
        Row::AllLists(cut) => {
            owner.lists = Sharded::default();
            owner.indexes = 0;
            owner.all_lists = Some(cut);
        }
        Row::Session(digest, row) => owner.sessions.put(digest, row),
        Row::Subject(digest, row) => owner.subjects.put(digest, row),
        Row::Client(number, row) => {
            Arc::make_mut(&mut owner.clients).insert(number, row);
        }
        Row::Rule(number, row) => {
            Arc::make_mut(&mut owner.rules).insert(number, row);
        }
    }
    if let Some((region, quota)) = change.charged
        && let Some(row) = Arc::make_mut(&mut state.regions).get_mut(&region)
    {
        row.quota = quota;
    }
}
