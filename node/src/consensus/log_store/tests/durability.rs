//! What is durable when, what a crash leaves, and how a disk that fails is met.

use std::{
    future::{Future as _, poll_fn},
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Wake, Waker},
};

use exequatur_federation::ledger::LogId;
use futures_util::StreamExt as _;
use openraft::{RaftLogReader as _, storage::RaftLogStorage as _};

use super::fixture::{
    GENESIS, append, blank, fresh, log_id, node, parts, parts_with, reopen, revoke, submit, vote,
};
use crate::consensus::{
    FaultSignal, LogStore, OpenLogError, StorageFault,
    convert::{from_log_id, from_vote},
    disk::simulated::{Event, Held, Inline, SimulatedDisk},
};

/// A new log whose writer runs when it is told to.
fn held() -> (SimulatedDisk, Held, LogStore) {
    let (disk, store) = fresh();
    drop(store);
    disk.lose_unsynced();
    let writer = Held::default();
    let store = LogStore::open(parts_with(&disk, Arc::new(writer.clone()))).unwrap().store;
    disk.take_events();
    (disk, writer, store)
}

fn syncs(disk: &SimulatedDisk) -> usize {
    disk.take_events().into_iter().filter(|event| *event == Event::Sync).count()
}

async fn is_pending(future: impl Future) -> bool {
    let mut future = pin!(future);
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

fn last(store: &LogStore) -> Option<LogId> {
    store.reader().ends().1
}

#[tokio::test]
async fn entries_can_be_read_before_they_are_durable_and_a_crash_then_loses_them_whole() {
    let (disk, writer, store) = held();
    append_now(&store, &writer, 0).await;
    let mut waiting = submit(&store, vec![blank(1, 1), revoke(1, 2, 5)]).await.unwrap();
    let read = store.reader().try_get_log_entries(0..3).await.unwrap();
    assert_eq!(read, [blank(1, 0), blank(1, 1), revoke(1, 2, 5)]);
    assert!(is_pending(&mut waiting).await);
    disk.lose_unsynced();
    let reopened = reopen(&disk).unwrap();
    assert_eq!(reopened.reader().read(0, 9).unwrap(), [blank(1, 0)]);
}

async fn append_now(store: &LogStore, writer: &Held, index: u64) {
    let waiting = submit(store, vec![blank(1, index)]).await.unwrap();
    writer.run_all();
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn crash_between_apply_and_flush() {
    let (disk, writer, mut store) = held();
    append_now(&store, &writer, 0).await;
    let flushed = submit(&store, vec![revoke(1, 1, 5)]).await.unwrap();
    // A quorum of others may have committed the entry before it is durable here.
    store.save_committed(Some(log_id(1, 1))).await.unwrap();
    let mut reader = store.reader();
    let mut to_apply = Box::pin(reader.entries_stream(0..2).await);
    assert!(is_pending(to_apply.next()).await, "nothing is applied that a crash could take back");
    drop((to_apply, flushed));
    disk.lose_unsynced();
    let reopened = reopen(&disk).unwrap();
    assert_eq!(reopened.reader().ends().0, None, "what is committed is no further than the log");

    let (_, writer, store) = held();
    let flushed = submit(&store, vec![blank(1, 0), revoke(1, 1, 5)]).await.unwrap();
    let mut reader = store.reader();
    let mut to_apply = Box::pin(reader.entries_stream(0..2).await);
    assert!(is_pending(to_apply.next()).await);
    writer.run_all();
    flushed.await.unwrap().unwrap();
    assert_eq!(to_apply.next().await.unwrap().unwrap(), blank(1, 0));
    assert_eq!(to_apply.next().await.unwrap().unwrap(), revoke(1, 1, 5));
    assert!(to_apply.next().await.is_none());
}

#[tokio::test]
async fn an_entry_that_replaces_a_durable_one_is_not_applied_before_it_is_durable_itself() {
    let (_, writer, mut store) = held();
    append_now(&store, &writer, 0).await;
    append_now(&store, &writer, 1).await;
    store.truncate_after(Some(log_id(1, 0))).await.unwrap();
    let flushed = submit(&store, vec![revoke(2, 1, 5)]).await.unwrap();
    let mut reader = store.reader();
    let mut to_apply = Box::pin(reader.entries_stream(1..2).await);
    assert!(is_pending(to_apply.next()).await);
    writer.run_all();
    flushed.await.unwrap().unwrap();
    assert_eq!(to_apply.next().await.unwrap().unwrap(), revoke(2, 1, 5));
}

/// Notes in which order it was woken.
struct Woken(u64, Arc<Mutex<Vec<u64>>>);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0);
    }
}

#[tokio::test]
async fn many_appends_are_one_transaction_and_are_answered_in_order_after_its_sync() {
    let (disk, writer, store) = held();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut waiting = Vec::new();
    for index in 0..50 {
        let mut flushed = submit(&store, vec![revoke(1, index, 5)]).await.unwrap();
        let waker = Waker::from(Arc::new(Woken(index, Arc::clone(&order))));
        assert!(pin!(&mut flushed).poll(&mut Context::from_waker(&waker)).is_pending());
        waiting.push(flushed);
    }
    assert_eq!(syncs(&disk), 0);
    writer.run_all();
    assert_eq!(*order.lock().unwrap(), (0..50).collect::<Vec<_>>());
    assert_eq!(syncs(&disk), 1, "a sync for all of them");
    for flushed in waiting {
        flushed.await.unwrap().unwrap();
    }
    disk.lose_unsynced();
    assert_eq!(last(&reopen(&disk).unwrap()), Some(from_log_id(&log_id(1, 49))));
}

#[tokio::test]
async fn one_append_costs_one_sync() {
    let (disk, store) = fresh();
    append(&store, vec![blank(1, 0)]).await.unwrap();
    disk.take_events();
    for index in 1..20 {
        append(&store, vec![revoke(1, index, 5)]).await.unwrap();
        assert_eq!(syncs(&disk), 1, "entry {index}");
    }
}

#[tokio::test]
async fn a_vote_is_durable_and_then_anchored_before_it_is_answered() {
    let (disk, mut store) = fresh();
    store.save_vote(&vote(3)).await.unwrap();
    let events = disk.take_events();
    assert_eq!(events.last(), Some(&Event::AnchorVote(from_vote(&vote(3)))));
    assert_eq!(events.get(events.len() - 2), Some(&Event::Sync), "{events:?}");
    disk.lose_unsynced();
    let opened = LogStore::open(parts(&disk)).unwrap();
    assert_eq!(opened.facts.vote, Some(from_vote(&vote(3))));
    assert_eq!(opened.store.reader().read_vote().await.unwrap(), Some(vote(3)));
}

#[tokio::test]
async fn a_vote_that_cannot_be_anchored_is_not_given() {
    let (disk, _) = fresh();
    let parts = parts(&disk);
    let fault = parts.fault.clone();
    let mut store = LogStore::open(parts).unwrap().store;
    disk.fail_anchor();
    store.save_vote(&vote(3)).await.unwrap_err();
    assert!(matches!(fault.current(), Some(StorageFault::Anchor { .. })));
    assert!(store.reader().read_vote().await.is_err(), "and the node stops");
}

#[tokio::test]
async fn what_is_committed_is_written_with_the_next_transaction_only() {
    let (disk, mut store) = fresh();
    append(&store, vec![blank(1, 0), blank(1, 1)]).await.unwrap();
    disk.take_events();
    store.save_committed(Some(log_id(1, 1))).await.unwrap();
    assert_eq!(disk.take_events(), []);
    append(&store, vec![blank(1, 2)]).await.unwrap();
    assert_eq!(syncs(&disk), 1);
    disk.lose_unsynced();
    let mut reopened = reopen(&disk).unwrap();
    assert_eq!(reopened.read_committed().await.unwrap(), Some(log_id(1, 1)));
    // A clean stop leaves nothing to find out.
    reopened.save_committed(Some(log_id(1, 2))).await.unwrap();
    reopened.close().await.unwrap();
    assert!(reopened.get_log_state().await.is_ok());
    assert!(append(&reopened, vec![blank(1, 3)]).await.is_err(), "it is closed");
    disk.lose_unsynced();
    assert_eq!(reopen(&disk).unwrap().read_committed().await.unwrap(), Some(log_id(1, 2)));
}

#[tokio::test]
async fn a_sync_that_fails_is_not_tried_again_and_stops_the_node() {
    let (disk, _) = fresh();
    let parts = parts(&disk);
    let fault = parts.fault.clone();
    let mut store = LogStore::open(parts).unwrap().store;
    append(&store, vec![blank(1, 0)]).await.unwrap();
    disk.fail_syncs_after(0);
    let error = append(&store, vec![revoke(1, 1, 5)]).await.unwrap_err();
    assert!(error.to_string().contains("the log cannot be written"), "{error}");
    assert!(matches!(fault.current(), Some(StorageFault::LogWrite { .. })));
    disk.take_events();
    append(&store, vec![blank(1, 2)]).await.unwrap_err();
    store.save_vote(&vote(9)).await.unwrap_err();
    store.purge(log_id(1, 0)).await.unwrap_err();
    store.truncate_after(None).await.unwrap_err();
    store.save_committed(None).await.unwrap_err();
    store.reader().try_get_log_entries(0..1).await.unwrap_err();
    store.begin_start().unwrap_err();
    assert_eq!(disk.take_events(), [], "the disk is left alone");
    drop(store);
    disk.lose_unsynced();
    assert_eq!(last(&reopen(&disk).unwrap()), Some(from_log_id(&log_id(1, 0))));
}

#[tokio::test]
async fn a_full_disk_is_seen_before_it_is_met_and_votes_still_fit() {
    let (disk, mut store) = fresh();
    append(&store, vec![blank(1, 0)]).await.unwrap();
    let space = store.space();
    assert!(space.has_room());
    disk.set_capacity(Some(disk.log_bytes().len() as u64));
    assert!(!space.has_room());
    for term in 2..50 {
        store.save_vote(&vote(term)).await.unwrap();
    }
    disk.set_capacity(None);
    assert!(space.has_room(), "and all goes on when there is room again");
    append(&store, vec![blank(1, 1)]).await.unwrap();
}

#[tokio::test]
async fn a_write_that_meets_a_full_disk_stops_the_node_and_loses_nothing_that_was_answered() {
    let (disk, _) = fresh();
    let parts = parts(&disk);
    let fault = parts.fault.clone();
    let store = LogStore::open(parts).unwrap().store;
    disk.set_capacity(Some(disk.log_bytes().len() as u64 + 200_000));
    let mut durable = 0;
    while append(&store, vec![revoke(1, durable, 5); 1]).await.is_ok() {
        durable += 1;
        assert!(durable < 100_000, "the disk has to be full at some time");
    }
    assert!(matches!(fault.current(), Some(StorageFault::LogWrite { .. })));
    drop(store);
    disk.lose_unsynced();
    disk.set_capacity(None);
    let reopened = reopen(&disk).unwrap();
    assert_eq!(reopened.reader().read(0, u64::MAX).unwrap().len() as u64, durable);
}

#[tokio::test]
async fn the_queue_is_bounded_and_who_appends_waits_for_room() {
    let (_, writer, store) = held();
    let mut index = 0;
    let large = |index| (0..1000).map(|offset| revoke(1, index + offset, 5)).collect::<Vec<_>>();
    loop {
        let entries = large(index);
        let mut queued = Box::pin(submit(&store, entries));
        if is_pending(&mut queued).await {
            writer.run_all();
            let flushed = queued.await.unwrap();
            writer.run_all();
            flushed.await.unwrap().unwrap();
            break;
        }
        index += 1000;
        assert!(index < 1_000_000, "the queue has no end");
    }
    assert_eq!(last(&store).unwrap().index, index + 999);
}

#[tokio::test]
async fn the_anchor_learns_of_a_cut_before_the_cut_and_is_never_ahead() {
    let (disk, mut store) = fresh();
    append(&store, vec![blank(1, 0), blank(1, 1), blank(1, 2)]).await.unwrap();
    store.anchor_flushed().await.unwrap();
    store.anchor_flushed().await.unwrap();
    let told = disk.take_events().into_iter().filter(|e| matches!(e, Event::AnchorFlushed(_)));
    assert_eq!(told.collect::<Vec<_>>(), [Event::AnchorFlushed(last(&store))], "once is enough");
    store.truncate_after(Some(log_id(1, 0))).await.unwrap();
    let events = disk.take_events();
    assert_eq!(events.first(), Some(&Event::AnchorFlushed(Some(from_log_id(&log_id(1, 0))))));
    assert!(events.contains(&Event::Sync));
    store.truncate_after(Some(log_id(1, 7))).await.unwrap();
    assert_eq!(disk.take_events(), [], "a cut behind the end cuts nothing");
}

#[tokio::test]
async fn an_anchor_that_only_falls_behind_stops_nobody() {
    let (disk, store) = fresh();
    append(&store, vec![blank(1, 0)]).await.unwrap();
    disk.fail_anchor();
    store.anchor_flushed().await.unwrap_err();
    append(&store, vec![blank(1, 1)]).await.unwrap();
}

#[test]
fn a_directory_knows_its_node_its_starts_and_its_genesis() {
    let disk = SimulatedDisk::default();
    assert!(matches!(LogStore::open(parts(&disk)), Err(OpenLogError::Missing { .. })));
    LogStore::create(&disk, node()).unwrap();
    assert!(matches!(LogStore::create(&disk, node()), Err(OpenLogError::Exists { .. })));
    let opened = LogStore::open(parts(&disk)).unwrap();
    assert_eq!((opened.facts.node, opened.facts.starts, opened.facts.genesis), (node(), 0, None));
    opened.store.pin_genesis(GENESIS).unwrap();
    opened.store.pin_genesis(GENESIS).unwrap();
    let other = opened.store.pin_genesis(exequatur_federation::ledger::Fixed([1; 32]));
    assert!(other.unwrap_err().to_string().contains("belongs to the federation of genesis"));
    assert_eq!(opened.store.begin_start().unwrap(), 1);
    disk.lose_unsynced();
    let opened = LogStore::open(parts(&disk)).unwrap();
    assert_eq!((opened.facts.starts, opened.facts.genesis), (1, Some(GENESIS)));
    assert_eq!(opened.store.begin_start().unwrap(), 2);
}

#[test]
fn the_first_fault_is_the_one_that_is_told() {
    let fault = FaultSignal::default();
    let first = StorageFault::LogWrite { cause: "first".to_owned() };
    fault.raise(first.clone());
    fault.raise(StorageFault::Anchor { cause: "second".to_owned() });
    assert_eq!(*fault.watch().borrow(), Some(first));
}

#[tokio::test]
async fn two_processes_cannot_open_one_log() {
    use crate::consensus::DataDirectory;
    let directory = tempfile::TempDir::new().unwrap();
    let disk = Arc::new(DataDirectory::new(directory.path()));
    LogStore::create(&*disk, node()).unwrap();
    let parts = || crate::consensus::LogParts {
        disk: disk.clone(),
        executor: Arc::new(Inline),
        anchor: Arc::new(SimulatedDisk::default()),
        fault: FaultSignal::default(),
    };
    let first = LogStore::open(parts()).unwrap();
    assert!(matches!(LogStore::open(parts()), Err(OpenLogError::InUse { .. })));
    first.store.close().await.unwrap();
    LogStore::open(parts()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_beside_the_writer_see_one_log_at_a_time() {
    use crate::consensus::disk::DiskThread;
    let disk = SimulatedDisk::default();
    LogStore::create(&disk, node()).unwrap();
    let parts = parts_with(&disk, Arc::new(DiskThread::start("log").unwrap()));
    let fault = parts.fault.clone();
    let mut store = LogStore::open(parts).unwrap().store;
    let reader = store.reader();
    let mut tasks = tokio::task::JoinSet::new();
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    tasks.spawn(async move {
        let mut most = 0;
        while stopped.try_recv() == Err(tokio::sync::oneshot::error::TryRecvError::Empty) {
            let read = reader.read(0, u64::MAX).unwrap();
            let terms: Vec<_> = read.iter().map(|e| e.log_id.committed_leader_id().term).collect();
            assert!(terms.is_sorted(), "never a later leader's entry before an earlier one's");
            most = most.max(read.len());
            tokio::task::yield_now().await;
        }
        assert!(most > 0);
    });
    let (mut next, mut purged) = (0, 0);
    for term in 1..200 {
        // 40 KiB at a time, so that what is durable leaves memory again and again.
        let entries = (next..next + 300).map(|index| revoke(term, index, 5)).collect();
        drop(submit(&store, entries).await.unwrap());
        next += 300;
        if term % 3 == 0 {
            next -= 450;
            let last = store.reader().read(next - 1, next).unwrap();
            store.truncate_after(last.first().map(|entry| entry.log_id)).await.unwrap();
        }
        if term % 5 == 0 {
            let first = store.reader().read(purged + 400, purged + 401).unwrap();
            store.purge(first.first().unwrap().log_id).await.unwrap();
            purged += 400;
        }
    }
    stop.send(()).unwrap();
    tasks.join_all().await;
    assert_eq!(fault.current(), None);
    store.close().await.unwrap();
    disk.lose_unsynced();
    let read = reopen(&disk).unwrap().reader().read(0, u64::MAX).unwrap();
    assert_eq!(read.len() as u64, next - purged - 1);
}
