//! The outbox: saved with a record or not at all, read at a start, leased by one node at a time.

use exequatur_federation::{
    ledger::{Command, Header, Mode, Proposal, Revoke, StatusTarget, Target},
    membership::NodeId,
    region::RegionNumber,
    revocation::ListId,
};

use super::fixture::{Fixture, append, at, item, once};
use crate::store::{
    Append, AppendOutcome, Claim, Lease, OUTBOX_PAGE, OutboxKey, OutboxRow, OutboxState,
    Outstanding, Store, StoredRow,
};

const HERE: u64 = u64::MAX - 1;
const THERE: u64 = 7;

fn key(receipt: u8, position: u32) -> OutboxKey {
    OutboxKey { receipt: [receipt; 16], position }
}

fn revoke(index: u32, expires_at: u64) -> Revoke {
    Revoke {
        owner: RegionNumber::new(1).unwrap(),
        target: Target::Status(StatusTarget { list: ListId::new(5), index }),
        mode: Mode::Cutoff,
        expires_at: at(expires_at),
    }
}

/// A row that this node leases up to second 100, and that expires at second 9,000.
fn row(key: OutboxKey) -> OutboxRow {
    row_until(key, 9_000)
}

fn row_until(key: OutboxKey, expires_at: u64) -> OutboxRow {
    let header = Header {
        region: RegionNumber::new(1).unwrap(),
        node: NodeId::new(HERE).unwrap(),
        serial: 1,
        level: 1,
        proposed_at: at(50),
    };
    let command = Command::Revoke(revoke(key.position, expires_at));
    let proposal = Proposal::unsigned(header, command).unwrap();
    OutboxRow::new(key, proposal, Lease { holder: HERE, until: at(100) }).unwrap()
}

fn leaving(n: u32, rows: impl IntoIterator<Item = OutboxRow>) -> Append {
    Append { outbox: rows.into_iter().collect(), ..item(n) }
}

const fn outstanding(now: u64) -> Outstanding {
    Outstanding { after: None, beyond: None, now: at(now) }
}

async fn read(store: &dyn Store, which: Outstanding) -> Vec<(OutboxKey, OutboxState)> {
    let rows = store.outbox(which).await.unwrap();
    rows.into_iter().map(|row| (row.key, row.state)).collect()
}

async fn claim(store: &dyn Store, holder: u64, now: u64, own: bool) -> Vec<OutboxKey> {
    let lease = Lease { holder, until: at(now + 10) };
    let claimed = store.claim_outbox(Claim { lease, now: at(now), own, limit: 100 }).await.unwrap();
    let mut keys: Vec<OutboxKey> = claimed.into_iter().map(|row| row.key).collect();
    keys.sort_unstable();
    keys
}

pub(super) async fn a_row_is_saved_with_its_record_or_not_at_all(fixture: &Fixture) {
    let store = fixture.created().await;
    append(&*store, vec![once(0, &[1])]).await;
    let mut lost = once(1, &[1]);
    lost.outbox = vec![row(key(1, 0))];
    let batch = vec![lost, leaving(2, [row(key(2, 0)), row(key(2, 1))])];
    let outcomes = append(&*store, batch).await;
    assert_eq!(outcomes, [AppendOutcome::Replayed, AppendOutcome::Saved { seq: 1 }]);
    let expected = |position| StoredRow {
        key: key(2, position),
        revoke: revoke(position, 9_000),
        state: OutboxState::Pending,
    };
    assert_eq!(store.outbox(outstanding(0)).await.unwrap(), [expected(0), expected(1)]);
    let asked = vec![key(2, 1), key(1, 0)];
    assert_eq!(store.outbox_rows(asked).await.unwrap(), [expected(1)]);
}

pub(super) async fn rows_survive_reopening_and_are_read_page_by_page(fixture: &Fixture) {
    let store = fixture.created().await;
    let many = OUTBOX_PAGE + 100;
    append(&*store, vec![leaving(0, (0..many).map(|n| row(key(3, n))))]).await;
    store.close().await;
    drop(store);
    let store = fixture.open().await.unwrap();
    let (mut which, mut seen) = (outstanding(0), Vec::new());
    loop {
        let page = store.outbox(which).await.unwrap();
        let Some(last) = page.last() else { break };
        which.after = Some(last.key);
        seen.extend(page.iter().map(|row| row.key.position));
    }
    assert_eq!(seen, (0..many).collect::<Vec<_>>());
}

pub(super) async fn what_is_decided_stays_so_and_is_left_out_or_told(fixture: &Fixture) {
    let store = fixture.created().await;
    append(&*store, vec![leaving(0, (0..4).map(|n| row(key(n, 0))))]).await;
    let settled = vec![
        (key(0, 0), OutboxState::Committed { index: 7 }),
        (key(1, 0), OutboxState::Committed { index: 8 }),
        (key(2, 0), OutboxState::Rejected { index: 9 }),
        (key(9, 9), OutboxState::Committed { index: 1 }),
    ];
    store.settle_outbox(settled).await.unwrap();
    // Whoever comes second changes nothing.
    let late = vec![
        (key(0, 0), OutboxState::Rejected { index: 30 }),
        (key(2, 0), OutboxState::Committed { index: 30 }),
    ];
    store.settle_outbox(late).await.unwrap();
    let open = [(key(2, 0), OutboxState::Rejected { index: 9 }), (key(3, 0), OutboxState::Pending)];
    assert_eq!(read(&*store, outstanding(0)).await, open);
    let beyond = |index| Outstanding { beyond: Some(index), ..outstanding(0) };
    assert_eq!(read(&*store, beyond(8)).await, open);
    let told = read(&*store, beyond(7)).await;
    assert_eq!(told[0], (key(1, 0), OutboxState::Committed { index: 8 }));
    assert_eq!(told[1..], open);
    assert_eq!(claim(&*store, HERE, 500, true).await, [key(3, 0)], "only what is pending is sent");
}

pub(super) async fn one_node_at_a_time_sends_a_row(fixture: &Fixture) {
    let store = fixture.created().await;
    append(&*store, vec![leaving(0, (0..3).map(|n| row(key(n, 0))))]).await;
    let all = [key(0, 0), key(1, 0), key(2, 0)];
    // The lease of this node ends with second 100.
    assert!(claim(&*store, THERE, 100, false).await.is_empty());
    assert!(claim(&*store, THERE, 100, true).await.is_empty());
    assert!(claim(&*store, HERE, 100, false).await.is_empty());
    assert_eq!(claim(&*store, HERE, 100, true).await, all, "as after a start");
    assert_eq!(claim(&*store, THERE, 111, false).await, all, "of a node that is gone");
    assert!(claim(&*store, HERE, 111, true).await.is_empty());
    let lease = Lease { holder: HERE, until: at(500) };
    let few = Claim { lease, now: at(200), own: false, limit: 2 };
    assert_eq!(store.claim_outbox(few).await.unwrap().len(), 2);
}

pub(super) async fn of_nodes_that_claim_at_once_each_row_has_one(fixture: &Fixture) {
    let store = fixture.created().await;
    append(&*store, vec![leaving(0, (0..40).map(|n| row(key(5, n))))]).await;
    let mut running = tokio::task::JoinSet::new();
    for holder in 0..8 {
        let store = store.clone();
        running.spawn(async move { claim(&*store, holder, 200, false).await });
    }
    let mut claimed: Vec<OutboxKey> = running.join_all().await.concat();
    claimed.sort_unstable();
    // A row that another was just taking is left for later, and never taken twice.
    claimed.extend(claim(&*store, 99, 200, false).await);
    claimed.sort_unstable();
    assert_eq!(claimed, (0..40).map(|n| key(5, n)).collect::<Vec<_>>());
}

pub(super) async fn an_expired_row_is_neither_read_nor_sent_and_then_deleted(fixture: &Fixture) {
    let store = fixture.created().await;
    let rows = [row_until(key(1, 0), 500), row_until(key(2, 0), 600)];
    append(&*store, vec![leaving(0, rows)]).await;
    assert_eq!(read(&*store, outstanding(500)).await.len(), 2);
    assert_eq!(store.purge(at(500)).await.unwrap().outbox, 0);
    assert_eq!(read(&*store, outstanding(501)).await, [(key(2, 0), OutboxState::Pending)]);
    assert_eq!(claim(&*store, HERE, 501, true).await, [key(2, 0)]);
    assert_eq!(store.purge(at(501)).await.unwrap().outbox, 1);
    assert!(store.outbox_rows(vec![key(1, 0)]).await.unwrap().is_empty());
}
