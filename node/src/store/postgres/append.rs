//! One batch, one transaction: replay entries, records, revocations, the tree.

use std::collections::{BTreeMap, BTreeSet};

use exequatur_federation::{
    audit::{Frontier, SealedRecord},
    time::UnixTime,
};
use sqlx::{Postgres, Transaction};

use super::{PostgresStore, classify};
use crate::store::{
    Append, Appended, OutboxKey, OutboxRow, OutboxState, PROOF_BYTES, StoreError, batch, column,
};

impl PostgresStore {
    pub(super) async fn append_batch(
        &self,
        base: &Frontier,
        batch: Vec<Append>,
    ) -> Result<Appended, StoreError> {
        let wanted = batch::replay_entries(&batch);
        let mut tx = self.pool.begin().await.map_err(classify)?;
        if batch.is_empty() {
            prove_space(&mut tx).await?;
        }
        let new = insert_replays(&mut tx, wanted).await?;
        let admitted = batch::admit(base, batch, new);
        delete_orphans(&mut tx, admitted.orphans).await?;
        self.insert_records(&mut tx, &admitted.records).await?;
        insert_revocations(&mut tx, admitted.revocations).await?;
        insert_outbox(&mut tx, admitted.outbox).await?;
        self.advance(&mut tx, base, &admitted.appended.frontier).await?;
        tx.commit().await.map_err(classify)?;
        Ok(admitted.appended)
    }

    async fn insert_records(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        records: &[(u64, Append)],
    ) -> Result<(), StoreError> {
        if records.is_empty() {
            return Ok(());
        }
        let seqs: Vec<i64> = records.iter().map(|(seq, _)| column::from_seq(*seq)).collect();
        let times: Vec<i64> =
            records.iter().map(|(_, item)| column::from_time(item.recorded_at)).collect();
        sqlx::query(
            "INSERT INTO audit_record (log, seq, recorded_at, record, salt, personal, \
             personal_salt, personal_digest, leaf) \
             SELECT $1, * FROM UNNEST($2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[], \
             $6::bytea[], $7::bytea[], $8::bytea[], $9::bytea[])",
        )
        .bind(self.log.0.cast_signed())
        .bind(seqs)
        .bind(times)
        .bind(of_each(records, |r| r.record.as_slice()))
        .bind(of_each(records, |r| r.salt.as_slice()))
        .bind(of_each(records, |r| r.personal.as_ref().map(|p| p.bytes.as_slice())))
        .bind(of_each(records, |r| r.personal.as_ref().map(|p| p.salt.as_slice())))
        .bind(of_each(records, |r| r.personal_digest.as_slice()))
        .bind(of_each(records, |r| r.leaf.as_slice()))
        .execute(&mut **tx)
        .await
        .map_err(classify_insert)?;
        Ok(())
    }

    /// Moves the tree on, if it is still where `base` says and still ours. The row stays locked
    /// until the transaction ends, so whoever takes the log over waits for it or prevents it.
    async fn advance(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        base: &Frontier,
        next: &Frontier,
    ) -> Result<(), StoreError> {
        let done = sqlx::query(
            "UPDATE audit_log SET size = $1, frontier = $2 \
             WHERE log = $3 AND writer_epoch = $4 AND size = $5",
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
        let epoch: i64 = sqlx::query_scalar("SELECT writer_epoch FROM audit_log WHERE log = $1")
            .bind(self.log.0.cast_signed())
            .fetch_one(&mut **tx)
            .await
            .map_err(classify)?;
        Err(if epoch == self.epoch { StoreError::Behind } else { StoreError::Fenced })
    }
}

async fn prove_space(tx: &mut Transaction<'static, Postgres>) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO proof_of_space (id, filler) VALUES (1, $1) \
         ON CONFLICT (id) DO UPDATE SET filler = excluded.filler",
    )
    .bind(vec![0_u8; PROOF_BYTES])
    .execute(&mut **tx)
    .await
    .map_err(classify)?;
    Ok(())
}

async fn insert_replays(
    tx: &mut Transaction<'static, Postgres>,
    wanted: BTreeMap<[u8; 32], UnixTime>,
) -> Result<BTreeSet<[u8; 32]>, StoreError> {
    if wanted.is_empty() {
        return Ok(BTreeSet::new());
    }
    let expiries: Vec<i64> = wanted.values().copied().map(column::from_time).collect();
    let keys: Vec<&[u8]> = wanted.keys().map(<[u8; 32]>::as_slice).collect();
    // Where another node holds an entry that it has not saved yet, this waits for the outcome.
    let new: Vec<Vec<u8>> = sqlx::query_scalar(
        "INSERT INTO replay (key, expires_at) SELECT * FROM UNNEST($1::bytea[], $2::bigint[]) \
         ON CONFLICT DO NOTHING RETURNING key",
    )
    .bind(keys)
    .bind(expiries)
    .fetch_all(&mut **tx)
    .await
    .map_err(classify)?;
    new.iter().map(|key| column::to_digest(key)).collect()
}

async fn delete_orphans(
    tx: &mut Transaction<'static, Postgres>,
    orphans: BTreeSet<[u8; 32]>,
) -> Result<(), StoreError> {
    if orphans.is_empty() {
        return Ok(());
    }
    let keys: Vec<&[u8]> = orphans.iter().map(<[u8; 32]>::as_slice).collect();
    sqlx::query("DELETE FROM replay WHERE key = ANY($1::bytea[])")
        .bind(keys)
        .execute(&mut **tx)
        .await
        .map_err(classify)?;
    Ok(())
}

async fn insert_revocations(
    tx: &mut Transaction<'static, Postgres>,
    revocations: BTreeMap<(u64, u32), UnixTime>,
) -> Result<(), StoreError> {
    if revocations.is_empty() {
        return Ok(());
    }
    let lists: Vec<i64> = revocations.keys().map(|key| key.0.cast_signed()).collect();
    let indexes: Vec<i64> = revocations.keys().map(|key| i64::from(key.1)).collect();
    let expiries: Vec<i64> = revocations.into_values().map(column::from_time).collect();
    sqlx::query(
        "INSERT INTO revocation (list_id, list_index, expires_at) \
         SELECT * FROM UNNEST($1::bigint[], $2::bigint[], $3::bigint[]) \
         ON CONFLICT (list_id, list_index) DO UPDATE SET \
         expires_at = greatest(revocation.expires_at, excluded.expires_at)",
    )
    .bind(lists)
    .bind(indexes)
    .bind(expiries)
    .execute(&mut **tx)
    .await
    .map_err(classify)?;
    Ok(())
}

async fn insert_outbox(
    tx: &mut Transaction<'static, Postgres>,
    outbox: BTreeMap<OutboxKey, OutboxRow>,
) -> Result<(), StoreError> {
    if outbox.is_empty() {
        return Ok(());
    }
    let numbers = |of: fn(&OutboxRow) -> i64| outbox.values().map(of).collect::<Vec<i64>>();
    let receipts: Vec<Vec<u8>> = outbox.keys().map(|key| key.receipt.to_vec()).collect();
    let proposals: Vec<Vec<u8>> = outbox.values().map(|row| row.proposal.seal()).collect();
    sqlx::query(
        "INSERT INTO outbox (state, receipt, position, proposal, created_at, expires_at, \
         lease_holder, lease_until) \
         SELECT $1, * FROM UNNEST($2::bytea[], $3::bigint[], $4::bytea[], $5::bigint[], \
         $6::bigint[], $7::bigint[], $8::bigint[])",
    )
    .bind(OutboxState::Pending.columns().0)
    .bind(receipts)
    .bind(numbers(|row| i64::from(row.key.position)))
    .bind(proposals)
    .bind(numbers(|row| column::from_time(row.created_at)))
    .bind(numbers(|row| column::from_time(row.revoke.expires_at)))
    .bind(numbers(|row| row.lease.holder.cast_signed()))
    .bind(numbers(|row| column::from_time(row.lease.until)))
    .execute(&mut **tx)
    .await
    .map_err(classify)?;
    Ok(())
}

fn of_each<'a, T>(records: &'a [(u64, Append)], column: impl Fn(&'a SealedRecord) -> T) -> Vec<T> {
    records.iter().map(|(_, item)| column(&item.record)).collect()
}

/// A record's number that exists already means that another process wrote this log meanwhile, or
/// that the tree given is not the stored one; reading it again tells which.
fn classify_insert(error: sqlx::Error) -> StoreError {
    if error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation) {
        return StoreError::Behind;
    }
    classify(error)
}
