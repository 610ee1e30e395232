//! Creation is explicit, a database belongs to one region, and one process writes a log.

use super::fixture::{Fixture, append, binding, item};
use crate::store::{Access, AppendOutcome, OpenError, create, open};

pub(super) async fn a_database_that_was_never_made_is_refused_with_the_way_out(fixture: &Fixture) {
    let error = fixture.open().await.err().unwrap();
    assert!(matches!(error, OpenError::Missing { .. }), "{error:?}");
    assert!(error.to_string().contains("exequatur init"));
}

pub(super) async fn making_it_twice_is_refused(fixture: &Fixture) {
    fixture.create().await.unwrap();
    assert!(matches!(fixture.create().await, Err(OpenError::Exists { .. })));
}

pub(super) async fn another_regions_database_is_refused_and_both_are_named(fixture: &Fixture) {
    fixture.create().await.unwrap();
    let other = binding("us-east", 1);
    for error in [
        open(&fixture.location, &other, Access::Write).await.err().unwrap(),
        open(&fixture.location, &other, Access::Read).await.err().unwrap(),
        create(&fixture.location, &other).await.err().unwrap(),
    ] {
        assert!(matches!(error, OpenError::OtherRegion { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("`us-east`") && text.contains("`eu-central`"), "{text}");
    }
}

pub(super) async fn another_nodes_log_is_missing_until_it_is_made(fixture: &Fixture) {
    fixture.create().await.unwrap();
    let second = binding("eu-central", 2);
    let error = open(&fixture.location, &second, Access::Write).await.err().unwrap();
    assert!(matches!(error, OpenError::Missing { .. }), "{error:?}");
    create(&fixture.location, &second).await.unwrap();
    let store = open(&fixture.location, &second, Access::Write).await.unwrap();
    assert_eq!(append(&*store, vec![item(0)]).await, [AppendOutcome::Saved { seq: 0 }]);
}

pub(super) async fn a_database_of_a_newer_build_is_refused(fixture: &Fixture) {
    fixture.create().await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations SELECT 9999, description, installed_on, success, \
                 checksum, execution_time FROM _sqlx_migrations WHERE version = 1";
    assert_eq!(fixture.execute(newer).await, 1);
    let own = binding("eu-central", 1);
    for access in [Access::Write, Access::Read] {
        let error = open(&fixture.location, &own, access).await.err().unwrap();
        assert!(matches!(error, OpenError::OtherSchema { .. }), "{error:?}");
        assert!(error.to_string().contains("as new as the database"), "{error}");
    }
}

pub(super) async fn a_reader_reads_beside_the_writer_and_cannot_write(fixture: &Fixture) {
    let writer = fixture.created().await;
    append(&*writer, vec![item(0)]).await;
    let own = binding("eu-central", 1);
    let reader = open(&fixture.location, &own, Access::Read).await.unwrap();
    let tail = reader.audit_tail().await.unwrap();
    assert_eq!(reader.audit_page(0, 10).await.unwrap().len(), 1);
    assert!(reader.append(&tail, vec![item(1)]).await.is_err());
    // The writer was not fenced by the reader.
    assert_eq!(append(&*writer, vec![item(1)]).await, [AppendOutcome::Saved { seq: 1 }]);
    assert_eq!(reader.audit_tail().await.unwrap().size(), 2);
}

pub(super) async fn a_reader_needs_no_running_node(fixture: &Fixture) {
    let writer = fixture.created().await;
    append(&*writer, vec![item(0)]).await;
    writer.close().await;
    drop(writer);
    let own = binding("eu-central", 1);
    let reader = open(&fixture.location, &own, Access::Read).await.unwrap();
    assert_eq!(reader.audit_tail().await.unwrap().size(), 1);
    assert_eq!(reader.audit_page(0, 10).await.unwrap()[0].sealed, item(0).record);
    // A reader is in nobody's way.
    let writer = fixture.open().await.unwrap();
    assert_eq!(append(&*writer, vec![item(1)]).await, [AppendOutcome::Saved { seq: 1 }]);
}

#[tokio::test]
async fn a_second_process_on_one_file_is_refused() {
    let fixture = Fixture::sqlite();
    let first = fixture.created().await;
    let error = fixture.open().await.err().unwrap();
    assert!(matches!(error, OpenError::InUse { .. }), "{error:?}");
    first.close().await;
    drop(first);
    fixture.open().await.unwrap();
}

#[tokio::test]
async fn a_second_writer_of_one_log_on_postgresql_fences_the_first() {
    use crate::store::StoreError;
    Fixture::postgres()
        .await
        .run(async |fixture| {
            let first = fixture.created().await;
            append(&*first, vec![item(0)]).await;
            let second = fixture.open().await.unwrap();
            let base = first.audit_tail().await.unwrap();
            let error = first.append(&base, vec![item(1)]).await.unwrap_err();
            assert_eq!(error, StoreError::Fenced);
            assert_eq!(append(&*second, vec![item(1)]).await, [AppendOutcome::Saved { seq: 1 }]);
        })
        .await;
}

#[tokio::test]
async fn two_nodes_of_a_region_share_replay_entries_on_postgresql() {
    use super::fixture::once;
    Fixture::postgres()
        .await
        .run(async |fixture| {
            let first = fixture.created().await;
            let binding = binding("eu-central", 2);
            create(&fixture.location, &binding).await.unwrap();
            let second = open(&fixture.location, &binding, Access::Write).await.unwrap();
            let outcomes = append(&*first, vec![once(0, &[1])]).await;
            assert_eq!(outcomes, [AppendOutcome::Saved { seq: 0 }]);
            let outcomes = append(&*second, vec![once(0, &[1]), once(1, &[2])]).await;
            assert_eq!(outcomes, [AppendOutcome::Replayed, AppendOutcome::Saved { seq: 0 }]);
        })
        .await;
}

#[tokio::test]
async fn a_url_with_a_password_is_refused_and_not_repeated() {
    use crate::store::Location;
    for url in [
        "postgres://node:hunter2@127.0.0.1/region",
        "postgres://127.0.0.1/region?user=node&password=hunter2",
        "mysql://node:hunter2@127.0.0.1/region",
    ] {
        let location = Location::Postgres { url: url.to_owned(), password_file: None };
        let error = create(&location, &binding("eu-central", 1)).await.unwrap_err();
        let said = format!("{error} {error:?} {location:?}");
        assert!(matches!(error, OpenError::Url { .. }) && !said.contains("hunter2"), "{said}");
    }
}

#[tokio::test]
async fn a_password_comes_from_its_file_and_is_not_repeated() {
    use crate::store::Location;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    std::fs::write(&file, "hunter2\n").unwrap();
    // Nothing listens on the discard port.
    let url = "postgres://node@127.0.0.1:9/region?sslmode=disable".to_owned();
    let location = Location::Postgres { url: url.clone(), password_file: Some(file) };
    let error = create(&location, &binding("eu-central", 1)).await.unwrap_err();
    let said = format!("{error} {error:?}");
    assert!(matches!(error, OpenError::Store { .. }) && !said.contains("hunter2"), "{said}");

    let missing = Some(directory.path().join("absent"));
    let location = Location::Postgres { url, password_file: missing };
    let error = create(&location, &binding("eu-central", 1)).await.unwrap_err();
    assert!(matches!(error, OpenError::File { .. }), "{error:?}");
}
