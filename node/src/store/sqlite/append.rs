//! One batch, one transaction: replay entries, records, revocations, the tree.

use std::collections::{BTreeMap, BTreeSet};

use exequatur_federation::{audit::Frontier, time::UnixTime};
use sqlx::{AssertSqlSafe, Connection, Sqlite, SqliteConnection, Transaction};

use super::{SqliteStore, chunk::Chunked, classify};
use crate::store::{
    Append, Appended, OutboxKey, OutboxRow, OutboxState, PROOF_BYTES, StoreError, batch, column,
};

/// The statements of an append, in all sizes. `OR FAIL` spares SQLite the journal with which it
/// would undo one statement alone: any failure here undoes the whole transaction.
pub(super) struct Statements {
    known: Chunked,
    replays: Chunked,
    records: Chunked,
    revocations: Chunked,
    outbox: Chunked,
    pub(super) settle: Chunked,
}

impl Statements {
    pub(super) fn new() -> Self {
        Self {
            known: Chunked::new("SELECT key FROM replay WHERE key IN (VALUES", 1, ")"),
            replays: Chunked::new("INSERT OR FAIL INTO replay (key, expires_at) VALUES", 2, ""),
            records: Chunked::new(
                "INSERT OR FAIL INTO audit_record (log, seq, recorded_at, record, salt, personal, \
                 personal_salt, personal_digest, leaf) VALUES",
                9,
                "",
            ),
            revocations: Chunked::new(
                "INSERT INTO revocation (list_id, list_index, expires_at) VALUES",
                3,
                "ON CONFLICT (list_id, list_index) DO UPDATE SET \
                 expires_at = max(expires_at, excluded.expires_at)",
            ),
            outbox: Chunked::new(
                "INSERT OR FAIL INTO outbox (receipt, position, proposal, state, created_at, \
                 expires_at, lease_holder, lease_until) VALUES",
                8,
                "",
            ),
            settle: Chunked::new(
                "UPDATE outbox SET state = done.column3, decided_at = done.column4 FROM (VALUES",
                4,
                ") AS done WHERE outbox.receipt = done.column1 \
                 AND outbox.position = done.column2 AND outbox.state = 0",
            ),
        }
    }
}

impl SqliteStore {
    pub(super) async fn append_batch(
        &self,
        base: &Frontier,
        batch: Vec<Append>,
    ) -> Result<Appended, StoreError> {
        let mut connection = self.writer.acquire().await.map_err(classify)?;
        let result = self.append_on(&mut connection, base, batch).await;
        if !matches!(result, Ok(_) | Err(StoreError::Behind | StoreError::Fenced)) {
            // On a full disk SQLite rolls back by itself, and the driver goes on to count an open
            // transaction. Only a fresh connection is certain to begin anew.
            drop(connection.close().await);
        }
        result
    }

    async fn append_on(
        &self,
        connection: &mut SqliteConnection,
        base: &Frontier,
        batch: Vec<Append>,
    ) -> Result<Appended, StoreError> {
        let wanted = batch::replay_entries(&batch);
        let mut tx = connection.begin_with("BEGIN IMMEDIATE").await.map_err(classify)?;
        if batch.is_empty() {
            prove_space(&mut tx).await?;
        }
        let new = self.without_known(&mut tx, &wanted).await?;
        let admitted = batch::admit(base, batch, new.clone());
        let used = new.difference(&admitted.orphans).filter_map(|key| wanted.get_key_value(key));
        self.insert_replays(&mut tx, used.collect()).await?;
        self.insert_records(&mut tx, admitted.records).await?;
        self.insert_revocations(&mut tx, admitted.revocations).await?;
        self.insert_outbox(&mut tx, admitted.outbox).await?;
        self.advance(&mut tx, base, &admitted.appended.frontier).await?;
        tx.commit().await.map_err(classify)?;
        Ok(admitted.appended)
    }

    /// The keys that are not in the database. Nobody else can add one before this transaction ends.
    async fn without_known(
        &self,
        tx: &mut Transaction<'_, Sqlite>,
        wanted: &BTreeMap<[u8; 32], UnixTime>,
    ) -> Result<BTreeSet<[u8; 32]>, StoreError> {
        let mut new: BTreeSet<[u8; 32]> = wanted.keys().copied().collect();
        let mut rows = wanted.keys();
        for (size, text) in self.statements.known.pieces(wanted.len()) {
            let mut query = sqlx::query_scalar(AssertSqlSafe(text));
            for key in rows.by_ref().take(size) {
                query = query.bind(key.to_vec());
            }
            let known: Vec<Vec<u8>> = query.fetch_all(&mut **tx).await.map_err(classify)?;
            for key in known {
                new.remove(&column::to_digest(&key)?);
            }
        }
        Ok(new)
    }

    async fn insert_replays(
        &self,
        tx: &mut Transaction<'_, Sqlite>,
        entries: Vec<(&[u8; 32], &UnixTime)>,
    ) -> Result<(), StoreError> {
        let pieces = self.statements.replays.pieces(entries.len());
        let mut rows = entries.into_iter();
        for (size, text) in pieces {
            let mut query = sqlx::query(AssertSqlSafe(text));
            for (key, expires_at) in rows.by_ref().take(size) {
                query = query.bind(key.to_vec()).bind(column::from_time(*expires_at));
            }
            query.execute(&mut **tx).await.map_err(classify)?;
        }
        Ok(())
    }

    async fn insert_records(
        &self,
        tx: &mut Transaction<'_, Sqlite>,
        records: Vec<(u64, Append)>,
    ) -> Result<(), StoreError> {
        let pieces = self.statements.records.pieces(records.len());
        let mut rows = records.into_iter();
        for (size, text) in pieces {
            let mut query = sqlx::query(AssertSqlSafe(text));
            for (seq, item) in rows.by_ref().take(size) {
                let sealed = item.record;
                let (personal, personal_salt) = sealed
                    .personal
                    .map_or((None, None), |p| (Some(p.bytes), Some(p.salt.to_vec())));
                query = query
                    .bind(self.log.0.cast_signed())
                    .bind(column::from_seq(seq))
                    .bind(column::from_time(item.recorded_at))
                    .bind(sealed.record)
                    .bind(sealed.salt.to_vec())
                    .bind(personal)
                    .bind(personal_salt)
                    .bind(sealed.personal_digest.to_vec())
                    .bind(sealed.leaf.to_vec());
            }
            query.execute(&mut **tx).await.map_err(classify_insert)?;
        }
        Ok(())
    }

    async fn insert_revocations(
        &self,
        tx: &mut Transaction<'_, Sqlite>,
        revocations: BTreeMap<(u64, u32), UnixTime>,
    ) -> Result<(), StoreError> {
        let pieces = self.statements.revocations.pieces(revocations.len());
        let mut rows = revocations.into_iter();
        for (size, text) in pieces {
            let mut query = sqlx::query(AssertSqlSafe(text));
            for ((list_id, index), expires_at) in rows.by_ref().take(size) {
                query = query
                    .bind(list_id.cast_signed())
                    .bind(index)
                    .bind(column::from_time(expires_at));
            }
            query.execute(&mut **tx).await.map_err(classify)?;
        }
        Ok(())
    }

    async fn insert_outbox(
        &self,
        tx: &mut Transaction<'_, Sqlite>,
        outbox: BTreeMap<OutboxKey, OutboxRow>,
    ) -> Result<(), StoreError> {
        let pieces = self.statements.outbox.pieces(outbox.len());
        let mut rows = outbox.into_values();
        for (size, text) in pieces {
            let mut query = sqlx::query(AssertSqlSafe(text));
            for row in rows.by_ref().take(size) {
                query = query
                    .bind(row.key.receipt.to_vec())
                    .bind(row.key.position)
                    .bind(row.proposal.seal())
                    .bind(OutboxState::Pending.columns().0)
                    .bind(column::from_time(row.created_at))
                    .bind(column::from_time(row.revoke.expires_at))
                    .bind(row.lease.holder.cast_signed())
                    .bind(column::from_time(row.lease.until));
            }
            query.execute(&mut **tx).await.map_err(classify)?;
        }
        Ok(())
    }

    /// Moves the tree on, if it is still where `base` says and still ours.
    async fn advance(
        &self,
        tx: &mut Transaction<'_, Sqlite>,
        base: &Frontier,
        next: &Frontier,
    ) -> Result<(), StoreError> {
        let done = sqlx::query(
            "UPDATE audit_log SET size = ?1, frontier = ?2 \
             WHERE log = ?3 AND writer_epoch = ?4 AND size = ?5",
        )
        .bind(column::from_seq(next.size()))
        .bind(next.to_bytes())
        .bind(self.log.0.cast_signed())
        .bind(self.epoch)
        .bind(column::from_seq(base.size()))
        .execute(&mut **tx)
        .await
        .map_err(classify)?;
        if done.rows_affected() == 1 {
            return Ok(());
        }
        let epoch: i64 = sqlx::query_scalar("SELECT writer_epoch FROM audit_log WHERE log = ?1")
            .bind(self.log.0.cast_signed())
            .fetch_one(&mut **tx)
            .await
            .map_err(classify)?;
        Err(if epoch == self.epoch { StoreError::Behind } else { StoreError::Fenced })
    }
}

/// Random, as SQLite does not write what has not changed.
async fn prove_space(tx: &mut Transaction<'_, Sqlite>) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO proof_of_space (id, filler) VALUES (1, randomblob(?1)) \
         ON CONFLICT (id) DO UPDATE SET filler = excluded.filler",
    )
    .bind(i64::try_from(PROOF_BYTES).unwrap_or(i64::MAX))
    .execute(&mut **tx)
    .await
    .map_err(classify)?;
    Ok(())
}

/// A record's number that exists already means that the tree given is not the stored one.
fn classify_insert(error: sqlx::Error) -> StoreError {
    if error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation) {
        return StoreError::Behind;
    }
    classify(error)
}
