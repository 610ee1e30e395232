//! What is forgotten when: by replicated time alone, a part at a time.
//!
//! Each entry purges at most one minute's part: the rows of the shards whose number is that of the
//! minute, modulo 60, and the small tables. So every row is looked at once an hour, and no entry
//! costs more than a sixtieth of the tables. After a pause the entries that follow catch up, an hour
//! at most: by then every part has been looked at.

use std::sync::Arc;

use super::together::is_over;
use crate::{
    ledger::state::{CutRow, KeyRow, KeyState, Owner, SHARDS, State},
    time::{Ttl, UnixTime},
};

/// How long after its end a row is kept: 60 s by which clocks may differ, and an hour in which a
/// region that was cut off may come back and ask.
pub const PURGE_MARGIN: Ttl = Ttl::from_seconds(60 + 3_600);

/// Minutes in which every row is looked at once.
const ROUND: u64 = 60;

/// Purges the next part, if a minute has passed.
pub(in crate::ledger) fn purge(state: &mut State) {
    let Some(federation) = &mut state.federation else { return };
    let minute = federation.time.seconds() / 60;
    if minute <= federation.purged {
        return;
    }
    let next = (federation.purged + 1).max(minute.saturating_sub(ROUND - 1));
    federation.purged = next;
    let now = federation.time;
    small_tables(state, now);
    if state.revocations.values().any(|owner| holds_expired(owner, next, now)) {
        let owners = Arc::make_mut(&mut state.revocations);
        for owner in owners.values_mut() {
            if holds_expired(owner, next, now) {
                purge_owner(Arc::make_mut(owner), next, now);
            }
        }
        owners.retain(|_, owner| !owner.is_empty());
    }
}

fn small_tables(state: &mut State, now: UnixTime) {
    if state.pending.values().any(|row| is_over(row, now)) {
        Arc::make_mut(&mut state.pending).retain(|_, row| !is_over(row, now));
    }
    let forgotten = |row: &KeyRow| match row.state {
        KeyState::Retired(until) => is_past(until, now),
        KeyState::Published | KeyState::Active | KeyState::Revoked(_) => false,
    };
    if state.keys.values().any(forgotten) {
        Arc::make_mut(&mut state.keys).retain(|_, row| !forgotten(row));
    }
}

fn is_past(expires_at: UnixTime, now: UnixTime) -> bool {
    expires_at.plus(PURGE_MARGIN) < now
}

fn is_dead(row: &CutRow, now: UnixTime) -> bool {
    is_past(row.expires_at, now)
}

/// The shards that are looked at in a minute.
fn shards(minute: u64) -> impl Iterator<Item = u8> {
    (0..SHARDS)
        .filter(move |shard| u64::from(*shard) % ROUND == minute % ROUND)
        .filter_map(|shard| u8::try_from(shard).ok())
}

/// Whether there is anything to purge, so that nothing is copied for nothing.
fn holds_expired(owner: &Owner, minute: u64, now: UnixTime) -> bool {
    owner.all_lists.as_ref().is_some_and(|row| is_dead(row, now))
        || owner.clients.values().chain(owner.rules.values()).any(|row| is_dead(row, now))
        || shards(minute).any(|shard| {
            owner.lists.any(shard, |row| is_past(row.expires_at, now))
                || owner.sessions.any(shard, |row| is_dead(row, now))
                || owner.subjects.any(shard, |row| is_dead(row, now))
        })
}

fn purge_owner(owner: &mut Owner, minute: u64, now: UnixTime) {
    owner.all_lists = owner.all_lists.filter(|row| !is_dead(row, now));
    for rows in [&mut owner.clients, &mut owner.rules] {
        if rows.values().any(|row| is_dead(row, now)) {
            Arc::make_mut(rows).retain(|_, row| !is_dead(row, now));
        }
    }
    for shard in shards(minute) {
        let dropped = owner.lists.retain(shard, |row| !is_past(row.expires_at, now));
        let indexes: u64 = dropped.iter().map(|row| row.indexes.len()).sum();
        owner.indexes = owner.indexes.saturating_sub(indexes);
        owner.sessions.retain(shard, |row| !is_dead(row, now));
        owner.subjects.retain(shard, |row| !is_dead(row, now));
    }
}
