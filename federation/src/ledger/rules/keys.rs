//! The table of keys: published before anything is signed with them, acknowledged by every node
//! that must verify, activated, retired, revoked.

use super::{
    Case, Judgement, Verdict,
    effect::Effect,
    regions::speaks_of_others,
    together::{Need, both},
};
use crate::{
    jose::from_base64url,
    ledger::{
        AcknowledgeKey, ActivateKey, KeyPurpose, KeyThumbprint, LedgerKey, List, Objection,
        PublishKey, RetireKey, RevokeKey,
        state::{KeyRow, KeyState, PendingAction, State},
    },
    membership::NodeId,
    region::RegionNumber,
    time::{Ttl, UnixTime},
};

/// Most keys of a region, revoked ones counted, which are remembered for ever. Five purposes with
/// two or three keys each are fifteen; the rest is room for a life of revocations.
pub const KEYS_PER_REGION_MAX: usize = 256;
/// After this time a majority of regions is enough, so that one that is down for long cannot keep
/// the others from rotating (replicated time).
pub const ACTIVATION_WAIT: Ttl = Ttl::from_seconds(15 * 60);
/// How far ahead the end of a retired key may lie: nothing that it signed lives longer.
pub const KEY_LIFETIME_MAX: Ttl = Ttl::from_seconds(400 * 24 * 3_600);

/// A region publishes a key of its own.
pub(super) fn publish(case: &Case<'_>, command: &PublishKey) -> Judgement {
    let region = case.header.region;
    if let Some(row) = case.state.keys.get(&(region, command.kid)) {
        let same = (row.purpose, &row.key) == (command.purpose, &command.key) && row.is_current();
        return if same { Ok(Verdict::duplicate()) } else { Err(Objection::Conflict) };
    }
    let public = command.key.to_public().map_err(|_| Objection::Invalid)?;
    let thumbprint = from_base64url(public.thumbprint().as_str());
    if thumbprint.as_deref() != Some(command.kid.bytes()) || !suits(command) {
        return Err(Objection::Invalid);
    }
    // Nobody publishes another region's key as its own.
    let elsewhere = |other: &RegionNumber| case.state.keys.contains_key(&(*other, command.kid));
    if case.state.regions.keys().any(elsewhere) {
        return Err(Objection::Conflict);
    }
    if of_region(case.state, region).count() >= KEYS_PER_REGION_MAX {
        return Err(Objection::TableFull);
    }
    Ok(put(
        region,
        command.kid,
        KeyRow {
            purpose: command.purpose,
            key: command.key.clone(),
            state: KeyState::Published,
            published_at: case.now,
            acknowledged: List::empty(),
        },
    ))
}

/// A node of the proposing region has it.
pub(super) fn acknowledge(case: &Case<'_>, command: &AcknowledgeKey) -> Judgement {
    let member = case.state.members.get(&command.node).ok_or(Objection::UnknownNode)?;
    if member.region != case.header.region {
        return Err(Objection::NotAuthorised);
    }
    let row = key(case, command.region, command.kid)?;
    // Asked only until it signs: after that nothing depends on it.
    if row.state == KeyState::Active || row.acknowledged.items().contains(&command.node) {
        return Ok(Verdict::duplicate());
    }
    if row.state != KeyState::Published {
        return Err(Objection::WrongState);
    }
    let mut nodes: Vec<NodeId> = row.acknowledged.items().to_vec();
    nodes.push(command.node);
    nodes.sort_unstable();
    let acknowledged = List::new(nodes).map_err(|_| Objection::TableFull)?;
    Ok(put(command.region, command.kid, KeyRow { acknowledged, ..row.clone() }))
}

/// The key begins to sign, when those who must verify have it.
pub(super) fn activate(case: &Case<'_>, command: &ActivateKey) -> Judgement {
    let region = case.header.region;
    let row = key(case, region, command.kid)?;
    match row.state {
        KeyState::Active => return Ok(Verdict::duplicate()),
        KeyState::Published => {}
        KeyState::Retired(_) | KeyState::Revoked(_) => return Err(Objection::WrongState),
    }
    if !may_sign(case.state, (region, row), case.now) {
        return Err(Objection::NotReady);
    }
    let acknowledged = List::empty();
    Ok(put(region, command.kid, KeyRow { state: KeyState::Active, acknowledged, ..row.clone() }))
}

/// Whether those who must verify a published key have it, as far as has to be waited for.
pub(in crate::ledger) fn may_sign(
    state: &State,
    (region, row): (RegionNumber, &KeyRow),
    now: UnixTime,
) -> bool {
    let has = |node| row.acknowledged.items().contains(&node);
    let active = state.active().count();
    let ready = state.active().filter(|region| state.nodes(*region).all(has)).count();
    let waited = row.published_at.plus(ACTIVATION_WAIT) <= now;
    let enough = waited || is_bereft(state, region, row.purpose);
    ready >= active || (ready > active / 2 && enough)
}

/// The key has signed for the last time. Its end may be put off, never brought forward: what is to
/// die earlier is revoked.
pub(super) fn retire(case: &Case<'_>, command: &RetireKey) -> Judgement {
    let region = case.header.region;
    let row = key(case, region, command.kid)?;
    let until = command.verifies_until.min(case.now.plus(KEY_LIFETIME_MAX));
    match row.state {
        KeyState::Revoked(_) => return Err(Objection::WrongState),
        KeyState::Retired(before) if until <= before => return Ok(Verdict::duplicate()),
        KeyState::Retired(_) | KeyState::Published | KeyState::Active => {}
    }
    if until < case.now {
        return Err(Objection::Expired);
    }
    let state = KeyState::Retired(until);
    Ok(put(region, command.kid, KeyRow { state, acknowledged: List::empty(), ..row.clone() }))
}

/// The key verifies nothing any more: its region says so, or two others.
pub(super) fn revoke(case: &Case<'_>, command: &RevokeKey) -> Judgement {
    let row = key(case, command.region, command.kid)?;
    let itself = command.region == case.header.region;
    if !itself {
        speaks_of_others(case)?;
    }
    if matches!(row.state, KeyState::Revoked(_)) {
        return Ok(Verdict::duplicate());
    }
    let state = KeyState::Revoked(case.now);
    let next = KeyRow { state, acknowledged: List::empty(), ..row.clone() };
    let action = PendingAction::RevokeKey(*command);
    let effect = Effect::Key(command.region, command.kid, Box::new(next));
    if itself {
        return Ok(Verdict { settles: Some(action), ..Verdict::take(effect) });
    }
    both(case, action, Need::Two, effect)
}

/// The audit key of a region that signs now.
pub(super) fn audit_key<'a>(
    case: &Case<'a>,
    region: RegionNumber,
    kid: KeyThumbprint,
) -> Result<&'a LedgerKey, Objection> {
    let row = key(case, region, kid)?;
    if row.purpose != KeyPurpose::Audit || !row.is_current() {
        return Err(Objection::WrongState);
    }
    Ok(&row.key)
}

fn put(region: RegionNumber, kid: KeyThumbprint, row: KeyRow) -> Verdict {
    Verdict::take(Effect::Key(region, kid, Box::new(row)))
}

fn key<'a>(
    case: &Case<'a>,
    region: RegionNumber,
    kid: KeyThumbprint,
) -> Result<&'a KeyRow, Objection> {
    case.state.keys.get(&(region, kid)).ok_or(Objection::Unknown)
}

fn of_region(state: &State, region: RegionNumber) -> impl Iterator<Item = &KeyRow> {
    let first = (region, crate::ledger::Fixed([0; 32]));
    let last = (region, crate::ledger::Fixed([0xff; 32]));
    state.keys.range(first..=last).map(|(_, row)| row)
}

/// RSA is for access tokens of resource servers that know nothing else: a checkpoint's signature
/// would not fit the ledger.
const fn suits(command: &PublishKey) -> bool {
    match command.key {
        LedgerKey::P256(_) | LedgerKey::Ed25519(_) => true,
        LedgerKey::Rsa2048(_) | LedgerKey::Rsa3072(_) => {
            matches!(command.purpose, KeyPurpose::AccessToken)
        }
    }
}

/// Whether a key of the purpose was revoked and none is left that signs: then waiting costs more
/// than it saves.
fn is_bereft(state: &State, region: RegionNumber, purpose: KeyPurpose) -> bool {
    let states = || of_region(state, region).filter(|row| row.purpose == purpose).map(|r| r.state);
    states().any(|state| matches!(state, KeyState::Revoked(_)))
        && !states().any(|state| state == KeyState::Active)
}
