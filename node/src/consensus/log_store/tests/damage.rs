//! Files that were changed behind the node's back: what is changed is noticed or makes no
//! difference; nothing else than what was written is ever served.

use std::panic;

use exequatur_federation::ledger::{
    LogEntry, LogState,
    envelope::{self, BODY_BYTES_MAX},
};
use openraft::{RaftLogReader as _, alias::EntryOf, storage::RaftLogStorage as _};

use super::fixture::{append, blank, fresh, log_id, parts, reopen, revoke, vote};
use crate::consensus::{
    LogStore, OpenLogError, TypeConfig, convert::from_entry, disk::simulated::SimulatedDisk,
};

fn three() -> Vec<EntryOf<TypeConfig>> {
    vec![blank(1, 0), revoke(1, 1, 5), revoke(1, 2, 6)]
}

/// A log of three entries and a vote, as it is at rest.
async fn small_log() -> (SimulatedDisk, Vec<u8>) {
    let (disk, mut store) = fresh();
    store.save_vote(&vote(1)).await.unwrap();
    append(&store, three()).await.unwrap();
    store.save_committed(Some(log_id(1, 2))).await.unwrap();
    store.close().await.unwrap();
    let bytes = disk.log_bytes();
    (disk, bytes)
}

/// Panics of the database are caught; their messages would fill screens.
fn without_panic_messages() {
    panic::set_hook(Box::new(|_| {}));
}

/// Opens what is on the disk: whether it was refused. What is not refused must be the log.
async fn is_refused(disk: &SimulatedDisk) -> bool {
    let mut store = match LogStore::open(parts(disk)) {
        Err(OpenLogError::Damaged { .. }) => return true,
        Err(other) => panic::resume_unwind(Box::new(other.to_string())),
        Ok(opened) => opened.store,
    };
    let mut reader = store.reader();
    assert_eq!(reader.try_get_log_entries(0..9).await.unwrap(), three());
    assert_eq!(reader.read_vote().await.unwrap(), Some(vote(1)));
    assert_eq!(store.read_committed().await.unwrap(), Some(log_id(1, 2)));
    // It need not be closed, which takes longer than all else.
    disk.lose_unsynced();
    false
}

#[test]
fn of_three_records_cut_at_every_byte_the_whole_ones_are_read_and_no_part_of_another() {
    let frames: Vec<_> = three().iter().map(|entry| from_entry(entry).unwrap().seal()).collect();
    let whole = frames.concat();
    for cut in 0..=whole.len() {
        let mut rest = &whole[..cut];
        let mut read = 0;
        while let Ok((_, after)) = envelope::open(rest, BODY_BYTES_MAX) {
            let frame = &rest[..rest.len() - after.len()];
            assert_eq!(frame, frames[read]);
            LogEntry::open(frame).unwrap();
            rest = after;
            read += 1;
        }
        let lengths = frames.iter().scan(0, |end, frame| {
            *end += frame.len();
            Some(*end)
        });
        assert_eq!(read, lengths.filter(|end| *end <= cut).count(), "cut at {cut}");
    }
}

#[tokio::test]
async fn a_file_of_three_records_that_is_cut_at_any_byte_is_refused() {
    without_panic_messages();
    let (disk, bytes) = small_log().await;
    for cut in 0..bytes.len() {
        disk.set_log_bytes(bytes[..cut].to_vec());
        assert!(is_refused(&disk).await, "cut at {cut} of {}", bytes.len());
    }
    disk.set_log_bytes(bytes);
    assert!(!is_refused(&disk).await);
}

#[test]
fn every_flipped_bit_of_a_record_is_noticed() {
    let state = LogState {
        node: super::fixture::node(),
        starts: 3,
        genesis: Some(super::fixture::GENESIS),
        vote: None,
        committed: None,
        purged: None,
        last: None,
    };
    let entries = three();
    let entry_frames = entries.iter().map(|entry| from_entry(entry).unwrap().seal());
    for frame in entry_frames.chain([state.seal()]) {
        for bit in 0..frame.len() * 8 {
            let mut flipped = frame.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(LogEntry::open(&flipped).is_err(), "bit {bit}");
            assert!(LogState::open(&flipped).is_err(), "bit {bit}");
        }
    }
}

/// Changed files: one bit of every byte that makes a difference, the bit moving on from byte to
/// byte. A stretch of which every bit can be changed at once without a difference is not in use, and
/// is done with in one step.
async fn flipped(bytes: &[u8], mut check: impl AsyncFnMut(Vec<u8>) -> bool) {
    let mut in_use = 0;
    let mut stretches = vec![(0, bytes.len())];
    while let Some((start, end)) = stretches.pop() {
        let mut changed = bytes.to_vec();
        if end - start == 1 {
            changed[start] ^= 1 << (start % 8);
            check(changed).await;
            in_use += 1;
            continue;
        }
        changed[start..end].iter_mut().for_each(|byte| *byte = !*byte);
        if check(changed).await {
            let middle = usize::midpoint(start, end);
            stretches.extend([(start, middle), (middle, end)]);
        }
    }
    assert!(in_use > 500, "header, entries and state are more: {in_use}");
}

#[tokio::test]
async fn a_flipped_bit_in_any_byte_of_a_closed_file_is_noticed_or_harmless() {
    without_panic_messages();
    let (disk, bytes) = small_log().await;
    flipped(&bytes, async |changed| {
        disk.set_log_bytes(changed);
        is_refused(&disk).await
    })
    .await;
}

/// A file that a crash left open ends in a transaction of which nobody can tell whether it was
/// answered for: damage in exactly that one looks like a write that a crash cut short. It is dropped
/// whole then, and it is the anchor that tells, from what the log says of itself.
#[tokio::test]
async fn a_flipped_bit_in_a_file_that_was_not_closed_costs_the_last_transaction_at_most_and_shows()
{
    without_panic_messages();
    let (disk, mut store) = fresh();
    store.save_vote(&vote(1)).await.unwrap();
    append(&store, vec![blank(1, 0), revoke(1, 1, 5)]).await.unwrap();
    append(&store, vec![revoke(1, 2, 6)]).await.unwrap();
    disk.lose_unsynced();
    let bytes = disk.log_bytes();
    let mut dropped = 0;
    flipped(&bytes, async |changed| {
        disk.set_log_bytes(changed);
        let opened = match LogStore::open(parts(&disk)) {
            Err(OpenLogError::Damaged { .. }) => return true,
            Err(other) => panic::resume_unwind(Box::new(other.to_string())),
            Ok(opened) => opened,
        };
        let mut reader = opened.store.reader();
        assert_eq!(reader.read_vote().await.unwrap(), Some(vote(1)));
        let read = reader.try_get_log_entries(0..9).await.unwrap();
        let whole = read == three();
        if !whole {
            assert_eq!(read, three()[..2]);
            assert_eq!(opened.facts.last.map(|id| id.index), Some(1), "the anchor has 2");
            dropped += 1;
        }
        disk.lose_unsynced();
        !whole
    })
    .await;
    assert!(dropped > 0, "if this no longer happens, say so in the documentation");
}

#[tokio::test]
async fn a_damaged_log_says_how_to_go_on() {
    let (disk, mut bytes) = small_log().await;
    bytes.truncate(100);
    disk.set_log_bytes(bytes);
    let message = reopen(&disk).unwrap_err().to_string();
    assert!(message.contains("exequatur cluster join"), "{message}");
}
