//! Which items of a batch are saved, and the tree after them: the part of an append that is alike
//! on every database, without I/O.

use std::collections::{BTreeMap, BTreeSet};

use exequatur_federation::{audit::Frontier, time::UnixTime};

use super::{Append, AppendOutcome, Appended, OutboxKey, OutboxRow};

/// What is left to write once it is known which replay entries are new.
pub(super) struct Admitted {
    /// Items to save with their numbers, in order.
    pub(super) records: Vec<(u64, Append)>,
    /// Revocations to save, in the order of their primary key.
    pub(super) revocations: BTreeMap<(u64, u32), UnixTime>,
    /// Rows of the outbox to save, likewise.
    pub(super) outbox: BTreeMap<OutboxKey, OutboxRow>,
    /// New replay entries of items that are not saved: to be left out, or taken back.
    pub(super) orphans: BTreeSet<[u8; 32]>,
    /// The answer, if the rest succeeds.
    pub(super) appended: Appended,
}

/// All replay entries of a batch in the order of their primary key, so that two transactions
/// never wait for each other in a circle; of two expiries the later.
pub(super) fn replay_entries(batch: &[Append]) -> BTreeMap<[u8; 32], UnixTime> {
    let mut entries = BTreeMap::new();
    for replay in batch.iter().flat_map(|item| &item.replays) {
        let expires_at = entries.entry(replay.key).or_insert(replay.expires_at);
        *expires_at = (*expires_at).max(replay.expires_at);
    }
    entries
}

/// Decides about each item in order. `new` holds the keys of [`replay_entries`] that did not exist
/// before this transaction.
pub(super) fn admit(base: &Frontier, batch: Vec<Append>, mut new: BTreeSet<[u8; 32]>) -> Admitted {
    let mut frontier = base.clone();
    let mut outcomes = Vec::with_capacity(batch.len());
    let mut records = Vec::with_capacity(batch.len());
    let mut revocations = BTreeMap::new();
    let mut outbox = BTreeMap::new();
    for mut item in batch {
        if !item.replays.iter().all(|replay| new.contains(&replay.key)) {
            outcomes.push(AppendOutcome::Replayed);
            continue;
        }
        for replay in &item.replays {
            new.remove(&replay.key);
        }
        for revoked in &item.revocations {
            let key = (revoked.list_id, revoked.index);
            let expires_at = revocations.entry(key).or_insert(revoked.expires_at);
            *expires_at = (*expires_at).max(revoked.expires_at);
        }
        outbox.extend(item.outbox.drain(..).map(|row| (row.key, row)));
        let seq = frontier.size();
        frontier.push(item.record.leaf);
        outcomes.push(AppendOutcome::Saved { seq });
        records.push((seq, item));
    }
    let appended = Appended { frontier, outcomes };
    Admitted { records, revocations, outbox, orphans: new, appended }
}

#[cfg(test)]
mod tests {
    use exequatur_federation::audit::{Salts, seal};

    use super::*;
    use crate::store::Replay;

    fn item(keys: &[u8]) -> Append {
        let salts = Salts { record: [1; 32], personal: [2; 32] };
        let replay = |key: &u8| Replay { key: [*key; 32], expires_at: UnixTime::from_seconds(9) };
        Append {
            record: seal(b"{}".to_vec(), None, &salts),
            recorded_at: UnixTime::from_seconds(1),
            replays: keys.iter().map(replay).collect(),
            revocations: Vec::new(),
            outbox: Vec::new(),
        }
    }

    fn outcomes(batch: &[&[u8]], existing: &[u8]) -> (Vec<AppendOutcome>, BTreeSet<[u8; 32]>) {
        let batch: Vec<Append> = batch.iter().map(|keys| item(keys)).collect();
        let mut new: BTreeSet<[u8; 32]> = replay_entries(&batch).into_keys().collect();
        for key in existing {
            new.remove(&[*key; 32]);
        }
        let admitted = admit(&Frontier::empty(), batch, new);
        assert_eq!(
            admitted.appended.frontier.size(),
            u64::try_from(admitted.records.len()).unwrap()
        );
        (admitted.appended.outcomes, admitted.orphans)
    }

    const fn saved(seq: u64) -> AppendOutcome {
        AppendOutcome::Saved { seq }
    }

    #[test]
    fn the_first_of_two_with_one_key_is_saved_and_numbers_stay_consecutive() {
        let (outcomes, orphans) = outcomes(&[&[1], &[1], &[], &[2]], &[]);
        assert_eq!(outcomes, [saved(0), AppendOutcome::Replayed, saved(1), saved(2)]);
        assert!(orphans.is_empty());
    }

    #[test]
    fn an_item_that_loses_by_one_key_takes_no_other_key_with_it() {
        let (outcomes, orphans) = outcomes(&[&[1, 2], &[1]], &[2]);
        assert_eq!(outcomes, [AppendOutcome::Replayed, saved(0)]);
        assert!(orphans.is_empty());
    }

    #[test]
    fn keys_of_an_item_that_is_not_saved_are_taken_back() {
        let (outcomes, orphans) = outcomes(&[&[1, 2]], &[2]);
        assert_eq!(outcomes, [AppendOutcome::Replayed]);
        assert_eq!(orphans, BTreeSet::from([[1; 32]]));
    }

    #[test]
    fn a_key_twice_in_one_item_counts_once() {
        let (outcomes, _) = outcomes(&[&[1, 1]], &[]);
        assert_eq!(outcomes, [saved(0)]);
    }
}
