//! Appending: order, replay entries, revocations, all or nothing.

use std::task::Poll;

use exequatur_federation::audit::Frontier;
use tokio::task::JoinSet;

use super::fixture::{Fixture, append, at, empty_tail, item, once, revoking};
use crate::store::{AppendOutcome, StoreError};

const REPLAYED: AppendOutcome = AppendOutcome::Replayed;

const fn saved(seq: u64) -> AppendOutcome {
    AppendOutcome::Saved { seq }
}

pub(super) async fn records_get_consecutive_numbers_and_are_read_back_as_written(
    fixture: &Fixture,
) {
    let store = fixture.created().await;
    assert_eq!(append(&*store, vec![item(0), item(1)]).await, [saved(0), saved(1)]);
    assert_eq!(append(&*store, vec![item(2)]).await, [saved(2)]);
    let page = store.audit_page(0, 10).await.unwrap();
    assert_eq!(page.iter().map(|r| r.seq).collect::<Vec<_>>(), [0, 1, 2]);
    let mut frontier = Frontier::empty();
    for (read, n) in page.iter().zip(0..) {
        assert_eq!(read.sealed, item(n).record);
        assert_eq!(read.recorded_at, item(n).recorded_at);
        frontier.push(read.sealed.leaf);
    }
    assert_eq!(store.audit_tail().await.unwrap(), frontier);
    assert_eq!(store.audit_page(1, 1).await.unwrap()[0].seq, 1);
    assert!(store.audit_page(3, 10).await.unwrap().is_empty());
}

pub(super) async fn a_replayed_item_is_lost_alone(fixture: &Fixture) {
    let store = fixture.created().await;
    assert_eq!(append(&*store, vec![once(0, &[1])]).await, [saved(0)]);
    let mut lost = once(2, &[1]);
    lost.revocations = revoking(2, 5, 5, 9_000).revocations;
    let batch = vec![once(1, &[2]), lost, item(3)];
    assert_eq!(append(&*store, batch).await, [saved(1), REPLAYED, saved(2)]);
    let page = store.audit_page(0, 10).await.unwrap();
    assert_eq!(page.len(), 3);
    assert_eq!(page[2].sealed, item(3).record);
    assert!(store.revocations(None, at(0)).await.unwrap().is_empty());
}

pub(super) async fn of_one_key_in_one_batch_the_first_is_saved(fixture: &Fixture) {
    let store = fixture.created().await;
    let batch = vec![once(0, &[4]), once(1, &[4]), once(2, &[5])];
    assert_eq!(append(&*store, batch).await, [saved(0), REPLAYED, saved(1)]);
    assert_eq!(append(&*store, vec![once(3, &[4])]).await, [REPLAYED]);
}

pub(super) async fn of_fifty_concurrent_appends_of_one_key_exactly_one_is_saved(fixture: &Fixture) {
    let store = fixture.created().await;
    let mut running = JoinSet::new();
    for n in 0..50 {
        let store = store.clone();
        running.spawn(async move {
            loop {
                let base = store.audit_tail().await.unwrap();
                match store.append(&base, vec![once(n, &[8])]).await {
                    Ok(appended) => return appended.outcomes[0],
                    Err(StoreError::Behind) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    let outcomes = running.join_all().await;
    assert_eq!(outcomes.iter().filter(|o| **o == saved(0)).count(), 1);
    assert_eq!(outcomes.iter().filter(|o| **o == REPLAYED).count(), 49);
    assert_eq!(store.audit_tail().await.unwrap().size(), 1);
}

pub(super) async fn an_item_with_a_used_key_leaves_no_other_key_behind(fixture: &Fixture) {
    let store = fixture.created().await;
    append(&*store, vec![once(0, &[1])]).await;
    assert_eq!(append(&*store, vec![once(1, &[2, 1, 3])]).await, [REPLAYED]);
    assert_eq!(append(&*store, vec![once(2, &[2]), once(3, &[3])]).await, [saved(1), saved(2)]);
}

pub(super) async fn a_batch_of_any_size_is_saved_whole(fixture: &Fixture) {
    let store = fixture.created().await;
    let mut total = 0;
    for size in [1_u32, 63, 64, 65, 200] {
        let batch = (0..size)
            .map(|n| {
                let mut item = revoking(total + n, 3, total + n, 9_000);
                item.replays = once(0, &[1]).replays;
                item.replays[0].key[..4].copy_from_slice(&(total + n).to_be_bytes());
                item
            })
            .collect();
        let outcomes = append(&*store, batch).await;
        let expected: Vec<_> = (total..total + size).map(|seq| saved(u64::from(seq))).collect();
        assert_eq!(outcomes, expected);
        total += size;
    }
    let revoked = store.revocations(None, at(0)).await.unwrap();
    assert_eq!(revoked.len(), usize::try_from(total).unwrap());
    assert_eq!(store.audit_page(0, 512).await.unwrap().len(), revoked.len());
}

pub(super) async fn revoking_twice_keeps_the_later_expiry(fixture: &Fixture) {
    let store = fixture.created().await;
    let top = u64::MAX - 1;
    append(&*store, vec![revoking(0, top, 7, 200), revoking(1, top, 7, 300)]).await;
    append(&*store, vec![revoking(2, top, 7, 100)]).await;
    let revoked = store.revocations(None, at(0)).await.unwrap();
    assert_eq!(revoked, revoking(0, top, 7, 300).revocations);
    append(&*store, vec![revoking(3, top, 7, 400)]).await;
    assert_eq!(store.revocations(None, at(0)).await.unwrap()[0].expires_at, at(400));
}

pub(super) async fn an_append_to_another_tree_than_the_stored_one_saves_nothing(fixture: &Fixture) {
    let store = fixture.created().await;
    append(&*store, vec![item(0)]).await;
    let old = Frontier::empty();
    assert_eq!(store.append(&old, vec![once(1, &[3])]).await.unwrap_err(), StoreError::Behind);
    assert_eq!(store.append(&old, Vec::new()).await.unwrap_err(), StoreError::Behind);
    let mut ahead = store.audit_tail().await.unwrap();
    ahead.push([1; 32]);
    assert_eq!(store.append(&ahead, vec![item(1)]).await.unwrap_err(), StoreError::Behind);
    assert_eq!(store.audit_tail().await.unwrap().size(), 1);
    assert_eq!(append(&*store, vec![once(1, &[3])]).await, [saved(1)]);
}

pub(super) async fn what_was_saved_survives_reopening(fixture: &Fixture) {
    let store = fixture.created().await;
    append(&*store, vec![once(0, &[1]), revoking(1, 2, 3, 900)]).await;
    let tail = store.audit_tail().await.unwrap();
    store.close().await;
    drop(store);
    let store = fixture.open().await.unwrap();
    assert_eq!(store.audit_tail().await.unwrap(), tail);
    assert_eq!(append(&*store, vec![once(2, &[1]), item(3)]).await, [REPLAYED, saved(2)]);
    assert_eq!(store.revocations(None, at(0)).await.unwrap().len(), 1);
}

pub(super) async fn an_empty_batch_proves_that_writing_works(fixture: &Fixture) {
    let store = fixture.created().await;
    assert!(append(&*store, Vec::new()).await.is_empty());
    assert!(empty_tail(&*store).await);
}

pub(super) async fn a_cancelled_append_leaves_no_part_behind(fixture: &Fixture) {
    let store = fixture.created().await;
    let base = store.audit_tail().await.unwrap();
    // Dropped after ever more steps, so that some drops fall between the statements.
    for steps in 0..20 {
        let batch = vec![once(0, &[1]), revoking(1, 1, 1, 900)];
        let mut future = store.append(&base, batch);
        for _ in 0..steps {
            let step = std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx)));
            if step.await.is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(future);
        let size = store.audit_tail().await.unwrap().size();
        let records = store.audit_page(0, 10).await.unwrap().len();
        let revoked = store.revocations(None, at(0)).await.unwrap().len();
        match size {
            0 => assert_eq!((records, revoked), (0, 0)),
            _ => {
                assert_eq!((size, records, revoked), (2, 2, 1));
                return;
            }
        }
    }
    assert_eq!(append(&*store, vec![once(0, &[1])]).await, [saved(0)]);
}
