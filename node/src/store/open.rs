//! Creating and opening the region's database. Creation is explicit; a database remembers its
//! region and refuses another one; one process at a time writes a log.

use std::{fmt, fs, path::PathBuf, sync::Arc};

use exequatur_federation::region::RegionId;
use sqlx::{
    AssertSqlSafe, SqlSafeStr,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};
use zeroize::Zeroizing;

use super::{OpenError, Store, postgres, sqlite};

/// Longest password file that is read: longer than any password a server takes.
const PASSWORD_BYTES_MAX: u64 = 4_096;

/// Where the region's database is. `Debug` does not show the URL.
#[derive(Clone)]
pub enum Location {
    /// A file.
    Sqlite {
        /// The database file; `.lock`, `-wal` and `-shm` stand beside it.
        path: PathBuf,
    },
    /// A server.
    Postgres {
        /// `postgres://user@host:port/database?sslmode=verify-full`, without a password.
        url: String,
        /// The file with the password, where one is needed.
        password_file: Option<PathBuf>,
    },
}

/// Whose database this is, and which of its logs is written here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The region.
    pub region: RegionId,
    /// This node's log.
    pub log: LogId,
}

/// The number of a node's audit log: each node of a region has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId(pub u64);

/// What the opener is going to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Write: takes the log over from whoever had it, and brings the tables up to date.
    Write,
    /// Read beside a running node.
    Read,
}

/// Makes the database, or this node's log in the region's database.
///
/// # Errors
/// The log exists, the database is another region's, or it cannot be made.
pub async fn create(location: &Location, binding: &Binding) -> Result<(), OpenError> {
    match location {
        Location::Sqlite { path } => sqlite::create(path, binding).await,
        Location::Postgres { url, password_file } => {
            let password = password_file.as_ref().map(read_password).transpose()?;
            postgres::create(url, password, binding).await
        }
    }
}

/// Opens a database that [`create`] made.
///
/// # Errors
/// There is none, it is another region's, of another build, in use, or does not answer.
pub async fn open(
    location: &Location,
    binding: &Binding,
    access: Access,
) -> Result<Arc<dyn Store>, OpenError> {
    Ok(match location {
        Location::Sqlite { path } => Arc::new(sqlite::open(path, binding, access).await?),
        Location::Postgres { url, password_file } => {
            let password = password_file.as_ref().map(read_password).transpose()?;
            Arc::new(postgres::open(url, password, binding, access).await?)
        }
    })
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { path } => f.debug_struct("Sqlite").field("path", path).finish(),
            Self::Postgres { .. } => f.write_str("Postgres(..)"),
        }
    }
}

/// The embedded migrations of one database.
pub(super) fn migrator(files: &[(i64, &'static str, &'static str)]) -> Migrator {
    let migrations = files.iter().map(|&(version, description, sql)| {
        let sql = AssertSqlSafe(sql).into_sql_str();
        Migration::new(version, description.into(), MigrationType::Simple, sql, false)
    });
    Migrator::with_migrations(migrations.collect())
}

/// Whether the tables are those of this build, from the versions that were applied.
pub(super) fn check_schema(
    files: &[(i64, &'static str, &'static str)],
    applied: Option<i64>,
    place: &str,
) -> Result<(), OpenError> {
    let newest = files.last().map(|file| file.0);
    let found = match applied.cmp(&newest) {
        std::cmp::Ordering::Equal => return Ok(()),
        std::cmp::Ordering::Less => "as old as the database, or start the node to update it",
        std::cmp::Ordering::Greater => "as new as the database",
    };
    Err(OpenError::OtherSchema { place: place.to_owned(), found })
}

/// The database was made by a build that this one does not know.
pub(super) fn is_other_schema(error: &MigrateError) -> bool {
    matches!(
        error,
        MigrateError::VersionMissing(_)
            | MigrateError::VersionMismatch(_)
            | MigrateError::VersionTooNew(..)
            | MigrateError::Dirty(_)
    )
}

/// Whether the region that the database remembers is the configured one.
pub(super) fn check_region(
    binding: &Binding,
    remembered: Option<String>,
    place: &str,
) -> Result<(), OpenError> {
    match remembered {
        None => Err(OpenError::Missing { place: place.to_owned() }),
        Some(got) if got == binding.region.as_str() => Ok(()),
        Some(got) => Err(OpenError::OtherRegion {
            place: place.to_owned(),
            expected: binding.region.clone(),
            got,
        }),
    }
}

fn read_password(path: &PathBuf) -> Result<Zeroizing<String>, OpenError> {
    let file = |source| OpenError::File { path: path.clone(), source };
    let length = fs::metadata(path).map_err(file)?.len();
    if length > PASSWORD_BYTES_MAX {
        return Err(file(std::io::Error::from(std::io::ErrorKind::FileTooLarge)));
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(file)?);
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}
