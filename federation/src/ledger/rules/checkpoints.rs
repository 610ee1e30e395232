//! The table of logs: what regions have anchored of their audit logs, and who cosigned it.
//!
//! What is signed is made of values of the ledger alone, so that no text travels: the note body of
//! a C2SP checkpoint with the origin `exequatur/<cluster id>/<region number>/<log number>` (the id
//! in hexadecimal digits), and for a cosignature the C2SP `cosignature/v1` header before it. The
//! epoch is not in the origin: a federation that was recovered goes on with its logs.

use std::collections::BTreeMap;

use tlog_tiles::{Checkpoint, Hash, check_tree};

use super::{Case, Judgement, Verdict, effect::Effect, keys::audit_key, regions::speaks_of_others};
use crate::{
    ledger::{
        AnchorCheckpoint, Cosign, Cosignature, Digest, LedgerKey, List, LogName, Objection,
        TreeHead,
        state::{Cosigner, HEADS_KEPT_MAX, Head, LogRow},
    },
    membership::ClusterId,
    region::RegionNumber,
    time::UnixTime,
};

/// Most logs of a region: one for each node that ever kept one, and one more for each new origin.
/// None is forgotten, or its history could be told again.
pub const LOGS_PER_REGION_MAX: usize = 256;
/// Largest tree: beyond it a sequence number would not fit SQL's integers.
const TREE_SIZE_MAX: u64 = 1 << 62;

/// The note body of a checkpoint (C2SP tlog-checkpoint): what an audit key signs.
#[must_use]
pub fn checkpoint_body(cluster: &ClusterId, log: LogName, head: &TreeHead) -> Vec<u8> {
    let origin = format!("exequatur/{cluster}/{}/{}", log.region, log.log);
    // An origin without blanks and plus signs is always one.
    Checkpoint::new(&origin, head.size, Hash(head.root.0), "")
        .map(|checkpoint| checkpoint.to_bytes())
        .unwrap_or_default()
}

/// What a witness signs (C2SP tlog-cosignature, `cosignature/v1`).
#[must_use]
pub fn cosignature_message(
    cluster: &ClusterId,
    log: LogName,
    head: &TreeHead,
    at: UnixTime,
) -> Vec<u8> {
    let mut message = format!("cosignature/v1\ntime {at}\n").into_bytes();
    message.extend_from_slice(&checkpoint_body(cluster, log, head));
    message
}

/// A log grows: its new head is signed, and follows from the last one.
pub(super) fn anchor(case: &Case<'_>, command: &AnchorCheckpoint) -> Judgement {
    let name = LogName { region: case.header.region, log: command.log };
    let head = command.head;
    if head.size == 0 || head.size > TREE_SIZE_MAX {
        return Err(Objection::Invalid);
    }
    let before = case.state.logs.get(&name);
    if before.is_some_and(|row| row.heads.items().iter().any(|kept| kept.head == head)) {
        return Ok(Verdict::duplicate());
    }
    let key = audit_key(case, name.region, command.kid)?;
    let body = checkpoint_body(&case.federation.cluster, name, &head);
    if !key.verify(&body, &command.signature) {
        return Err(Objection::Signature);
    }
    match before.and_then(|row| row.anchor()) {
        None if !command.proof.items().is_empty() => return Err(Objection::Proof),
        None => room(case, name.region)?,
        Some(anchor) => follows(&anchor.head, &head, command.proof.items())?,
    }
    let kept = Head {
        head,
        kid: command.kid,
        signature: command.signature,
        anchored_at: case.now,
        cosigners: BTreeMap::new(),
    };
    let mut row = before.map(|row| LogRow::clone(row)).unwrap_or_default();
    let mut heads = row.heads.items().to_vec();
    heads.push(kept);
    let surplus = heads.len().saturating_sub(HEADS_KEPT_MAX);
    row.heads = List::new(heads.split_off(surplus)).map_err(|_| Objection::TableFull)?;
    Ok(Verdict::take(Effect::Logs(vec![(name, row)])))
}

/// A witness has seen heads of others. A head that is not kept any more is passed over, since a
/// batch is on its way while logs grow; one that contradicts an anchor, or a signature that is none,
/// refuses the whole command.
pub(super) fn cosign(case: &Case<'_>, command: &Cosign) -> Judgement {
    speaks_of_others(case)?;
    if !case.region.entry.witness {
        return Err(Objection::NotAuthorised);
    }
    let key = audit_key(case, case.header.region, command.kid)?;
    let mut rows: BTreeMap<LogName, LogRow> = BTreeMap::new();
    let mut known = false;
    for cosignature in command.cosignatures.items() {
        let name = cosignature.log;
        if name.region == case.header.region {
            return Err(Objection::NotAuthorised);
        }
        verify(case, key, cosignature)?;
        let Some(before) = case.state.logs.get(&name) else { continue };
        let row = rows.remove(&name).unwrap_or_else(|| LogRow::clone(before));
        match with(case, row, command, cosignature)? {
            Counted::New(row) => {
                rows.insert(name, row);
            }
            Counted::Before(row) => {
                known = true;
                if row != **before {
                    rows.insert(name, row);
                }
            }
            Counted::Passed(row) => {
                if row != **before {
                    rows.insert(name, row);
                }
            }
        }
    }
    if !rows.is_empty() {
        return Ok(Verdict::take(Effect::Logs(rows.into_iter().collect())));
    }
    if known { Ok(Verdict::duplicate()) } else { Err(Objection::WrongState) }
}

enum Counted {
    New(LogRow),
    Before(LogRow),
    Passed(LogRow),
}

/// The row with one cosignature more.
fn with(
    case: &Case<'_>,
    mut row: LogRow,
    command: &Cosign,
    cosignature: &Cosignature,
) -> Result<Counted, Objection> {
    let witness = case.header.region;
    let mut heads = row.heads.items().to_vec();
    let Some(kept) = heads.iter_mut().find(|kept| kept.head.size == cosignature.head.size) else {
        return Ok(Counted::Passed(row));
    };
    if kept.head != cosignature.head {
        return Err(Objection::Fork);
    }
    if kept.cosigners.contains_key(&witness) {
        return Ok(Counted::Before(row));
    }
    let by = Cosigner { kid: command.kid, at: cosignature.at, signature: cosignature.signature };
    kept.cosigners.insert(witness, by);
    let settled = kept.cosigners.len() >= needed(case, cosignature.log.region);
    let size = kept.head.size;
    if settled && row.settled.is_none_or(|before| before.size < size) {
        row.settled = Some(kept.head);
    }
    row.heads = List::new(heads).map_err(|_| Objection::TableFull)?;
    Ok(Counted::New(row))
}

/// Cosignatures that make a head final: a majority of the other witness regions, so that two final
/// heads of one log have a witness in common.
fn needed(case: &Case<'_>, own: RegionNumber) -> usize {
    let witnesses = case.state.regions.values();
    let others = witnesses.filter(|row| row.entry.witness && row.entry.region != own).count();
    others / 2 + 1
}

fn verify(case: &Case<'_>, key: &LedgerKey, cosignature: &Cosignature) -> Result<(), Objection> {
    let Cosignature { log, head, at, signature } = cosignature;
    let message = cosignature_message(&case.federation.cluster, *log, head, *at);
    if key.verify(&message, signature) { Ok(()) } else { Err(Objection::Proof) }
}

/// Whether the tree of `new` begins with that of `old` (RFC 6962 section 2.1.2).
fn follows(old: &TreeHead, new: &TreeHead, proof: &[Digest]) -> Result<(), Objection> {
    // An equal head was found before, so that one of equal size has another root.
    if new.size <= old.size {
        return Err(Objection::Fork);
    }
    let proof: Vec<Hash> = proof.iter().map(|hash| Hash(hash.0)).collect();
    check_tree(&proof, new.size, Hash(new.root.0), old.size, Hash(old.root.0))
        .map_err(|_| Objection::Proof)
}

fn room(case: &Case<'_>, region: RegionNumber) -> Result<(), Objection> {
    let first = LogName { region, log: 0 };
    let last = LogName { region, log: u64::MAX };
    if case.state.logs.range(first..=last).count() >= LOGS_PER_REGION_MAX {
        return Err(Objection::TableFull);
    }
    Ok(())
}
