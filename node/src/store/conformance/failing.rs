//! What a broken database looks like from outside: full, gone, waiting, damaged.

use std::str::FromStr;

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

use super::fixture::{Fixture, append, binding, item};
use crate::store::{Access, AppendOutcome, Location, OpenError, StoreError, open};

async fn connect(fixture: &Fixture) -> PgConnection {
    let Location::Postgres { url, .. } = &fixture.location else { panic!("a server is needed") };
    PgConnection::connect_with(&PgConnectOptions::from_str(url).unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_connection_that_is_cut_during_an_append_is_unavailable_and_then_recovers() {
    const WAITING: &str = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
                           AND application_name = 'exequatur' AND wait_event_type = 'Lock'";
    Fixture::postgres()
        .await
        .run(async |fixture| {
            let store = fixture.created().await;
            append(&*store, vec![item(0)]).await;
            let base = store.audit_tail().await.unwrap();
            let mut holder = connect(fixture).await;
            let mut held = holder.begin().await.unwrap();
            sqlx::query("SELECT 1 FROM audit_log FOR UPDATE").execute(&mut *held).await.unwrap();

            let mut killer = connect(fixture).await;
            let kill = async {
                let pid: i32 = loop {
                    let waiting = sqlx::query_scalar(WAITING).fetch_optional(&mut killer).await;
                    if let Some(pid) = waiting.unwrap() {
                        break pid;
                    }
                };
                sqlx::query("SELECT pg_terminate_backend($1)")
                    .bind(pid)
                    .execute(&mut killer)
                    .await
                    .unwrap();
            };
            let (appended, ()) = tokio::join!(store.append(&base, vec![item(1)]), kill);
            let error = appended.unwrap_err();
            assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");

            held.rollback().await.unwrap();
            assert_eq!(store.audit_tail().await.unwrap(), base);
            assert_eq!(append(&*store, vec![item(1)]).await, [AppendOutcome::Saved { seq: 1 }]);
        })
        .await;
}

#[tokio::test]
async fn idle_connections_that_were_cut_are_replaced_unnoticed() {
    const CUT: &str = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity \
                       WHERE datname = current_database() AND application_name = 'exequatur'";
    Fixture::postgres()
        .await
        .run(async |fixture| {
            let store = fixture.created().await;
            append(&*store, vec![item(0)]).await;
            assert!(!fixture.texts(CUT).await.is_empty());
            assert_eq!(append(&*store, vec![item(1)]).await, [AppendOutcome::Saved { seq: 1 }]);
        })
        .await;
}

#[tokio::test]
async fn a_server_that_may_lose_what_it_confirmed_is_refused() {
    Fixture::postgres()
        .await
        .run(async |fixture| {
            fixture.create().await.unwrap();
            fixture
                .execute(
                    "DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || \
                     ' SET synchronous_commit = off'; END $$",
                )
                .await;
            let error = fixture.open().await.err().unwrap();
            assert!(matches!(error, OpenError::NotSynchronous { .. }), "{error:?}");
        })
        .await;
}

#[tokio::test]
async fn a_server_without_the_database_says_how_to_make_it() {
    Fixture::postgres()
        .await
        .run(async |fixture| {
            let Location::Postgres { url, .. } = &fixture.location else { panic!("no server") };
            let url = url.replace("exequatur_test_", "exequatur_absent_");
            let location = Location::Postgres { url, password_file: None };
            let error = open(&location, &binding("eu-central", 1), Access::Write).await;
            let error = error.err().unwrap();
            assert!(matches!(error, OpenError::NoDatabase { .. }), "{error:?}");
            assert!(error.to_string().contains("createdb"));
        })
        .await;
}

#[tokio::test]
async fn a_file_that_is_no_database_is_damaged() {
    let fixture = Fixture::sqlite();
    let Location::Sqlite { path } = &fixture.location else { panic!("a file is needed") };
    std::fs::write(path, vec![b'x'; 8_192]).unwrap();
    let error = fixture.open().await.err().unwrap();
    let damaged = |source: &StoreError| matches!(source, StoreError::Damaged { .. });
    assert!(matches!(&error, OpenError::Store { source, .. } if damaged(source)), "{error:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_belongs_to_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::sqlite();
    let store = fixture.created().await;
    append(&*store, vec![item(0)]).await;
    let Location::Sqlite { path } = &fixture.location else { panic!("a file is needed") };
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let file = format!("{}{suffix}", path.display());
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}
