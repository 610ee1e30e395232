//! Purging, erasing, and what is read at start.

use super::fixture::{Fixture, append, at, item, once, revoking};
use crate::store::{AppendOutcome, Erasure, Purged, REVOCATION_PAGE, Replay, StatusList};

pub(super) async fn purging_spares_what_expires_this_second(fixture: &Fixture) {
    let store = fixture.created().await;
    append(&*store, vec![once(0, &[1]), revoking(1, 1, 1, 500)]).await;
    assert_eq!(store.purge(at(500)).await.unwrap(), Purged::default());
    assert_eq!(store.revocations(None, at(500)).await.unwrap().len(), 1);
    assert_eq!(append(&*store, vec![once(2, &[1])]).await, [AppendOutcome::Replayed]);
    assert!(store.revocations(None, at(501)).await.unwrap().is_empty());
    assert_eq!(
        store.purge(at(501)).await.unwrap(),
        Purged { replays: 1, revocations: 1, outbox: 0 }
    );
    assert!(store.revocations(None, at(0)).await.unwrap().is_empty());
    assert_eq!(append(&*store, vec![once(2, &[1])]).await, [AppendOutcome::Saved { seq: 2 }]);
}

pub(super) async fn a_purge_deletes_more_than_one_statement_may(fixture: &Fixture) {
    let store = fixture.created().await;
    let mut one = item(0);
    one.replays = (0_u32..2_500)
        .map(|n| {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&n.to_be_bytes());
            Replay { key, expires_at: at(u64::from(n % 2) * 1_000) }
        })
        .collect();
    append(&*store, vec![one]).await;
    assert_eq!(store.purge(at(900)).await.unwrap().replays, 1_250);
    assert_eq!(store.purge(at(2_000)).await.unwrap().replays, 1_250);
}

pub(super) async fn erasing_leaves_records_verifiable(fixture: &Fixture) {
    let store = fixture.created().await;
    append(&*store, vec![item(0), item(1)]).await;
    assert_eq!(store.erase_personal(Erasure::Records(0..1)).await.unwrap(), 1);
    let page = store.audit_page(0, 10).await.unwrap();
    assert_eq!(page[0].sealed.personal, None);
    assert_eq!(page[0].sealed.leaf, item(0).record.leaf);
    assert_eq!(page[0].sealed.verify(), Ok(()));
    assert_eq!(page[1].sealed, item(1).record);
}

pub(super) async fn erasing_goes_by_number_or_by_time(fixture: &Fixture) {
    let store = fixture.created().await;
    append(&*store, (0..10).map(item).collect()).await;
    assert_eq!(store.erase_personal(Erasure::Records(8..100)).await.unwrap(), 2);
    assert_eq!(store.erase_personal(Erasure::RecordedBefore(at(1_003))).await.unwrap(), 3);
    assert_eq!(store.erase_personal(Erasure::RecordedBefore(at(1_003))).await.unwrap(), 0);
    let page = store.audit_page(0, 10).await.unwrap();
    let left: Vec<u64> =
        page.iter().filter(|r| r.sealed.personal.is_some()).map(|r| r.seq).collect();
    assert_eq!(left, [3, 4, 5, 6, 7]);
}

pub(super) async fn revocations_are_read_page_by_page(fixture: &Fixture) {
    let store = fixture.created().await;
    let per_list = REVOCATION_PAGE / 2 + 10;
    let mut one = item(0);
    for list_id in [1, u64::MAX] {
        for index in 0..per_list {
            one.revocations.extend(revoking(0, list_id, index, 900).revocations);
        }
    }
    append(&*store, vec![one]).await;
    let (mut after, mut read) = (None, Vec::new());
    loop {
        let page = store.revocations(after, at(10)).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.list_id, last.index));
        read.extend(page.iter().map(|r| (r.list_id, r.index)));
    }
    assert_eq!(read.len(), usize::try_from(per_list * 2).unwrap());
    read.sort_unstable();
    read.dedup();
    assert_eq!(read.len(), usize::try_from(per_list * 2).unwrap());
}

fn list(list_id: u64, drawn_at: u64) -> StatusList {
    let at = at(drawn_at);
    StatusList { list_id, drawn_at: at, used_at: at, decoy_seed: Some([7; 32]) }
}

pub(super) async fn a_status_list_id_is_taken_once(fixture: &Fixture) {
    let store = fixture.created().await;
    assert!(store.draw_status_list(list(u64::MAX, 5)).await.unwrap());
    assert!(!store.draw_status_list(list(u64::MAX, 6)).await.unwrap());
    let without = StatusList { decoy_seed: None, ..list(1, 7) };
    assert!(store.draw_status_list(without).await.unwrap());
    assert_eq!(store.status_lists(at(0)).await.unwrap(), [without, list(u64::MAX, 5)]);
}

pub(super) async fn a_status_list_lives_as_long_as_it_was_used(fixture: &Fixture) {
    let store = fixture.created().await;
    for drawn in [list(1, 5), list(2, 6)] {
        assert!(store.draw_status_list(drawn).await.unwrap());
    }
    store.use_status_list(1, at(9)).await.unwrap();
    // Another node's clock may be behind.
    store.use_status_list(1, at(8)).await.unwrap();
    // A list that nobody drew is none.
    store.use_status_list(3, at(9)).await.unwrap();
    let used = StatusList { used_at: at(9), ..list(1, 5) };
    assert_eq!(store.status_lists(at(6)).await.unwrap(), [list(2, 6), used]);
    assert_eq!(store.status_lists(at(7)).await.unwrap(), [used]);
    assert_eq!(store.status_lists(at(10)).await.unwrap(), []);
}

pub(super) async fn lists_of_an_older_build_count_as_used_until_the_update(fixture: &Fixture) {
    let store = fixture.created().await;
    assert!(store.draw_status_list(list(1, 5)).await.unwrap());
    store.close().await;
    drop(store);
    for statement in [
        "ALTER TABLE status_list DROP COLUMN used_at",
        "ALTER TABLE status_list DROP COLUMN decoy_seed",
        "DELETE FROM _sqlx_migrations WHERE version = 2",
    ] {
        fixture.execute(statement).await;
    }
    let store = fixture.open().await.unwrap();
    // By the clock of the database, which is the machine's.
    let lists = store.status_lists(at(1_700_000_000)).await.unwrap();
    assert_eq!(lists.iter().map(|l| (l.list_id, l.decoy_seed)).collect::<Vec<_>>(), [(1, None)]);
}
