//! A transaction.

use std::borrow::Cow;

use futures::TryStreamExt;
use sqlx::mysql::MySqlArguments;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Either, MySql, Sqlite, Transaction};

use crate::DbError;
use crate::trust::Trust;
use crate::value::{Arg, Engine, Row, bind};

/// Many statements that happen together or not at all. Rolled back where it is dropped.
#[derive(Debug)]
pub struct Tx(Open);

#[derive(Debug)]
enum Open {
    MySql(MySqlTx),
    Sqlite(Transaction<'static, Sqlite>),
}

/// sqlx's own transaction sends BEGIN alone and waits for it; here it goes with the first reads. So what sqlx does for
/// cancellation is done here: a connection dropped with an open transaction is closed, and the server rolls back.
#[derive(Debug)]
struct MySqlTx {
    /// Taken by the end.
    connection: Option<PoolConnection<MySql>>,
    trust: Trust,
}

impl MySqlTx {
    fn connection(&mut self) -> Result<&mut PoolConnection<MySql>, sqlx::Error> {
        self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)
    }

    async fn end(mut self, statement: &'static str) -> Result<(), DbError> {
        let done = sqlx::raw_sql(statement).execute(&mut **self.connection()?).await;
        self.trust.learn(done.map_err(DbError::from))?;
        // Only now it may go back to the pool.
        drop(self.connection.take());
        Ok(())
    }
}

impl Drop for MySqlTx {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
    }
}

impl Tx {
    pub(crate) async fn begin_mysql(
        connection: PoolConnection<MySql>,
        trust: Trust,
        queries: &[String],
    ) -> Result<(Self, Vec<Vec<Row>>), DbError> {
        let mut tx = MySqlTx { connection: Some(connection), trust: trust.clone() };
        let script = format!("BEGIN;{}", queries.join(";"));
        let script = script.trim_end_matches(';').to_owned();
        let mut sets = Vec::with_capacity(queries.len() + 1);
        let mut rows = Vec::new();
        {
            let connection = tx.connection()?;
            let mut answers =
                sqlx::Executor::fetch_many(&mut **connection, sqlx::raw_sql(AssertSqlSafe(script)));
            while let Some(answer) = trust.learn(answers.try_next().await.map_err(DbError::from))? {
                match answer {
                    Either::Left(_) => sets.push(std::mem::take(&mut rows)),
                    Either::Right(row) => rows.push(Row(Engine::MySql(row))),
                }
            }
        }
        // The first answer is BEGIN's own.
        Ok((Self(Open::MySql(tx)), sets.into_iter().skip(1).collect()))
    }

    pub(crate) async fn begin_sqlite(
        mut tx: Transaction<'static, Sqlite>,
        queries: &[String],
    ) -> Result<(Self, Vec<Vec<Row>>), DbError> {
        let mut sets = Vec::with_capacity(queries.len());
        for query in queries {
            let rows = sqlx::raw_sql(AssertSqlSafe(query.as_str())).fetch_all(&mut *tx).await?;
            sets.push(rows.into_iter().map(|row| Row(Engine::Sqlite(row))).collect());
        }
        Ok((Self(Open::Sqlite(tx)), sets))
    }

    /// The rows of a SELECT.
    pub async fn fetch(
        &mut self,
        sql: impl Into<Cow<'static, str>> + Send,
        args: &[Arg<'_>],
    ) -> Result<Vec<Row>, DbError> {
        let sql = AssertSqlSafe(sql.into());
        Ok(match &mut self.0 {
            Open::MySql(tx) => {
                let query = sqlx::query_with(sql, bind::<MySqlArguments>(args)?);
                let rows = query.fetch_all(&mut **tx.connection()?).await;
                let rows = tx.trust.learn(rows.map_err(DbError::from))?;
                rows.into_iter().map(|row| Row(Engine::MySql(row))).collect()
            }
            Open::Sqlite(tx) => {
                let query = sqlx::query_with(sql, bind::<SqliteArguments>(args)?);
                let rows = query.fetch_all(&mut **tx).await?;
                rows.into_iter().map(|row| Row(Engine::Sqlite(row))).collect()
            }
        })
    }

    /// How many rows an INSERT, UPDATE or DELETE touched. After an error nothing of the statement remains, but what the
    /// transaction did before does.
    pub async fn execute(
        &mut self,
        sql: impl Into<Cow<'static, str>> + Send,
        args: &[Arg<'_>],
    ) -> Result<u64, DbError> {
        let sql = AssertSqlSafe(sql.into());
        Ok(match &mut self.0 {
            Open::MySql(tx) => {
                let query = sqlx::query_with(sql, bind::<MySqlArguments>(args)?);
                let done = query.execute(&mut **tx.connection()?).await;
                tx.trust.learn(done.map_err(DbError::from))?.rows_affected()
            }
            Open::Sqlite(tx) => {
                let query = sqlx::query_with(sql, bind::<SqliteArguments>(args)?);
                query.execute(&mut **tx).await?.rows_affected()
            }
        })
    }

    /// All of it happens. After `Unavailable` it may have: whoever repeats has to be idempotent.
    pub async fn commit(self) -> Result<(), DbError> {
        match self.0 {
            Open::MySql(tx) => tx.end("COMMIT").await,
            Open::Sqlite(tx) => Ok(tx.commit().await?),
        }
    }

    /// Nothing of it happens. The same as dropping it, but keeps the connection.
    pub async fn rollback(self) -> Result<(), DbError> {
        match self.0 {
            Open::MySql(tx) => tx.end("ROLLBACK").await,
            Open::Sqlite(tx) => Ok(tx.rollback().await?),
        }
    }
}
