//! The outbox: what is read at a start, leased, and noted when it is decided. Nodes of a region share
//! it, and never wait for each other's rows.

use super::{PostgresStore, classify};
use crate::store::{
    Claim, OUTBOX_PAGE, OutboxKey, OutboxState, Outstanding, StoreError, StoredRow, column,
};

impl PostgresStore {
    pub(super) async fn outbox_page(
        &self,
        which: Outstanding,
    ) -> Result<Vec<StoredRow>, StoreError> {
        // Apart, so that the one that is asked for often finds its index.
        const OPEN: &str = "SELECT receipt, position, proposal, state, decided_at FROM outbox \
             WHERE state <> 1 AND (receipt, position) > ($1, $2) AND expires_at >= $3 \
             ORDER BY receipt, position LIMIT $4";
        const BEYOND: &str = "SELECT receipt, position, proposal, state, decided_at FROM outbox \
             WHERE (state <> 1 OR decided_at > $5) AND (receipt, position) > ($1, $2) \
             AND expires_at >= $3 ORDER BY receipt, position LIMIT $4";
        let (receipt, position) = column::from_outbox_cursor(which.after);
        let query = sqlx::query_as(if which.beyond.is_some() { BEYOND } else { OPEN })
            .bind(receipt)
            .bind(position)
            .bind(column::from_time(which.now))
            .bind(i64::from(OUTBOX_PAGE));
        let query = match which.beyond {
            Some(index) => query.bind(column::from_seq(index)),
            None => query,
        };
        let rows = query.fetch_all(&self.pool).await.map_err(classify)?;
        rows.into_iter().map(column::to_outbox).collect()
    }

    pub(super) async fn rows_of(&self, keys: Vec<OutboxKey>) -> Result<Vec<StoredRow>, StoreError> {
        let receipts: Vec<Vec<u8>> = keys.iter().map(|key| key.receipt.to_vec()).collect();
        let positions: Vec<i64> = keys.iter().map(|key| i64::from(key.position)).collect();
        let rows = sqlx::query_as(
            "SELECT receipt, position, proposal, state, decided_at FROM outbox \
             WHERE (receipt, position) IN (SELECT * FROM UNNEST($1::bytea[], $2::bigint[]))",
        )
        .bind(receipts)
        .bind(positions)
        .fetch_all(&self.pool)
        .await
        .map_err(classify)?;
        rows.into_iter().map(column::to_outbox).collect()
    }

    pub(super) async fn claim(&self, claim: Claim) -> Result<Vec<StoredRow>, StoreError> {
        let rows = sqlx::query_as(
            "UPDATE outbox SET lease_holder = $1, lease_until = $2 WHERE (receipt, position) IN \
             (SELECT receipt, position FROM outbox WHERE state <> 1 AND state = 0 \
             AND expires_at >= $3 AND (lease_until < $3 OR ($4 AND lease_holder = $1)) \
             ORDER BY lease_until LIMIT $5 FOR UPDATE SKIP LOCKED) \
             RETURNING receipt, position, proposal, state, decided_at",
        )
        .bind(claim.lease.holder.cast_signed())
        .bind(column::from_time(claim.lease.until))
        .bind(column::from_time(claim.now))
        .bind(claim.own)
        .bind(i64::from(claim.limit))
        .fetch_all(&self.pool)
        .await
        .map_err(classify)?;
        rows.into_iter().map(column::to_outbox).collect()
    }

    pub(super) async fn settle(
        &self,
        settled: Vec<(OutboxKey, OutboxState)>,
    ) -> Result<(), StoreError> {
        let mut settled = settled;
        // In the order of the keys, so that two nodes never wait for each other in a circle.
        settled.sort_unstable_by_key(|(key, _)| *key);
        let receipts: Vec<Vec<u8>> = settled.iter().map(|(key, _)| key.receipt.to_vec()).collect();
        let positions: Vec<i64> = settled.iter().map(|(key, _)| i64::from(key.position)).collect();
        let (states, indexes): (Vec<i64>, Vec<Option<i64>>) = settled
            .iter()
            .map(|(_, state)| state.columns())
            .map(|(state, index)| (state, index.map(column::from_seq)))
            .unzip();
        sqlx::query(
            "UPDATE outbox SET state = done.state, decided_at = done.decided_at \
             FROM UNNEST($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[]) \
             AS done (receipt, position, state, decided_at) \
             WHERE outbox.receipt = done.receipt AND outbox.position = done.position \
             AND outbox.state = 0",
        )
        .bind(receipts)
        .bind(positions)
        .bind(states)
        .bind(indexes)
        .execute(&self.pool)
        .await
        .map_err(classify)?;
        Ok(())
    }
}
