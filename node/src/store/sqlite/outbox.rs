//! The outbox: what is read at a start, leased, and noted when it is decided.

use sqlx::{AssertSqlSafe, Connection};

use super::{SqliteStore, classify};
use crate::store::{
    Claim, OUTBOX_PAGE, OutboxKey, OutboxState, Outstanding, StoreError, StoredRow, column,
};

impl SqliteStore {
    pub(super) async fn outbox_page(
        &self,
        which: Outstanding,
    ) -> Result<Vec<StoredRow>, StoreError> {
        // Apart, so that the one that is asked for often finds its index.
        const OPEN: &str = "SELECT receipt, position, proposal, state, decided_at FROM outbox \
             WHERE state <> 1 AND (receipt, position) > (?1, ?2) AND expires_at >= ?3 \
             ORDER BY receipt, position LIMIT ?4";
        const BEYOND: &str = "SELECT receipt, position, proposal, state, decided_at FROM outbox \
             WHERE (state <> 1 OR decided_at > ?5) AND (receipt, position) > (?1, ?2) \
             AND expires_at >= ?3 ORDER BY receipt, position LIMIT ?4";
        let (receipt, position) = column::from_outbox_cursor(which.after);
        let query = sqlx::query_as(if which.beyond.is_some() { BEYOND } else { OPEN })
            .bind(receipt)
            .bind(position)
            .bind(column::from_time(which.now))
            .bind(OUTBOX_PAGE);
        let query = match which.beyond {
            Some(index) => query.bind(column::from_seq(index)),
            None => query,
        };
        let rows = query.fetch_all(&self.readers).await.map_err(classify)?;
        rows.into_iter().map(column::to_outbox).collect()
    }

    pub(super) async fn rows_of(&self, keys: Vec<OutboxKey>) -> Result<Vec<StoredRow>, StoreError> {
        let mut rows = Vec::with_capacity(keys.len());
        for key in keys {
            let row = sqlx::query_as(
                "SELECT receipt, position, proposal, state, decided_at FROM outbox \
                 WHERE receipt = ?1 AND position = ?2",
            )
            .bind(key.receipt.to_vec())
            .bind(key.position)
            .fetch_optional(&self.readers)
            .await
            .map_err(classify)?;
            rows.extend(row.map(column::to_outbox).transpose()?);
        }
        Ok(rows)
    }

    pub(super) async fn claim(&self, claim: Claim) -> Result<Vec<StoredRow>, StoreError> {
        let rows = sqlx::query_as(
            "UPDATE outbox SET lease_holder = ?1, lease_until = ?2 WHERE (receipt, position) IN \
             (SELECT receipt, position FROM outbox WHERE state <> 1 AND state = 0 \
             AND expires_at >= ?3 AND (lease_until < ?3 OR (?4 AND lease_holder = ?1)) \
             ORDER BY lease_until LIMIT ?5) \
             RETURNING receipt, position, proposal, state, decided_at",
        )
        .bind(claim.lease.holder.cast_signed())
        .bind(column::from_time(claim.lease.until))
        .bind(column::from_time(claim.now))
        .bind(claim.own)
        .bind(claim.limit)
        .fetch_all(&self.writer)
        .await
        .map_err(classify)?;
        rows.into_iter().map(column::to_outbox).collect()
    }

    pub(super) async fn settle(
        &self,
        settled: Vec<(OutboxKey, OutboxState)>,
    ) -> Result<(), StoreError> {
        let mut connection = self.writer.acquire().await.map_err(classify)?;
        let mut tx = connection.begin_with("BEGIN IMMEDIATE").await.map_err(classify)?;
        let pieces = self.statements.settle.pieces(settled.len());
        let mut rows = settled.into_iter();
        for (size, text) in pieces {
            let mut query = sqlx::query(AssertSqlSafe(text));
            for (key, state) in rows.by_ref().take(size) {
                let (state, index) = state.columns();
                query = query
                    .bind(key.receipt.to_vec())
                    .bind(key.position)
                    .bind(state)
                    .bind(index.map(column::from_seq));
            }
            query.execute(&mut *tx).await.map_err(classify)?;
        }
        tx.commit().await.map_err(classify)
    }
}
