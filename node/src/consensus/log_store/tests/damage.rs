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

/// Flips one bit of every byte of a part of the file; the bit moves on from byte to byte.
async fn flip(part: usize, parts: usize) {
    without_panic_messages();
    let (disk, bytes) = small_log().await;
    let (mut refused, mut harmless) = (0, 0);
    for at in (part..bytes.len()).step_by(parts) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << ((at / parts) % 8);
        disk.set_log_bytes(flipped);
        if is_refused(&disk).await {
            refused += 1;
        } else {
            harmless += 1;
        }
    }
    println!("{refused} refused, {harmless} harmless");
    assert!(refused > 0 && harmless > 0);
}

#[tokio::test]
async fn a_flipped_bit_in_any_byte_of_the_file_is_noticed_or_harmless_first_half() {
    flip(0, 2).await;
}

#[tokio::test]
async fn a_flipped_bit_in_any_byte_of_the_file_is_noticed_or_harmless_second_half() {
    flip(1, 2).await;
}

#[tokio::test]
async fn a_damaged_log_says_how_to_go_on() {
    let (disk, mut bytes) = small_log().await;
    bytes.truncate(100);
    disk.set_log_bytes(bytes);
    let message = reopen(&disk).unwrap_err().to_string();
    assert!(message.contains("exequatur cluster join"), "{message}");
}
