//! `audit verify` finds what somebody with write access to the database changed.

use exequatur_federation::audit::LeafError;

use super::fixture::{Fixture, append, item};
use crate::{
    audit::{VerifyError, verify},
    store::{Erasure, Location, Store},
};

/// More than one page of records.
const RECORDS: u32 = 600;

async fn filled(fixture: &Fixture) -> std::sync::Arc<dyn Store> {
    let store = fixture.created().await;
    append(&*store, (0..RECORDS).map(item).collect()).await;
    store
}

pub(super) async fn an_untouched_log_verifies_with_and_without_personal_parts(fixture: &Fixture) {
    let store = fixture.created().await;
    assert_eq!(verify(&*store).await.unwrap().head.size, 0);
    append(&*store, (0..RECORDS).map(item).collect()).await;
    let before = verify(&*store).await.unwrap();
    assert_eq!((before.head.size, before.without_personal), (u64::from(RECORDS), 0));
    assert_eq!(before.head.root, store.audit_tail().await.unwrap().root());
    store.erase_personal(Erasure::Records(0..7)).await.unwrap();
    let after = verify(&*store).await.unwrap();
    assert_eq!((after.head, after.without_personal), (before.head, 7));
}

pub(super) async fn a_flipped_byte_is_found_and_named(fixture: &Fixture) {
    let store = filled(fixture).await;
    // `{"n":577}` becomes `{"n":578}`.
    let statement = match &fixture.location {
        Location::Sqlite { .. } => {
            "UPDATE audit_record SET record = x'7b226e223a3537387d' WHERE seq = 577"
        }
        Location::Postgres { .. } => {
            "UPDATE audit_record SET record = '\\x7b226e223a3537387d' WHERE seq = 577"
        }
    };
    assert_eq!(fixture.execute(statement).await, 1);
    let error = verify(&*store).await.unwrap_err();
    assert_eq!(error, VerifyError::Changed { seq: 577, source: LeafError::Record });
    assert!(error.to_string().contains("record 577"));
}

pub(super) async fn a_changed_personal_part_is_found_and_named(fixture: &Fixture) {
    let store = filled(fixture).await;
    let swap = "UPDATE audit_record SET personal = \
                (SELECT personal FROM audit_record WHERE seq = 4) WHERE seq = 3";
    assert_eq!(fixture.execute(swap).await, 1);
    let error = verify(&*store).await.unwrap_err();
    assert_eq!(error, VerifyError::Changed { seq: 3, source: LeafError::Personal });
}

pub(super) async fn a_deleted_record_is_missed(fixture: &Fixture) {
    let store = filled(fixture).await;
    fixture.execute("DELETE FROM audit_record WHERE seq = 599").await;
    assert_eq!(verify(&*store).await.unwrap_err(), VerifyError::Missing { seq: 599 });
    fixture.execute("DELETE FROM audit_record WHERE seq = 20").await;
    assert_eq!(verify(&*store).await.unwrap_err(), VerifyError::Missing { seq: 20 });
}

pub(super) async fn a_record_replaced_with_its_leaf_is_narrowed_down(fixture: &Fixture) {
    let store = filled(fixture).await;
    // A consistent record in a wrong place: the only sign is the tree.
    let replace = "UPDATE audit_record SET (record, salt, personal, personal_salt, \
                   personal_digest, leaf) = (SELECT record, salt, personal, personal_salt, \
                   personal_digest, leaf FROM audit_record WHERE seq = 0) WHERE seq = 580";
    assert_eq!(fixture.execute(replace).await, 1);
    let error = verify(&*store).await.unwrap_err();
    // 600 = 512 + 64 + 16 + 8: the second subtree ends before 576, the third before 592.
    assert_eq!(error, VerifyError::Replaced { among: 576..592 });
}

pub(super) async fn a_record_beside_the_tree_is_found(fixture: &Fixture) {
    let store = filled(fixture).await;
    let add = "INSERT INTO audit_record (log, seq, recorded_at, record, salt, personal, \
               personal_salt, personal_digest, leaf) SELECT log, 600, recorded_at, record, salt, \
               personal, personal_salt, personal_digest, leaf FROM audit_record WHERE seq = 0";
    assert_eq!(fixture.execute(add).await, 1);
    assert_eq!(verify(&*store).await.unwrap_err(), VerifyError::Added { seq: 600 });
}
