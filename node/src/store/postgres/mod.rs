//! The region's database on a PostgreSQL server, which several nodes of the region may share:
//! replay entries, revocations and status lists are common, each node has its own audit log.
//!
//! Every statement and every lock has a deadline; a connection that broke is found out before it
//! is used again. Rows are bound as arrays, so a batch of any size is the same few statements.

mod append;
mod open;
mod outbox;

use exequatur_federation::{audit::Frontier, time::UnixTime};
use futures_util::future::BoxFuture;
use sqlx::{PgPool, error::DatabaseError};

use super::{
    Append, Appended, Claim, Erasure, LogId, MAINTENANCE_ROWS, OutboxKey, OutboxState, Outstanding,
    PAGE_RECORDS_MAX, Purged, REVOCATION_PAGE, Revocation, STATUS_LISTS_MAX, StatusList, Store,
    StoreError, StoredRecord, StoredRow, column, error::without_code,
};
pub(super) use open::{create, open};

/// See the module.
pub(super) struct PostgresStore {
    pool: PgPool,
    log: LogId,
    epoch: i64,
}

impl Store for PostgresStore {
    fn append<'a>(
        &'a self,
        base: &'a Frontier,
        batch: Vec<Append>,
    ) -> BoxFuture<'a, Result<Appended, StoreError>> {
        Box::pin(self.append_batch(base, batch))
    }

    fn audit_tail(&self) -> BoxFuture<'_, Result<Frontier, StoreError>> {
        Box::pin(async move {
            let (size, frontier): (i64, Vec<u8>) =
                sqlx::query_as("SELECT size, frontier FROM audit_log WHERE log = $1")
                    .bind(self.log.0.cast_signed())
                    .fetch_one(&self.pool)
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
                 leaf FROM audit_record WHERE log = $1 AND seq >= $2 ORDER BY seq LIMIT $3",
            )
            .bind(self.log.0.cast_signed())
            .bind(column::from_seq(from))
            .bind(i64::from(limit.min(PAGE_RECORDS_MAX)))
            .fetch_all(&self.pool)
            .await
            .map_err(classify)?;
            rows.into_iter().map(column::to_record).collect()
        })
    }

    fn erase_personal(&self, which: Erasure) -> BoxFuture<'_, Result<u64, StoreError>> {
        const RECORDS: &str = "UPDATE audit_record SET personal = NULL, personal_salt = NULL \
             WHERE log = $1 AND seq IN (SELECT seq FROM audit_record WHERE log = $1 \
             AND seq >= $2 AND seq < $3 AND personal IS NOT NULL LIMIT $4)";
        const BEFORE: &str = "UPDATE audit_record SET personal = NULL, personal_salt = NULL \
             WHERE log = $1 AND seq IN (SELECT seq FROM audit_record WHERE log = $1 \
             AND recorded_at >= $2 AND recorded_at < $3 AND personal IS NOT NULL LIMIT $4)";
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
                    .bind(i64::from(MAINTENANCE_ROWS))
                    .execute(&self.pool)
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
                 WHERE (list_id, list_index) > ($1, $2) AND expires_at >= $3 \
                 ORDER BY list_id, list_index LIMIT $4",
            )
            .bind(list_id)
            .bind(index)
            .bind(column::from_time(now))
            .bind(i64::from(REVOCATION_PAGE))
            .fetch_all(&self.pool)
            .await
            .map_err(classify)?;
            rows.into_iter().map(column::to_revocation).collect()
        })
    }

    fn is_shared(&self) -> bool {
        true
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
        // Rows that another node is purging or renewing at this moment are left for later.
        Box::pin(async move {
            let replays = self
                .purge_by(
                    "DELETE FROM replay WHERE key IN (SELECT key FROM replay \
                     WHERE expires_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
                    now,
                )
                .await?;
            let revocations = self
                .purge_by(
                    "DELETE FROM revocation WHERE (list_id, list_index) IN \
                     (SELECT list_id, list_index FROM revocation \
                     WHERE expires_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
                    now,
                )
                .await?;
            let outbox = self
                .purge_by(
                    "DELETE FROM outbox WHERE (receipt, position) IN \
                     (SELECT receipt, position FROM outbox \
                     WHERE expires_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
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
                 VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            )
            .bind(list.list_id.cast_signed())
            .bind(column::from_time(list.drawn_at))
            .bind(column::from_time(list.used_at))
            .bind(column::from_seed(list.decoy_seed))
            .execute(&self.pool)
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
            sqlx::query(
                "UPDATE status_list SET used_at = greatest(used_at, $2) WHERE list_id = $1",
            )
            .bind(list_id.cast_signed())
            .bind(column::from_time(now))
            .execute(&self.pool)
            .await
            .map_err(classify)?;
            Ok(())
        })
    }

    fn status_lists(&self, since: UnixTime) -> BoxFuture<'_, Result<Vec<StatusList>, StoreError>> {
        Box::pin(async move {
            let rows = sqlx::query_as(
                "SELECT list_id, drawn_at, used_at, decoy_seed FROM status_list \
                 WHERE used_at >= $1 ORDER BY drawn_at DESC, list_id LIMIT $2",
            )
            .bind(column::from_time(since))
            .bind(i64::from(STATUS_LISTS_MAX))
            .fetch_all(&self.pool)
            .await
            .map_err(classify)?;
            rows.into_iter().map(column::to_status_list).collect()
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.pool.close())
    }
}

impl PostgresStore {
    async fn purge_by(&self, statement: &'static str, now: UnixTime) -> Result<u64, StoreError> {
        let mut purged = 0;
        loop {
            let done = sqlx::query(statement)
                .bind(column::from_time(now))
                .bind(i64::from(MAINTENANCE_ROWS))
                .execute(&self.pool)
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

/// The meaning of SQLSTATE codes; the first two characters are the class.
#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn classify(error: sqlx::Error) -> StoreError {
    let Some(code) = error.as_database_error().and_then(DatabaseError::code) else {
        return without_code(&error);
    };
    let code = code.into_owned();
    match (code.as_str(), code.get(..2).unwrap_or_default()) {
        ("53100", _) => StoreError::Full,
        ("XX001" | "XX002", _) => StoreError::damaged("PostgreSQL finds a page or index corrupted"),
        // A lock that was not given in time, and a server that has become a read-only standby.
        ("55P03" | "25006", _) => StoreError::Unavailable { code },
        // Connection, authorization, no such database, rolled back, resources, operator, system.
        (_, "08" | "28" | "3D" | "40" | "53" | "57" | "58") => StoreError::Unavailable { code },
        _ => StoreError::Refused { code },
    }
}
