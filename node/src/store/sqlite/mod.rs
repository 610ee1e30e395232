//! The region's database in one SQLite file: write-ahead log, every save synced to the disk, one
//! connection that writes and a few that read.
//!
//! Writers begin with `BEGIN IMMEDIATE`: a read that becomes a write would fail at once instead of
//! waiting for its turn. A lock on a file of its own keeps a second process from writing.

mod append;
mod chunk;
mod open;
mod outbox;

use exequatur_federation::{audit::Frontier, time::UnixTime};
use futures_util::future::BoxFuture;
use sqlx::{SqlitePool, error::DatabaseError};

use super::{
    Append, Appended, Claim, Erasure, LogId, MAINTENANCE_ROWS, OutboxKey, OutboxState, Outstanding,
    PAGE_RECORDS_MAX, Purged, REVOCATION_PAGE, Revocation, STATUS_LISTS_MAX, StatusList, Store,
    StoreError, StoredRecord, StoredRow, column, error::without_code,
};
pub(super) use open::{create, open};

/// See the module.
pub(super) struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    log: LogId,
    epoch: i64,
    statements: append::Statements,
    /// Held until the store is dropped; `None` for a reader.
    _lock: Option<open::FileLock>,
}

impl Store for SqliteStore {
    fn append<'a>(
        &'a self,
        base: &'a Frontier,
        batch: Vec<Append>,
    ) -> BoxFuture<'a, Result<Appended, StoreError>> {
        Box::pin(self.append_batch(base, batch))
    }

    fn audit_tail(&self) -> BoxFuture<'_, Result<Frontier, StoreError>> {
        Box::pin(async move {
            // Read where it is written: after a batch whose outcome is unknown, this waits for it.
            let (size, frontier): (i64, Vec<u8>) =
                sqlx::query_as("SELECT size, frontier FROM audit_log WHERE log = ?1")
                    .bind(self.log.0.cast_signed())
                    .fetch_one(&self.writer)
                    .await
                    .map_err(classify)?;
            column::to_frontier(size, &frontier)
        })
    }

    fn audit_page(
        &self,
        from: u64,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<StoredRecord>, StoreError>> {
        Box::pin(async move {
            let rows = sqlx::query_as(
                "SELECT seq, recorded_at, record, salt, personal, personal_salt, personal_digest, \
                 leaf FROM audit_record WHERE log = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3",
            )
            .bind(self.log.0.cast_signed())
            .bind(column::from_seq(from))
            .bind(limit.min(PAGE_RECORDS_MAX))
            .fetch_all(&self.readers)
            .await
            .map_err(classify)?;
            rows.into_iter().map(column::to_record).collect()
        })
    }

    fn erase_personal(&self, which: Erasure) -> BoxFuture<'_, Result<u64, StoreError>> {
        const RECORDS: &str = "UPDATE audit_record SET personal = NULL, personal_salt = NULL \
             WHERE rowid IN (SELECT rowid FROM audit_record WHERE log = ?1 AND seq >= ?2 \
             AND seq < ?3 AND personal IS NOT NULL LIMIT ?4)";
        const BEFORE: &str = "UPDATE audit_record SET personal = NULL, personal_salt = NULL \
             WHERE rowid IN (SELECT rowid FROM audit_record WHERE log = ?1 AND recorded_at >= ?2 \
             AND recorded_at < ?3 AND personal IS NOT NULL LIMIT ?4)";
        Box::pin(async move {
            let (statement, from, to) = match which {
                Erasure::Records(range) => {
                    (RECORDS, column::from_seq(range.start), column::from_seq(range.end))
                }
                Erasure::RecordedBefore(time) => (BEFORE, 0, column::from_time(time)),
            };
            let mut erased = 0;
            loop {
                let done = sqlx::query(statement)
                    .bind(self.log.0.cast_signed())
                    .bind(from)
                    .bind(to)
                    .bind(MAINTENANCE_ROWS)
                    .execute(&self.writer)
                    .await
                    .map_err(classify)?
                    .rows_affected();
                erased += done;
                if done < u64::from(MAINTENANCE_ROWS) {
                    return Ok(erased);
                }
            }
        })
    }

    fn revocations(
        &self,
        after: Option<(u64, u32)>,
        now: UnixTime,
    ) -> BoxFuture<'_, Result<Vec<Revocation>, StoreError>> {
        Box::pin(async move {
            let (list_id, index) = column::from_cursor(after);
            let rows = sqlx::query_as(
                "SELECT list_id, list_index, expires_at FROM revocation \
                 WHERE (list_id, list_index) > (?1, ?2) AND expires_at >= ?3 \
                 ORDER BY list_id, list_index LIMIT ?4",
            )
            .bind(list_id)
            .bind(index)
            .bind(column::from_time(now))
            .bind(REVOCATION_PAGE)
            .fetch_all(&self.readers)
            .await
            .map_err(classify)?;
            rows.into_iter().map(column::to_revocation).collect()
        })
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn outbox(&self, which: Outstanding) -> BoxFuture<'_, Result<Vec<StoredRow>, StoreError>> {
        Box::pin(self.outbox_page(which))
    }

    fn outbox_rows(
        &self,
        keys: Vec<OutboxKey>,
    ) -> BoxFuture<'_, Result<Vec<StoredRow>, StoreError>> {
        Box::pin(self.rows_of(keys))
    }

    fn claim_outbox(&self, claim: Claim) -> BoxFuture<'_, Result<Vec<StoredRow>, StoreError>> {
        Box::pin(self.claim(claim))
    }

    fn settle_outbox(
        &self,
        settled: Vec<(OutboxKey, OutboxState)>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.settle(settled))
    }

    fn purge(&self, now: UnixTime) -> BoxFuture<'_, Result<Purged, StoreError>> {
        Box::pin(async move {
            let replays = self
                .purge_by(
                    "DELETE FROM replay WHERE key IN \
                     (SELECT key FROM replay WHERE expires_at < ?1 LIMIT ?2)",
                    now,
                )
                .await?;
            let revocations = self
                .purge_by(
                    "DELETE FROM revocation WHERE (list_id, list_index) IN \
                     (SELECT list_id, list_index FROM revocation WHERE expires_at < ?1 LIMIT ?2)",
                    now,
                )
                .await?;
            let outbox = self
                .purge_by(
                    "DELETE FROM outbox WHERE (receipt, position) IN \
                     (SELECT receipt, position FROM outbox WHERE expires_at < ?1 LIMIT ?2)",
                    now,
                )
                .await?;
            Ok(Purged { replays, revocations, outbox })
        })
    }

    fn draw_status_list(&self, list: StatusList) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            let done = sqlx::query(
                "INSERT INTO status_list (list_id, drawn_at, used_at, decoy_seed) \
                 VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            )
            .bind(list.list_id.cast_signed())
            .bind(column::from_time(list.drawn_at))
            .bind(column::from_time(list.used_at))
            .bind(column::from_seed(list.decoy_seed))
            .execute(&self.writer)
            .await
            .map_err(classify)?;
            Ok(done.rows_affected() == 1)
        })
    }

    fn use_status_list(
        &self,
        list_id: u64,
        now: UnixTime,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            sqlx::query("UPDATE status_list SET used_at = max(used_at, ?2) WHERE list_id = ?1")
                .bind(list_id.cast_signed())
                .bind(column::from_time(now))
                .execute(&self.writer)
                .await
                .map_err(classify)?;
            Ok(())
        })
    }

    fn status_lists(&self, since: UnixTime) -> BoxFuture<'_, Result<Vec<StatusList>, StoreError>> {
        Box::pin(async move {
            let rows = sqlx::query_as(
                "SELECT list_id, drawn_at, used_at, decoy_seed FROM status_list \
                 WHERE used_at >= ?1 ORDER BY drawn_at DESC, list_id LIMIT ?2",
            )
            .bind(column::from_time(since))
            .bind(STATUS_LISTS_MAX)
            .fetch_all(&self.readers)
            .await
            .map_err(classify)?;
            rows.into_iter().map(column::to_status_list).collect()
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.readers.close().await;
            self.writer.close().await;
        })
    }
}

impl SqliteStore {
    async fn purge_by(&self, statement: &'static str, now: UnixTime) -> Result<u64, StoreError> {
        let mut purged = 0;
        loop {
            let done = sqlx::query(statement)
                .bind(column::from_time(now))
                .bind(MAINTENANCE_ROWS)
                .execute(&self.writer)
                .await
                .map_err(classify)?
                .rows_affected();
            purged += done;
            if done < u64::from(MAINTENANCE_ROWS) {
                return Ok(purged);
            }
        }
    }
}

/// The meaning of SQLite's result codes; the low byte of an extended code is the primary one.
#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn classify(error: sqlx::Error) -> StoreError {
    const FSYNC: u32 = 1_034;
    const DIR_FSYNC: u32 = 1_290;
    let Some(code) = error.as_database_error().and_then(DatabaseError::code) else {
        return without_code(&error);
    };
    let code = code.into_owned();
    let extended: u32 = code.parse().unwrap_or_default();
    match (extended, extended & 0xff) {
        (FSYNC | DIR_FSYNC, _) => StoreError::NotDurable { code },
        (_, 13) => StoreError::Full,
        (_, 11) => StoreError::damaged("SQLite finds its file malformed"),
        (_, 26) => StoreError::damaged("the file is no SQLite database"),
        // Busy, locked, out of memory, read only, interrupted, input or output, cannot open.
        (_, 5..=10 | 14) => StoreError::Unavailable { code },
        _ => StoreError::Refused { code },
    }
}

#[cfg(test)]
mod tests {
    use exequatur_federation::{
        audit::{Salts, seal},
        region::RegionId,
    };

    use super::*;
    use crate::store::{Access, AppendOutcome, Binding, LogId};

    fn large(n: u8) -> Append {
        let salts = Salts { record: [n; 32], personal: [n; 32] };
        Append {
            record: seal(vec![n; 20_000], None, &salts),
            recorded_at: UnixTime::from_seconds(1),
            replays: Vec::new(),
            revocations: Vec::new(),
            outbox: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_full_database_saves_nothing_and_recovers_when_there_is_space() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("region.db");
        let region = RegionId::new("eu-central").unwrap();
        let binding = Binding { region, log: LogId(1) };
        create(&path, &binding).await.unwrap();
        let store = open(&path, &binding, Access::Write).await.unwrap();
        let limit = |pages: &'static str| sqlx::query(pages).execute(&store.writer);
        limit("PRAGMA max_page_count = 40").await.unwrap();

        let mut saved = 0;
        let base = loop {
            let base = store.audit_tail().await.unwrap();
            match store.append(&base, vec![large(1)]).await {
                Ok(_) => saved += 1,
                Err(error) => {
                    assert_eq!(error, StoreError::Full);
                    break base;
                }
            }
        };
        assert!(saved > 0);
        // The limit is the connection's, and a failed append gives its connection up.
        assert_eq!(store.audit_tail().await.unwrap(), base);
        assert_eq!(store.audit_page(saved, 10).await.unwrap(), []);
        limit("PRAGMA max_page_count = 40").await.unwrap();
        assert_eq!(store.append(&base, vec![large(2)]).await.unwrap_err(), StoreError::Full);

        // Nor is it called well by an empty append while it is full.
        limit("PRAGMA max_page_count = 40").await.unwrap();
        assert_eq!(store.append(&base, Vec::new()).await.unwrap_err(), StoreError::Full);

        store.append(&base, Vec::new()).await.unwrap();
        let appended = store.append(&base, vec![large(3)]).await.unwrap();
        assert_eq!(appended.outcomes, [AppendOutcome::Saved { seq: saved }]);
    }

    #[tokio::test]
    async fn every_save_is_synced_and_what_is_erased_is_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("region.db");
        let region = RegionId::new("eu-central").unwrap();
        let binding = Binding { region, log: LogId(1) };
        create(&path, &binding).await.unwrap();
        let store = open(&path, &binding, Access::Write).await.unwrap();
        let pragma = async |query: &'static str| {
            sqlx::query_scalar::<_, i64>(query).fetch_one(&store.writer).await.unwrap()
        };
        assert_eq!(pragma("PRAGMA synchronous").await, 2);
        assert_eq!(pragma("PRAGMA secure_delete").await, 1);
        let mode: String =
            sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&store.writer).await.unwrap();
        assert_eq!(mode, "wal");
    }
}
