//! Versioned scripts, each applied once.

use std::time::{SystemTime, UNIX_EPOCH};

use sqlx::{AssertSqlSafe, Connection, MySqlConnection, Row as _};

use crate::pools::Pools;
use crate::{Arg, Db, DbError};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations \
    (version BIGINT NOT NULL PRIMARY KEY, name VARCHAR(64) NOT NULL, applied_at_ms BIGINT NOT NULL)";
const APPLIED: &str = "SELECT version FROM schema_migrations";
const RECORD: &str = "INSERT INTO schema_migrations (version, name, applied_at_ms) VALUES (?, ?, ?)";
/// MySQL's named lock that keeps other processes waiting.
const LOCK: &str = "gochat_migrate";
const LOCK_SECONDS: u64 = 60;

/// A change of the schema, as SQL of both engines (types and table options are what they don't share). Its statements
/// have to bear a repetition (`IF NOT EXISTS`): MySQL commits each by itself, so a script can end half way.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Rising, never reused.
    pub version: u32,
    /// For people; at most 64 bytes.
    pub name: &'static str,
    /// The script for MySQL, MariaDB, TiDB.
    pub mysql: &'static str,
    /// The script for SQLite.
    pub sqlite: &'static str,
}

impl Db {
    /// Applies what is missing, in order of version; returns how many that were. Several processes may call it at once:
    /// one works, the others wait for it. Versions that this build does not know are left alone, so that an older build
    /// runs on during a rollout.
    pub async fn migrate(&self, migrations: &[Migration]) -> Result<usize, DbError> {
        let mut migrations = migrations.to_vec();
        migrations.sort_by_key(|migration| migration.version);
        match &self.0 {
            Pools::MySql { pool, .. } => {
                // Its own connection: closing it gives the lock back, whatever happens.
                let mut connection = pool.acquire().await?.detach();
                lock(&mut connection).await?;
                let applied = migrate_mysql(&mut connection, &migrations).await;
                let _ = connection.close().await;
                applied
            }
            Pools::Sqlite { .. } => self.migrate_sqlite(&migrations).await,
        }
    }

    /// All in one transaction, which is also the lock.
    async fn migrate_sqlite(&self, migrations: &[Migration]) -> Result<usize, DbError> {
        let mut tx = self.begin().await?;
        tx.execute(TABLE, &[]).await?;
        let applied = tx.fetch(APPLIED, &[]).await?;
        let applied = applied.iter().map(|row| row.int(0)).collect::<Result<Vec<_>, _>>()?;
        let missing = missing(migrations, &applied);
        for migration in &missing {
            for statement in statements(migration.sqlite) {
                tx.execute(statement, &[]).await.map_err(|e| failed(migration, e))?;
            }
            let record = [Arg::Int(migration.version.into()), Arg::Text(migration.name), Arg::Int(now_ms())];
            tx.execute(RECORD, &record).await?;
            tracing::info!(version = migration.version, name = migration.name, "schema migrated");
        }
        tx.commit().await?;
        Ok(missing.len())
    }
}

async fn lock(connection: &mut MySqlConnection) -> Result<(), DbError> {
    let row = sqlx::query("SELECT GET_LOCK(?, ?)")
        .bind(LOCK)
        .bind(i64::try_from(LOCK_SECONDS).unwrap_or(i64::MAX))
        .fetch_one(&mut *connection)
        .await?;
    // 1: held; 0: timed out; NULL: killed meanwhile.
    match row.try_get::<Option<i64>, _>(0)? {
        Some(1) => Ok(()),
        _ => Err(DbError::MigrationLocked(LOCK_SECONDS)),
    }
}

async fn migrate_mysql(connection: &mut MySqlConnection, migrations: &[Migration]) -> Result<usize, DbError> {
    sqlx::raw_sql(TABLE).execute(&mut *connection).await?;
    let applied = sqlx::query(APPLIED).fetch_all(&mut *connection).await?;
    let applied = applied.iter().map(|row| row.try_get(0)).collect::<Result<Vec<i64>, _>>()?;
    let missing = missing(migrations, &applied);
    for migration in &missing {
        for statement in statements(migration.mysql) {
            let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await;
            done.map_err(|e| failed(migration, e.into()))?;
        }
        sqlx::query(RECORD)
            .bind(i64::from(migration.version))
            .bind(migration.name)
            .bind(now_ms())
            .execute(&mut *connection)
            .await?;
        tracing::info!(version = migration.version, name = migration.name, "schema migrated");
    }
    Ok(missing.len())
}

fn missing(migrations: &[Migration], applied: &[i64]) -> Vec<Migration> {
    migrations.iter().filter(|m| !applied.contains(&i64::from(m.version))).copied().collect()
}

/// Our scripts hold no semicolon inside of a statement.
fn statements(script: &'static str) -> impl Iterator<Item = &'static str> {
    script.split(';').map(str::trim).filter(|statement| !statement.is_empty())
}

fn failed(migration: &Migration, source: DbError) -> DbError {
    DbError::Migration { name: migration.name, source: Box::new(source) }
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}
