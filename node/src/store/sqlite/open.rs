//! Making and opening the file.

use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    ConnectOptions, Connection, SqliteConnection, SqlitePool,
    migrate::MigrateError,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{SqliteStore, append::Statements, classify};
use crate::store::{
    Access, Binding, OpenError, StoreError,
    open::{check_region, check_schema, is_other_schema, migrator},
};

const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "region database", include_str!("../../../migrations/sqlite/0001_region_database.sql")),
    (2, "status list use", include_str!("../../../migrations/sqlite/0002_status_list_use.sql")),
    (3, "outbox", include_str!("../../../migrations/sqlite/0003_outbox.sql")),
];

/// How long a statement waits for another process (a backup, a checkpoint) to let go.
const BUSY_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a caller waits for a connection; callers of the writer queue up behind one.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// Connections that read: pages of `audit verify`, revocations at start.
const READERS: u32 = 2;

/// Prepared statements a connection keeps: 6 statements in 7 sizes, and the rest.
const STATEMENTS: usize = 80;

/// Owner only: the file holds personal data.
const FILE_MODE: u32 = 0o600;

/// The write-ahead log is cut back to this after a long reader made it grow.
const JOURNAL_BYTES: &str = "67108864";

/// A lock on `<database>.lock`, which the system gives back when the process ends, however it
/// ends. Not on the database itself: closing that file would drop SQLite's own locks on it.
pub(in crate::store) struct FileLock(#[expect(dead_code, reason = "held, never read")] File);

/// See [`store::create`](crate::store::create).
pub(in crate::store) async fn create(path: &Path, binding: &Binding) -> Result<(), OpenError> {
    let place = path.display().to_string();
    let _lock = FileLock::take(path)?;
    open_private(path)?;
    let mut connection = options(path).connect().await.map_err(|e| failed(&place, e))?;
    migrate(&mut connection, &place).await?;
    let made = bind(&mut connection, binding, &place).await;
    connection.close().await.map_err(|e| failed(&place, e))?;
    if made? { Ok(()) } else { Err(OpenError::Exists { place }) }
}

/// See [`store::open`](crate::store::open).
pub(in crate::store) async fn open(
    path: &Path,
    binding: &Binding,
    access: Access,
) -> Result<SqliteStore, OpenError> {
    let place = path.display().to_string();
    if !path.try_exists().map_err(|source| OpenError::File { path: path.to_owned(), source })? {
        return Err(OpenError::Missing { place });
    }
    let lock = match access {
        Access::Write => Some(FileLock::take(path)?),
        Access::Read => None,
    };
    let readers = pool(READERS).connect_lazy_with(options(path).read_only(true));
    let writer = pool(1).connect_lazy_with(options(path).read_only(access == Access::Read));
    check(&writer, binding, access, &place).await?;
    let log = binding.log;
    let epoch = match access {
        Access::Read => -1,
        Access::Write => take_over(&writer, binding).await.map_err(|e| failed(&place, e))?,
    };
    Ok(SqliteStore { writer, readers, log, epoch, statements: Statements::new(), _lock: lock })
}

impl FileLock {
    fn take(path: &Path) -> Result<Self, OpenError> {
        let mut lock_path = path.as_os_str().to_owned();
        lock_path.push(".lock");
        let lock_path = PathBuf::from(lock_path);
        let file = open_private(&lock_path)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => {
                Err(OpenError::InUse { place: path.display().to_string() })
            }
            Err(TryLockError::Error(source)) => Err(OpenError::File { path: lock_path, source }),
        }
    }
}

/// Makes a file that only its owner may read, unless it exists.
fn open_private(path: &Path) -> Result<File, OpenError> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(FILE_MODE)
        .open(path)
        .map_err(|source| OpenError::File { path: path.to_owned(), source })
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(STATEMENTS)
        .pragma("journal_size_limit", JOURNAL_BYTES)
        // What is erased is overwritten, not only unlinked.
        .pragma("secure_delete", "ON")
        // Nothing of a statement is spilled to a file elsewhere.
        .pragma("temp_store", "MEMORY")
        .disable_statement_logging()
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A file does not hang up: asking before each use and reopening would only cost time.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
}

async fn migrate(connection: &mut SqliteConnection, place: &str) -> Result<(), OpenError> {
    match migrator(MIGRATIONS).run(connection).await {
        Ok(()) => Ok(()),
        Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => {
            Err(failed(place, error))
        }
        Err(error) if is_other_schema(&error) => {
            Err(OpenError::OtherSchema { place: place.to_owned(), found: "as new as the database" })
        }
        Err(_) => Err(failed(place, sqlx::Error::WorkerCrashed)),
    }
}

/// Writes whose database it is; `false` when the log was there already.
async fn bind(
    connection: &mut SqliteConnection,
    binding: &Binding,
    place: &str,
) -> Result<bool, OpenError> {
    let error = |e| failed(place, e);
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await.map_err(error)?;
    sqlx::query("INSERT INTO region (id, name) VALUES (1, ?1) ON CONFLICT DO NOTHING")
        .bind(binding.region.as_str())
        .execute(&mut *tx)
        .await
        .map_err(error)?;
    let region = sqlx::query_scalar("SELECT name FROM region")
        .fetch_optional(&mut *tx)
        .await
        .map_err(error)?;
    check_region(binding, region, place)?;
    let made = sqlx::query(
        "INSERT INTO audit_log (log, writer_epoch, size, frontier) VALUES (?1, 0, 0, ?2) \
         ON CONFLICT DO NOTHING",
    )
    .bind(binding.log.0.cast_signed())
    .bind(exequatur_federation::audit::Frontier::empty().to_bytes())
    .execute(&mut *tx)
    .await
    .map_err(error)?;
    tx.commit().await.map_err(error)?;
    Ok(made.rows_affected() == 1)
}

async fn check(
    writer: &SqlitePool,
    binding: &Binding,
    access: Access,
    place: &str,
) -> Result<(), OpenError> {
    let error = |e| failed(place, e);
    let mut connection = writer.acquire().await.map_err(error)?;
    let made: bool =
        sqlx::query_scalar("SELECT count(*) > 0 FROM sqlite_schema WHERE name = 'region'")
            .fetch_one(&mut *connection)
            .await
            .map_err(error)?;
    if !made {
        return Err(OpenError::Missing { place: place.to_owned() });
    }
    let region = sqlx::query_scalar("SELECT name FROM region")
        .fetch_optional(&mut *connection)
        .await
        .map_err(error)?;
    check_region(binding, region, place)?;
    if access == Access::Write {
        migrate(&mut connection, place).await?;
    } else {
        let applied = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations")
            .fetch_one(&mut *connection)
            .await
            .map_err(error)?;
        check_schema(MIGRATIONS, applied, place)?;
    }
    let log: Option<i64> = sqlx::query_scalar("SELECT log FROM audit_log WHERE log = ?1")
        .bind(binding.log.0.cast_signed())
        .fetch_optional(&mut *connection)
        .await
        .map_err(error)?;
    log.map(|_| ()).ok_or_else(|| OpenError::Missing { place: place.to_owned() })
}

async fn take_over(writer: &SqlitePool, binding: &Binding) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "UPDATE audit_log SET writer_epoch = writer_epoch + 1 WHERE log = ?1 \
         RETURNING writer_epoch",
    )
    .bind(binding.log.0.cast_signed())
    .fetch_one(writer)
    .await
}

fn failed(place: &str, error: sqlx::Error) -> OpenError {
    let source: StoreError = classify(error);
    OpenError::Store { place: place.to_owned(), source }
}
