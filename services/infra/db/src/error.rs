//! What a caller can do about a failed statement.

use sqlx::error::DatabaseError;
use sqlx::mysql::MySqlDatabaseError;
use sqlx::sqlite::SqliteError;

/// Why a statement failed, by what to do next.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The configuration can't be right.
    #[error("database settings: {0}")]
    Config(String),
    /// A unique key is taken. The transaction is to be rolled back.
    #[error("the key is taken")]
    Duplicate(#[source] sqlx::Error),
    /// Another transaction was in the way (deadlock, lock wait, write conflict): nothing happened, run it again.
    #[error("another transaction is in the way")]
    Conflict(#[source] sqlx::Error),
    /// The database did not answer. Of a commit: it may have happened.
    #[error("the database is away")]
    Unavailable(#[source] sqlx::Error),
    /// The statement, or what it returned, is not what the schema allows: a bug or a foreign schema.
    #[error("the statement failed")]
    Statement(#[source] sqlx::Error),
    /// A migration failed.
    #[error("migration {name}")]
    Migration {
        /// Its name.
        name: &'static str,
        /// Why.
        source: Box<DbError>,
    },
    /// Another process held the migration lock for too long.
    #[error("another process is migrating; it has not ended within {0} s")]
    MigrationLocked(u64),
}

impl DbError {
    /// Running it again at once may help; where it is a commit that failed, it has to be idempotent. Who has already
    /// waited for a connection in vain is not told to wait again.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Conflict(_) => true,
            Self::Unavailable(source) => {
                !matches!(source, sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed)
            }
            _ => false,
        }
    }

    /// A unique key is taken.
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Self::Duplicate(_))
    }
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error::{Database, Io, PoolClosed, PoolTimedOut, Protocol, Tls, WorkerCrashed};
        match &error {
            Database(refusal) if refusal.is_unique_violation() => Self::Duplicate(error),
            Database(refusal) if is_conflict(refusal.as_ref()) => Self::Conflict(error),
            Database(refusal) if is_outage(refusal.as_ref()) => Self::Unavailable(error),
            // A connection cut in the middle of an answer is a protocol error to the driver.
            Io(_) | Tls(_) | PoolTimedOut | PoolClosed | WorkerCrashed | Protocol(_) => {
                Self::Unavailable(error)
            }
            _ => Self::Statement(error),
        }
    }
}

/// Lock wait, deadlock, "record has changed" (MariaDB), write conflict and retryable transaction (TiDB); SQLite's
/// BUSY and LOCKED.
fn is_conflict(refusal: &dyn DatabaseError) -> bool {
    match refusal.try_downcast_ref::<MySqlDatabaseError>() {
        Some(refusal) => matches!(refusal.number(), 1205 | 1213 | 1020 | 8002 | 8028 | 9007),
        None => sqlite_code(refusal).is_some_and(|code| matches!(code & 0xff, 5 | 6)),
    }
}

/// Too many connections, shutting down, read only after a failover, killed; TiDB's region and PD trouble.
fn is_outage(refusal: &dyn DatabaseError) -> bool {
    let refusal = refusal.try_downcast_ref::<MySqlDatabaseError>();
    refusal.is_some_and(|r| {
        matches!(r.number(), 1040 | 1053 | 1129 | 1290 | 1836 | 1927 | 3168 | 4031 | 9001 | 9002 | 9005)
    })
}

fn sqlite_code(refusal: &dyn DatabaseError) -> Option<u32> {
    refusal.try_downcast_ref::<SqliteError>()?.code()?.parse().ok()
}
