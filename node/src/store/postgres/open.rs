//! Making and opening a region's database on a server. The database itself and its role are made
//! by the operator; the tables are made here, under PostgreSQL's advisory lock.

use std::{str::FromStr, time::Duration};

use exequatur_federation::audit::Frontier;
use sqlx::{
    ConnectOptions, Connection, PgConnection, PgPool,
    migrate::MigrateError,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use zeroize::Zeroizing;

use super::{PostgresStore, classify};
use crate::store::{
    Access, Binding, OpenError, StoreError,
    open::{check_region, check_schema, is_other_schema, migrator},
};

const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "region database", include_str!("../../../migrations/postgres/0001_region_database.sql")),
    (2, "status list use", include_str!("../../../migrations/postgres/0002_status_list_use.sql")),
    (3, "outbox", include_str!("../../../migrations/postgres/0003_outbox.sql")),
];

/// Connections of one node: one writes records, the others revoke, purge and read.
const CONNECTIONS: u32 = 4;

/// How long a caller waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// Limits of a session, in milliseconds: no statement, lock or forgotten transaction of a node
/// holds up the others for longer.
const SESSION: [(&str, &str); 3] = [
    ("statement_timeout", "4000"),
    ("lock_timeout", "3000"),
    ("idle_in_transaction_session_timeout", "10000"),
];

/// Prepared statements a connection keeps.
const STATEMENTS: usize = 32;

/// See [`store::create`](crate::store::create).
pub(in crate::store) async fn create(
    url: &str,
    password: Option<Zeroizing<String>>,
    binding: &Binding,
) -> Result<(), OpenError> {
    let options = options(url, password)?;
    let place = place(&options);
    let mut connection = options.connect().await.map_err(|e| failed(&place, e))?;
    migrate(&mut connection, &place).await?;
    let made = bind(&mut connection, binding, &place).await;
    connection.close().await.map_err(|e| failed(&place, e))?;
    if made? { Ok(()) } else { Err(OpenError::Exists { place }) }
}

/// See [`store::open`](crate::store::open).
pub(in crate::store) async fn open(
    url: &str,
    password: Option<Zeroizing<String>>,
    binding: &Binding,
    access: Access,
) -> Result<PostgresStore, OpenError> {
    let options = options(url, password)?;
    let place = place(&options);
    let mut connection = options.connect().await.map_err(|e| failed(&place, e))?;
    check(&mut connection, binding, access, &place).await?;
    let epoch = match access {
        Access::Read => -1,
        Access::Write => {
            take_over(&mut connection, binding).await.map_err(|e| failed(&place, e))?
        }
    };
    connection.close().await.map_err(|e| failed(&place, e))?;
    Ok(PostgresStore { pool: pool(options, access), log: binding.log, epoch })
}

fn pool(options: PgConnectOptions, access: Access) -> PgPool {
    let read_only = if access == Access::Read { "on" } else { "off" };
    let options = options.options(SESSION).options([("default_transaction_read_only", read_only)]);
    PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(options)
}

fn options(url: &str, password: Option<Zeroizing<String>>) -> Result<PgConnectOptions, OpenError> {
    let wrong = |why| OpenError::Url { why };
    let rest = url
        .strip_prefix("postgres://")
        .or_else(|| url.strip_prefix("postgresql://"))
        .ok_or_else(|| wrong("it must begin with postgres://"))?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let in_authority = authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
    if in_authority || rest.contains("password=") {
        return Err(wrong("it holds a password: write that to a file and name it"));
    }
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| wrong("write it as postgres://user@host:port/database"))?
        .application_name("exequatur")
        .statement_cache_capacity(STATEMENTS)
        .disable_statement_logging();
    Ok(match password {
        Some(password) => options.password(&password),
        None => options,
    })
}

fn place(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    format!("postgres://{}:{}/{database}", options.get_host(), options.get_port())
}

async fn migrate(connection: &mut PgConnection, place: &str) -> Result<(), OpenError> {
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
    connection: &mut PgConnection,
    binding: &Binding,
    place: &str,
) -> Result<bool, OpenError> {
    let error = |e| failed(place, e);
    let mut tx = connection.begin().await.map_err(error)?;
    sqlx::query("INSERT INTO region (id, name) VALUES (1, $1) ON CONFLICT DO NOTHING")
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
        "INSERT INTO audit_log (log, writer_epoch, size, frontier) VALUES ($1, 0, 0, $2) \
         ON CONFLICT DO NOTHING",
    )
    .bind(binding.log.0.cast_signed())
    .bind(Frontier::empty().to_bytes())
    .execute(&mut *tx)
    .await
    .map_err(error)?;
    tx.commit().await.map_err(error)?;
    Ok(made.rows_affected() == 1)
}

async fn check(
    connection: &mut PgConnection,
    binding: &Binding,
    access: Access,
    place: &str,
) -> Result<(), OpenError> {
    let error = |e| failed(place, e);
    let made: bool = sqlx::query_scalar("SELECT to_regclass('region') IS NOT NULL")
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
        migrate(connection, place).await?;
        check_synchronous(connection, place).await?;
    } else {
        let applied = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations")
            .fetch_one(&mut *connection)
            .await
            .map_err(error)?;
        check_schema(MIGRATIONS, applied, place)?;
    }
    let log: Option<i64> = sqlx::query_scalar("SELECT log FROM audit_log WHERE log = $1")
        .bind(binding.log.0.cast_signed())
        .fetch_optional(&mut *connection)
        .await
        .map_err(error)?;
    log.map(|_| ()).ok_or_else(|| OpenError::Missing { place: place.to_owned() })
}

/// With `off` the server confirms what it has not written. It is not set here, as a stricter
/// setting than `on` may have been chosen by the operator.
async fn check_synchronous(connection: &mut PgConnection, place: &str) -> Result<(), OpenError> {
    let setting: String = sqlx::query_scalar("SHOW synchronous_commit")
        .fetch_one(connection)
        .await
        .map_err(|e| failed(place, e))?;
    if setting == "off" {
        return Err(OpenError::NotSynchronous { place: place.to_owned() });
    }
    Ok(())
}

async fn take_over(connection: &mut PgConnection, binding: &Binding) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "UPDATE audit_log SET writer_epoch = writer_epoch + 1 WHERE log = $1 \
         RETURNING writer_epoch",
    )
    .bind(binding.log.0.cast_signed())
    .fetch_one(connection)
    .await
}

fn failed(place: &str, error: sqlx::Error) -> OpenError {
    let source = classify(error);
    if matches!(&source, StoreError::Unavailable { code } if code == "3D000") {
        return OpenError::NoDatabase { place: place.to_owned() };
    }
    OpenError::Store { place: place.to_owned(), source }
}
