//! The pools, and statements outside of a transaction.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::{Duration, Instant};

use sqlx::mysql::{MySqlArguments, MySqlConnectOptions, MySqlPoolOptions};
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions, MySqlPool, SqlitePool};

use crate::config::redacted;
use crate::trust::Trust;
use crate::tx::Tx;
use crate::value::{Arg, Engine, Row, bind};
use crate::{DbConfig, DbError};

/// Prepared statements kept by each connection: ours, in all their lengths.
const STATEMENTS: usize = 256;

/// After which MySQL closes a connection on which nothing is said, and rolls back what it had begun. A machine that loses
/// its power says no goodbye: its transactions would keep their row locks for the server's default of eight hours.
const SILENCE_SECONDS: u32 = 5;

/// The longest that a connection rests in the pool and is used again: well before the server closes it.
const REST: Duration = Duration::from_secs(2);

/// The database; cheap to clone.
#[derive(Clone, Debug)]
pub struct Db(pub(crate) Pools);

#[derive(Clone, Debug)]
pub(crate) enum Pools {
    MySql {
        pool: MySqlPool,
        trust: Trust,
    },
    /// Of an in-memory database, both are the one connection that it lives in.
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
    },
}

impl Db {
    /// A pool. A MySQL that is away is no error here: its pool connects when it is used.
    ///
    /// # Errors
    /// Settings that can't be right; a file of theirs that can't be read; a SQLite file that can't be opened.
    pub async fn connect(config: &DbConfig) -> Result<Self, DbError> {
        config.check()?;
        let url = config.address()?;
        match url.split(':').next().unwrap_or_default() {
            "mysql" | "mariadb" => Self::mysql(config, &url),
            "sqlite" => Self::sqlite(config, &url).await,
            _ => Err(DbError::Config(format!(
                "url {}: neither mysql://user@host:port/database nor sqlite://path",
                redacted(&url)
            ))),
        }
    }

    fn mysql(config: &DbConfig, url: &str) -> Result<Self, DbError> {
        let mut options = MySqlConnectOptions::from_str(url).map_err(|_| malformed(url))?;
        if options.get_database().is_none_or(str::is_empty) {
            return Err(DbError::Config(format!("url {}: names no database", redacted(url))));
        }
        if let Some(path) = &config.password_file {
            let password = std::fs::read_to_string(path)
                .map_err(|e| DbError::Config(format!("password_file {}: {e}", path.display())))?;
            options = options.password(password.trim_end_matches(['\r', '\n']));
        }
        let options =
            options.charset("utf8mb4").statement_cache_capacity(STATEMENTS).disable_statement_logging();
        let trust = Trust::default();
        let judge = trust.clone();
        let pool = MySqlPoolOptions::new()
            .max_connections(config.max_connections)
            .acquire_timeout(config.acquire_timeout)
            .test_before_acquire(false)
            .before_acquire(move |_, connection| {
                let usable = judge.covers(connection.age) && connection.idle_for < REST;
                Box::pin(async move { Ok(usable) })
            })
            .after_connect(|connection, _| {
                Box::pin(async move {
                    // What a statement reads is what was committed when it began: with the engine's default, REPEATABLE
                    // READ, a transaction that waited for a lock would go on reading the past.
                    let session = format!(
                        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; \
                         SET SESSION wait_timeout = {SILENCE_SECONDS}"
                    );
                    sqlx::raw_sql(AssertSqlSafe(session)).execute(connection).await.map(drop)
                })
            })
            .connect_lazy_with(options);
        Ok(Self(Pools::MySql { pool, trust }))
    }

    async fn sqlite(config: &DbConfig, url: &str) -> Result<Self, DbError> {
        let in_memory = url.contains(":memory:") || url.contains("mode=memory");
        let options = SqliteConnectOptions::from_str(url)
            .map_err(|_| malformed(url))?
            .create_if_missing(true)
            .busy_timeout(config.acquire_timeout)
            .journal_mode(SqliteJournalMode::Wal)
            // A commit is on disk when it returns. NORMAL would lose the last commits with the power: logic commits its
            // offset after ours and would not send them again. Batches share the flush.
            .synchronous(SqliteSynchronous::Full)
            .statement_cache_capacity(STATEMENTS)
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new()
            .acquire_timeout(config.acquire_timeout)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None);
        // One writer: SQLite has one write lock, and a queue for a connection is fairer than polling for the lock.
        let writer = pool.clone().max_connections(1);
        if in_memory {
            let only = writer.connect_with(options).await?;
            return Ok(Self(Pools::Sqlite { writer: only.clone(), readers: only }));
        }
        if let Some(folder) = options.get_filename().parent() {
            std::fs::create_dir_all(folder)
                .map_err(|e| DbError::Config(format!("folder {}: {e}", folder.display())))?;
        }
        let writer = writer.connect_with(options.clone()).await?;
        let readers = pool.max_connections(config.max_connections).connect_lazy_with(options);
        Ok(Self(Pools::Sqlite { writer, readers }))
    }

    /// Does it answer?
    pub async fn ping(&self) -> Result<(), DbError> {
        self.fetch("SELECT 1", &[]).await.map(drop)
    }

    /// What a SELECT inside of a transaction ends with to lock its rows. Nothing for SQLite, where a transaction holds
    /// the only write lock.
    pub fn for_update(&self) -> &'static str {
        match self.0 {
            Pools::MySql { .. } => " FOR UPDATE",
            Pools::Sqlite { .. } => "",
        }
    }

    /// What follows a table's name in FROM where its rows have to be found by the primary key. MySQL prefers any other
    /// index that holds all columns asked for, even where that means to read a thousand entries in place of one.
    pub fn by_primary_key(&self) -> &'static str {
        match self.0 {
            Pools::MySql { .. } => " FORCE INDEX (PRIMARY)",
            Pools::Sqlite { .. } => "",
        }
    }

    /// The rows of a SELECT.
    pub async fn fetch(
        &self,
        sql: impl Into<Cow<'static, str>> + Send,
        args: &[Arg<'_>],
    ) -> Result<Vec<Row>, DbError> {
        let sql = AssertSqlSafe(sql.into());
        Ok(match &self.0 {
            Pools::MySql { pool, trust } => {
                let query = sqlx::query_with(sql, bind::<MySqlArguments>(args)?);
                let rows = trust.learn(query.fetch_all(pool).await.map_err(DbError::from))?;
                rows.into_iter().map(|row| Row(Engine::MySql(row))).collect()
            }
            Pools::Sqlite { readers, .. } => {
                let rows = sqlx::query_with(sql, bind::<SqliteArguments>(args)?).fetch_all(readers).await?;
                rows.into_iter().map(|row| Row(Engine::Sqlite(row))).collect()
            }
        })
    }

    /// How many rows an INSERT, UPDATE or DELETE touched, committed by itself.
    pub async fn execute(
        &self,
        sql: impl Into<Cow<'static, str>> + Send,
        args: &[Arg<'_>],
    ) -> Result<u64, DbError> {
        let sql = AssertSqlSafe(sql.into());
        Ok(match &self.0 {
            Pools::MySql { pool, trust } => {
                let query = sqlx::query_with(sql, bind::<MySqlArguments>(args)?);
                trust.learn(query.execute(pool).await.map_err(DbError::from))?.rows_affected()
            }
            Pools::Sqlite { writer, .. } => {
                sqlx::query_with(sql, bind::<SqliteArguments>(args)?).execute(writer).await?.rows_affected()
            }
        })
    }

    /// Starts a transaction that may write. Don't use the `Db` itself while holding one: where there is one connection
    /// it would wait for the other.
    pub async fn begin(&self) -> Result<Tx, DbError> {
        let (tx, _) = self.begin_reading(&[]).await?;
        Ok(tx)
    }

    /// Starts a transaction and reads in it, in one round trip: with small batches, round trips are the cost. The
    /// queries can have no arguments; so they may hold integers as text, and nothing else that comes from outside.
    pub async fn begin_reading(&self, queries: &[String]) -> Result<(Tx, Vec<Vec<Row>>), DbError> {
        let begun = Instant::now();
        let started = match &self.0 {
            Pools::MySql { pool, trust } => {
                let connection = trust.learn(pool.acquire().await.map_err(DbError::from))?;
                Tx::begin_mysql(connection, trust.clone(), queries).await
            }
            Pools::Sqlite { writer, .. } => {
                Tx::begin_sqlite(writer.begin_with("BEGIN IMMEDIATE").await?, queries).await
            }
        };
        metrics::histogram!("gochat_db_begin_seconds").record(begun.elapsed());
        started
    }

    /// Closes all connections; of SQLite, that also folds the write-ahead log into its file.
    pub async fn close(&self) {
        match &self.0 {
            Pools::MySql { pool, .. } => pool.close().await,
            Pools::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
        }
    }
}

fn malformed(url: &str) -> DbError {
    DbError::Config(format!("url {}: malformed", redacted(url)))
}
