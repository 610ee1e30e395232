//! A database of its own for each test, and items to put into it.

use std::{str::FromStr, sync::Arc};

use exequatur_federation::{
    audit::{Frontier, Salts, seal},
    region::RegionId,
    time::UnixTime,
};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, SqliteConnection, postgres::PgConnectOptions,
    sqlite::SqliteConnectOptions,
};
use tempfile::TempDir;

use crate::{
    entropy::{SystemEntropy, draw},
    store::{
        Access, Append, AppendOutcome, Binding, Location, LogId, OpenError, Replay, Revocation,
        Store, create, open,
    },
};

/// Names the server on which tests make databases, by a URL without a password.
const POSTGRES_URL: &str = "EXEQUATUR_TEST_POSTGRES_URL";

pub(super) struct Fixture {
    pub(super) location: Location,
    /// Keeps the directory of a file until the test ends.
    _directory: Option<TempDir>,
    /// Where to drop the database: server URL and name.
    server: Option<(String, String)>,
}

impl Fixture {
    pub(super) fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("region.db");
        Self { location: Location::Sqlite { path }, _directory: Some(directory), server: None }
    }

    #[expect(clippy::disallowed_methods, reason = "tests are told of the server by `make test`")]
    pub(super) async fn postgres() -> Self {
        let Ok(server) = std::env::var(POSTGRES_URL) else {
            panic!(
                "{POSTGRES_URL} is not set: run `make test`, which starts a PostgreSQL server, or \
                 set it to the URL of a server on which databases may be made"
            );
        };
        let id = u64::from_be_bytes(draw(&SystemEntropy::default()).unwrap());
        let name = format!("exequatur_test_{id:016x}");
        let mut admin = PgConnection::connect(&server).await.unwrap();
        let statement = format!("CREATE DATABASE {name}");
        sqlx::query(AssertSqlSafe(statement)).execute(&mut admin).await.unwrap();
        let url = with_database(&server, &name);
        Self {
            location: Location::Postgres { url, password_file: None },
            _directory: None,
            server: Some((server, name)),
        }
    }

    /// Runs a test and drops its database.
    pub(super) async fn run(self, test: impl AsyncFnOnce(&Self)) {
        test(&self).await;
        if let Some((server, name)) = self.server {
            let mut admin = PgConnection::connect(&server).await.unwrap();
            let statement = format!("DROP DATABASE {name} WITH (FORCE)");
            sqlx::query(AssertSqlSafe(statement)).execute(&mut admin).await.unwrap();
        }
    }

    pub(super) async fn create(&self) -> Result<(), OpenError> {
        create(&self.location, &binding("eu-central", 1)).await
    }

    pub(super) async fn open(&self) -> Result<Arc<dyn Store>, OpenError> {
        open(&self.location, &binding("eu-central", 1), Access::Write).await
    }

    pub(super) async fn created(&self) -> Arc<dyn Store> {
        self.create().await.unwrap();
        self.open().await.unwrap()
    }

    /// Runs a statement behind the store's back.
    pub(super) async fn execute(&self, statement: &'static str) -> u64 {
        match &self.location {
            Location::Sqlite { path } => {
                let options = SqliteConnectOptions::new().filename(path);
                let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
                sqlx::query(statement).execute(&mut connection).await.unwrap().rows_affected()
            }
            Location::Postgres { url, .. } => {
                let mut connection = PgConnection::connect(url).await.unwrap();
                sqlx::query(statement).execute(&mut connection).await.unwrap().rows_affected()
            }
        }
    }

    /// Reads rows of text behind the store's back.
    pub(super) async fn texts(&self, query: &'static str) -> Vec<String> {
        match &self.location {
            Location::Sqlite { path } => {
                let options = SqliteConnectOptions::new().filename(path);
                let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
                sqlx::query_scalar(query).fetch_all(&mut connection).await.unwrap()
            }
            Location::Postgres { url, .. } => {
                let options = PgConnectOptions::from_str(url).unwrap();
                let mut connection = PgConnection::connect_with(&options).await.unwrap();
                sqlx::query_scalar(query).fetch_all(&mut connection).await.unwrap()
            }
        }
    }
}

pub(super) fn binding(region: &str, log: u64) -> Binding {
    Binding { region: RegionId::new(region).unwrap(), log: LogId(log) }
}

pub(super) const fn at(seconds: u64) -> UnixTime {
    UnixTime::from_seconds(seconds)
}

/// A record with a personal part, recorded at second 1,000 plus `n`.
pub(super) fn item(n: u32) -> Append {
    let mut salts = Salts { record: [7; 32], personal: [9; 32] };
    salts.record[..4].copy_from_slice(&n.to_be_bytes());
    let record = format!(r#"{{"n":{n}}}"#).into_bytes();
    Append {
        record: seal(record, Some(format!("person {n}").into_bytes()), &salts),
        recorded_at: at(1_000 + u64::from(n)),
        replays: Vec::new(),
        revocations: Vec::new(),
        outbox: Vec::new(),
    }
}

/// The same with a replay entry that expires at second 500.
pub(super) fn once(n: u32, keys: &[u8]) -> Append {
    let replay = |key: &u8| Replay { key: [*key; 32], expires_at: at(500) };
    Append { replays: keys.iter().map(replay).collect(), ..item(n) }
}

/// The same that revokes one reference.
pub(super) fn revoking(n: u32, list_id: u64, index: u32, expires_at: u64) -> Append {
    let revocation = Revocation { list_id, index, expires_at: at(expires_at) };
    Append { revocations: vec![revocation], ..item(n) }
}

/// Appends after what is stored.
pub(super) async fn append(store: &dyn Store, batch: Vec<Append>) -> Vec<AppendOutcome> {
    let base = store.audit_tail().await.unwrap();
    store.append(&base, batch).await.unwrap().outcomes
}

pub(super) async fn empty_tail(store: &dyn Store) -> bool {
    store.audit_tail().await.unwrap() == Frontier::empty()
}

fn with_database(server: &str, name: &str) -> String {
    let (base, query) = server.split_once('?').unwrap_or((server, ""));
    let (scheme, rest) = base.split_once("://").unwrap();
    let authority = rest.split('/').next().unwrap();
    format!("{scheme}://{authority}/{name}?{query}")
}
