//! What can be wrong with the region's database. No message holds data of a row, a password, or
//! the text of a database server, which may quote either: only the code of the error is kept.

use std::{io, path::PathBuf};

use exequatur_federation::region::RegionId;

/// Why an operation on the database failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No space is left; nothing was saved.
    #[error("the region's database is full: add space, and issuing resumes by itself")]
    Full,
    /// It does not answer, or not in time. Trying later may help.
    #[error("the region's database does not answer (`{code}`): see to it, and issuing resumes")]
    Unavailable {
        /// SQLSTATE, SQLite's extended code, or a word.
        code: String,
    },
    /// Another process writes this log now; this one must not write again.
    #[error("another process took over this audit log: run one node for each log")]
    Fenced,
    /// The tree given is not the stored one; nothing was saved.
    #[error("the audit log has other records than this process knew of: read it again")]
    Behind,
    /// Written data may be lost; the process must stop and start anew from what is on the disk.
    #[error("the disk failed to keep what was written (`{code}`): the node must be restarted")]
    NotDurable {
        /// SQLite's extended code.
        code: String,
    },
    /// What is stored cannot be right.
    #[error("the region's database is damaged: {what}")]
    Damaged {
        /// What is wrong, without data.
        what: &'static str,
    },
    /// The database refused a statement.
    #[error("the region's database refused a statement (`{code}`)")]
    Refused {
        /// SQLSTATE or SQLite's extended code.
        code: String,
    },
}

/// Why a database could not be created or opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is none.
    #[error("`{place}` holds no database of a region with this node's log: run `exequatur init`")]
    Missing {
        /// File, or server and database.
        place: String,
    },
    /// The server has no such database.
    #[error("`{place}` does not exist: make it with `createdb`, then run `exequatur init`")]
    NoDatabase {
        /// Server and database.
        place: String,
    },
    /// `create` would create what exists.
    #[error("`{place}` already holds this node's log: `exequatur init` is needed once only")]
    Exists {
        /// File, or server and database.
        place: String,
    },
    /// It belongs to somebody else.
    #[error("`{place}` is the database of region `{got}`, not of `{expected}`: see [store]")]
    OtherRegion {
        /// File, or server and database.
        place: String,
        /// The configured region.
        expected: RegionId,
        /// The region that the database remembers.
        got: String,
    },
    /// Another process has it open.
    #[error("`{place}` is in use by another process: stop it, or use PostgreSQL for several nodes")]
    InUse {
        /// The file.
        place: String,
    },
    /// Its tables are not those of this build.
    #[error("the tables of `{place}` are of another build: run `exequatur` in version {found}")]
    OtherSchema {
        /// File, or server and database.
        place: String,
        /// Which build to run, in words.
        found: &'static str,
    },
    /// The server may lose what it confirmed.
    #[error("`{place}` has synchronous_commit = off: a record must be durable, set it to on")]
    NotSynchronous {
        /// Server and database.
        place: String,
    },
    /// The URL cannot be used. It is not repeated, as it may hold a password.
    #[error("the database URL is wrong: {why}")]
    Url {
        /// What is wrong.
        why: &'static str,
    },
    /// A file cannot be read or made.
    #[error("`{path}` cannot be used")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database failed.
    #[error("`{place}` cannot be opened")]
    Store {
        /// File, or server and database.
        place: String,
        /// Why.
        source: StoreError,
    },
}

impl StoreError {
    pub(super) fn unavailable(code: impl Into<String>) -> Self {
        Self::Unavailable { code: code.into() }
    }

    pub(super) const fn damaged(what: &'static str) -> Self {
        Self::Damaged { what }
    }
}

/// What is alike for both databases: failures that have no code of the database.
#[expect(clippy::wildcard_enum_match_arm, reason = "sqlx::Error may grow; the rest is one answer")]
pub(super) fn without_code(error: &sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Io(_) => StoreError::unavailable("connection"),
        sqlx::Error::Tls(_) => StoreError::unavailable("tls"),
        sqlx::Error::PoolTimedOut => StoreError::unavailable("pool"),
        sqlx::Error::PoolClosed => StoreError::unavailable("closed"),
        sqlx::Error::WorkerCrashed => StoreError::unavailable("worker"),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            StoreError::damaged("a column holds another type than its migration gave it")
        }
        sqlx::Error::RowNotFound => StoreError::damaged("a row is missing"),
        _ => StoreError::unavailable("driver"),
    }
}
