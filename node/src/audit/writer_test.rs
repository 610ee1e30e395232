//! The writer with a real database that fails when it is told to.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex},
    task::Poll,
};

use exequatur_federation::time::UnixTime;
use futures_util::future::join_all;

use super::{
    AuditItem, AuditLog, AuditWriter, BATCH_MAX, QUEUE_MAX, RECORD_BYTES_MAX, RecordError, Replay,
    Revocation, Revoked, Saved, Trouble, WriterStopped,
    faulty::{Fault, FaultyStore},
    open_log, verify,
};
use crate::{
    entropy::{Entropy, EntropyError, SystemEntropy},
    store::{Store, StoreError},
};

fn item(n: u32) -> AuditItem {
    AuditItem {
        record: format!(r#"{{"n":{n}}}"#).into_bytes(),
        personal: Some(b"alice".to_vec()),
        recorded_at: UnixTime::from_seconds(1),
        replays: Vec::new(),
        revocations: Vec::new(),
        outbox: Vec::new(),
    }
}

fn once(n: u32, key: u8) -> AuditItem {
    let replay = Replay { key: [key; 32], expires_at: UnixTime::from_seconds(99) };
    AuditItem { replays: vec![replay], ..item(n) }
}

async fn log(store: &Arc<FaultyStore>) -> (AuditLog, AuditWriter) {
    let store = Arc::clone(store) as Arc<dyn Store>;
    open_log(store, Arc::new(SystemEntropy::default())).await.unwrap()
}

/// Runs a test beside the writer; the writer must not end before it.
async fn beside(writer: AuditWriter, test: impl Future<Output = ()>) {
    tokio::select! {
        () = test => {}
        ended = writer.run() => panic!("the writer ended: {ended:?}"),
    }
}

async fn until_well(log: &AuditLog) {
    let mut watched = log.clone();
    while log.trouble().is_some() {
        assert!(watched.changed().await);
    }
}

/// Lets a future take one step.
async fn is_pending(future: &mut (impl Future + Unpin)) -> bool {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await.is_pending()
}

fn unavailable() -> StoreError {
    StoreError::Unavailable { code: "57P01".to_owned() }
}

#[tokio::test]
async fn concurrent_records_share_few_transactions() {
    let store = FaultyStore::new().await;
    let (log, writer) = log(&store).await;
    beside(writer, async {
        let saved = join_all((0..600).map(|n| log.record(item(n)))).await;
        let seqs: Vec<u64> = saved.into_iter().map(|saved| saved.unwrap().seq).collect();
        assert_eq!(seqs, (0..600).collect::<Vec<u64>>());
        assert_eq!(store.appends(), 600_usize.div_ceil(BATCH_MAX));
        let verified = verify(&*store).await.unwrap();
        assert_eq!(verified.head, log.head());
        assert_eq!(log.head().size, 600);
    })
    .await;
}

#[tokio::test]
async fn a_revocation_is_told_of_although_nobody_waits_for_it_any_more() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let telling = |writer: AuditWriter| {
        let told = Arc::clone(&told);
        writer.telling(Box::new(move |all: Vec<Revoked>| {
            let tokens = all.iter().flat_map(|revoked| &revoked.tokens);
            told.lock().unwrap().extend(tokens.map(|token| token.index));
        }))
    };
    let revoking = |n: u32| AuditItem {
        revocations: vec![Revocation {
            list_id: 1,
            index: n,
            expires_at: UnixTime::from_seconds(99),
        }],
        ..once(n, 1)
    };
    let store = FaultyStore::new().await;
    let (log, writer) = log(&store).await;
    beside(telling(writer), async {
        {
            let mut gone = Box::pin(log.record(revoking(7)));
            assert!(is_pending(&mut gone).await);
        }
        // What comes after it is saved after it.
        log.record(item(1)).await.unwrap();
        assert_eq!(*told.lock().unwrap(), [7]);
        assert_eq!(log.record(revoking(8)).await, Err(RecordError::Replayed));
        assert_eq!(*told.lock().unwrap(), [7], "what was not saved revokes nothing");
    })
    .await;
}

#[tokio::test]
async fn no_two_records_share_a_salt() {
    let store = FaultyStore::new().await;
    let (log, writer) = log(&store).await;
    beside(writer, async {
        join_all((0..50).map(|_| log.record(item(0)))).await;
        let page = store.audit_page(0, 50).await.unwrap();
        let mut salts: Vec<[u8; 32]> = page
            .iter()
            .flat_map(|r| [r.sealed.salt, r.sealed.personal.as_ref().unwrap().salt])
            .collect();
        salts.sort_unstable();
        salts.dedup();
        assert_eq!(salts.len(), 100);
    })
    .await;
}

#[tokio::test]
async fn a_replay_is_refused_alone() {
    let store = FaultyStore::new().await;
    let (log, writer) = log(&store).await;
    beside(writer, async {
        let batch = [once(0, 1), once(1, 1), item(2)];
        let outcomes = join_all(batch.map(|item| log.record(item))).await;
        assert_eq!(
            outcomes,
            [Ok(Saved { seq: 0 }), Err(RecordError::Replayed), Ok(Saved { seq: 1 })]
        );
        let again = log.record_authorization("token", once(3, 1)).await;
        assert_eq!(again.unwrap_err(), RecordError::Replayed);
        let recorded = log.record_authorization("token", item(4)).await.unwrap();
        assert_eq!((*recorded, recorded.seq()), ("token", 2));
        assert_eq!(recorded.into_inner(), "token");
    })
    .await;
}

#[tokio::test]
async fn a_full_database_refuses_at_once_says_why_and_recovers_by_itself() {
    let store = FaultyStore::new().await;
    let (log, writer) = log(&store).await;
    // The record, then two probes.
    store.expect(vec![Fault::Fails(StoreError::Full); 3]);
    beside(writer, async {
        assert_eq!(log.record(item(0)).await, Err(RecordError::Full));
        assert_eq!(log.trouble(), Some(Trouble::Store(StoreError::Full)));
        assert!(log.trouble().unwrap().to_string().contains("full"));
        let tried = store.appends();
        assert_eq!(log.record(item(1)).await, Err(RecordError::Full));
        assert_eq!(store.appends(), tried);
        until_well(&log).await;
        assert_eq!(log.record(item(2)).await, Ok(Saved { seq: 0 }));
        assert_eq!(verify(&*store).await.unwrap().head.size, 1);
    })
    .await;
}

#[tokio::test]
async fn after_a_save_whose_answer_was_lost_the_log_goes_on_behind_it() {
    let store = FaultyStore::new().await;
    let (log, writer) = log(&store).await;
    store.expect([Fault::Forgets(unavailable())]);
    beside(writer, async {
        assert_eq!(log.record(item(0)).await, Err(RecordError::Unavailable));
        until_well(&log).await;
        assert_eq!(log.head().size, 1);
        assert_eq!(log.record(item(1)).await, Ok(Saved { seq: 1 }));
        assert_eq!(verify(&*store).await.unwrap().head, log.head());
    })
    .await;
}

#[tokio::test]
async fn a_database_that_hangs_is_unavailable_within_the_deadline() {
    let store = FaultyStore::new().await;
    let (log, writer) = log(&store).await;
    store.expect([Fault::Hangs]);
    beside(writer, async {
        assert_eq!(log.record(item(0)).await, Err(RecordError::Unavailable));
        let mut watched = log.clone();
        while log.trouble().is_none() {
            assert!(watched.changed().await);
        }
        assert_eq!(log.trouble(), Some(Trouble::Deadline));
        until_well(&log).await;
        assert_eq!(log.record(item(1)).await, Ok(Saved { seq: 0 }));
    })
    .await;
}

#[tokio::test]
async fn a_fenced_writer_never_writes_again() {
    let store = FaultyStore::new().await;
    let (log, writer) = log(&store).await;
    store.expect([Fault::Fails(StoreError::Fenced)]);
    beside(writer, async {
        assert_eq!(log.record(item(0)).await, Err(RecordError::Fenced));
        assert_eq!(log.record(item(1)).await, Err(RecordError::Fenced));
        assert_eq!(store.appends(), 1);
        assert_eq!(log.trouble(), Some(Trouble::Store(StoreError::Fenced)));
    })
    .await;
}

#[tokio::test]
async fn a_disk_that_lost_data_ends_the_writer() {
    let store = FaultyStore::new().await;
    let (log, writer) = log(&store).await;
    let lost = StoreError::NotDurable { code: "1034".to_owned() };
    store.expect([Fault::Fails(lost.clone())]);
    let (recorded, ended) = tokio::join!(log.record(item(0)), writer.run());
    assert_eq!(recorded, Err(RecordError::Unavailable));
    assert!(matches!(ended, Err(WriterStopped { .. })), "{ended:?}");
    assert_eq!(log.record(item(1)).await, Err(RecordError::Unavailable));
    assert_eq!(log.trouble(), Some(Trouble::Store(lost)));
}

#[tokio::test]
async fn without_randomness_nothing_is_recorded() {
    struct NoEntropy;
    impl Entropy for NoEntropy {
        fn fill(&self, _: &mut [u8]) -> Result<(), EntropyError> {
            Err(EntropyError)
        }
    }
    let store = FaultyStore::new().await;
    let (log, writer) =
        open_log(Arc::clone(&store) as Arc<dyn Store>, Arc::new(NoEntropy)).await.unwrap();
    beside(writer, async {
        assert_eq!(log.record(item(0)).await, Err(RecordError::Unavailable));
        assert_eq!(store.audit_tail().await.unwrap().size(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_full_queue_is_overload() {
    let store = FaultyStore::new().await;
    let (log, writer) = log(&store).await;
    // The writer is not running yet, so what is sent stays in the queue.
    let mut waiting: Vec<_> =
        (0..).take(QUEUE_MAX).map(|n| Box::pin(log.record(item(n)))).collect();
    for one in &mut waiting {
        assert!(is_pending(one).await);
    }
    assert_eq!(log.record(item(0)).await, Err(RecordError::Overloaded));
    beside(writer, async {
        assert!(join_all(waiting).await.iter().all(Result::is_ok));
    })
    .await;
}

#[tokio::test]
async fn a_record_that_is_too_long_is_refused() {
    let store = FaultyStore::new().await;
    let (log, _writer) = log(&store).await;
    let mut long = item(0);
    long.record = vec![b' '; RECORD_BYTES_MAX - 4];
    let refused = log.record(long).await;
    assert_eq!(refused, Err(RecordError::TooLarge { got: RECORD_BYTES_MAX + 1 }));
}

#[tokio::test]
async fn a_writer_that_is_dropped_leaves_whole_records_only() {
    let store = FaultyStore::new().await;
    for steps in 0..12 {
        let (log, writer) = log(&store).await;
        let before = log.head().size;
        let mut running = Box::pin(writer.run());
        let mut waiting = Box::pin(join_all((0..20).map(|n| log.record(item(n)))));
        assert!(is_pending(&mut waiting).await);
        for _ in 0..steps {
            assert!(is_pending(&mut running).await);
            tokio::task::yield_now().await;
        }
        drop(running);
        assert_eq!(log.trouble(), Some(Trouble::Stopped));
        let size = verify(&*store).await.unwrap().head.size;
        assert!(size == before || size == before + 20, "{before} {size}");
    }
}

#[tokio::test]
async fn the_writer_ends_when_all_handles_are_gone_and_saves_what_they_sent() {
    let store = FaultyStore::new().await;
    let (log, writer) = log(&store).await;
    {
        let mut sent = Box::pin(log.record(item(0)));
        assert!(is_pending(&mut sent).await);
    }
    drop(log);
    assert_eq!(writer.run().await, Ok(()));
    assert_eq!(verify(&*store).await.unwrap().head.size, 1);
}
