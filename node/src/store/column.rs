//! Numbers and digests as SQL keeps them, and back: signed integers of 64 bits and byte strings.

use exequatur_federation::{
    audit::{Frontier, Personal, SealedRecord},
    ledger::{Command, Proposal},
    time::UnixTime,
};

use super::{OutboxKey, OutboxState, Revocation, StatusList, StoreError, StoredRecord, StoredRow};

/// A record's columns in the order in which both databases select them.
pub(super) type RecordRow =
    (i64, i64, Vec<u8>, Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>, Vec<u8>, Vec<u8>);

/// A moment; the far end of time where SQL has no such number.
pub(super) fn from_time(time: UnixTime) -> i64 {
    i64::try_from(time.seconds()).unwrap_or(i64::MAX)
}

/// A moment.
pub(super) fn to_time(column: i64) -> Result<UnixTime, StoreError> {
    u64::try_from(column)
        .map(UnixTime::from_seconds)
        .map_err(|_| StoreError::damaged("a time lies before 1970"))
}

/// A record's number or a log's size.
pub(super) fn from_seq(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

/// A digest or a salt.
pub(super) fn to_digest(column: &[u8]) -> Result<[u8; 32], StoreError> {
    column.try_into().map_err(|_| StoreError::damaged("a digest is not 32 bytes long"))
}

/// A record, without any check of its hashes.
pub(super) fn to_record(row: RecordRow) -> Result<StoredRecord, StoreError> {
    let (seq, recorded_at, record, salt, personal, personal_salt, personal_digest, leaf) = row;
    let personal = match (personal, personal_salt) {
        (Some(bytes), Some(salt)) => Some(Personal { salt: to_digest(&salt)?, bytes }),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            return Err(StoreError::damaged("a personal part and its salt are not together"));
        }
    };
    Ok(StoredRecord {
        seq: u64::try_from(seq)
            .map_err(|_| StoreError::damaged("a record's number is negative"))?,
        recorded_at: to_time(recorded_at)?,
        sealed: SealedRecord {
            record,
            personal,
            salt: to_digest(&salt)?,
            personal_digest: to_digest(&personal_digest)?,
            leaf: to_digest(&leaf)?,
        },
    })
}

/// A revocation from (`list_id`, `list_index`, `expires_at`).
pub(super) fn to_revocation(row: (i64, i64, i64)) -> Result<Revocation, StoreError> {
    let index = u32::try_from(row.1)
        .map_err(|_| StoreError::damaged("a status index is beyond 32 bits"))?;
    let expires_at = to_time(row.2)?;
    Ok(Revocation { list_id: row.0.cast_unsigned(), index, expires_at })
}

/// A status list from (`list_id`, `drawn_at`, `used_at`, `decoy_seed`).
pub(super) fn to_status_list(row: (i64, i64, i64, Vec<u8>)) -> Result<StatusList, StoreError> {
    let (list_id, drawn_at, used_at, seed) = row;
    Ok(StatusList {
        list_id: list_id.cast_unsigned(),
        drawn_at: to_time(drawn_at)?,
        used_at: to_time(used_at)?,
        decoy_seed: if seed.is_empty() { None } else { Some(to_digest(&seed)?) },
    })
}

/// The seed of a list's decoys.
pub(super) fn from_seed(seed: Option<[u8; 32]>) -> Vec<u8> {
    seed.map(Vec::from).unwrap_or_default()
}

/// A row of the outbox from (`receipt`, `position`, `proposal`, `state`, `decided_at`).
pub(super) type OutboxColumns = (Vec<u8>, i64, Vec<u8>, i64, Option<i64>);

/// A row of the outbox.
pub(super) fn to_outbox(row: OutboxColumns) -> Result<StoredRow, StoreError> {
    let (receipt, position, proposal, state, decided_at) = row;
    let receipt = receipt.try_into();
    let receipt = receipt.map_err(|_| StoreError::damaged("a receipt is not 16 bytes long"))?;
    let position = u32::try_from(position)
        .map_err(|_| StoreError::damaged("a place in the outbox is beyond 32 bits"))?;
    let none = StoreError::damaged("a row of the outbox holds no revocation");
    let Ok((Proposal { command: Command::Revoke(revoke), .. }, [])) = Proposal::open(&proposal)
    else {
        return Err(none);
    };
    let decided = decided_at.and_then(|index| u64::try_from(index).ok());
    let state = match (state, decided) {
        (0, None) => OutboxState::Pending,
        (1, Some(index)) => OutboxState::Committed { index },
        (2, Some(index)) => OutboxState::Rejected { index },
        _ => return Err(StoreError::damaged("a row of the outbox is in no state")),
    };
    Ok(StoredRow { key: OutboxKey { receipt, position }, revoke, state })
}

/// Where a page of the outbox begins: before every row, or after the given one.
pub(super) fn from_outbox_cursor(after: Option<OutboxKey>) -> (Vec<u8>, i64) {
    after.map_or((Vec::new(), -1), |key| (key.receipt.to_vec(), i64::from(key.position)))
}

/// Where a page of revocations begins: before every reference, or after the given one.
pub(super) fn from_cursor(after: Option<(u64, u32)>) -> (i64, i64) {
    after.map_or((i64::MIN, -1), |(list, index)| (list.cast_signed(), i64::from(index)))
}

/// A log's right edge, when its two columns agree.
pub(super) fn to_frontier(size: i64, bytes: &[u8]) -> Result<Frontier, StoreError> {
    let frontier = Frontier::from_bytes(bytes)
        .map_err(|_| StoreError::damaged("the right edge of the audit tree is malformed"))?;
    if u64::try_from(size) != Ok(frontier.size()) {
        return Err(StoreError::damaged("the audit log's size is not that of its tree"));
    }
    Ok(frontier)
}
