//! A machine that loses its power says no goodbye to the database.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::{Duration, Instant};

use anyhow::Result;
use gochat_db::{Arg, Db, DbConfig};
use gochat_engines::{Engine, MariaDb, missing};

#[tokio::test]
async fn the_locks_of_a_process_that_fell_silent_are_free_within_seconds() -> Result<()> {
    if missing("the_locks_of_a_process_that_fell_silent_are_free_within_seconds", &[Engine::MariaDb]) {
        return Ok(());
    }
    let server = MariaDb::start().await?;
    let config = DbConfig { url: server.url(), ..DbConfig::default() };
    let (silent, other) = (Db::connect(&config).await?, Db::connect(&config).await?);
    other.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT)", &[]).await?;
    other.execute("INSERT INTO t VALUES (1, 0)", &[]).await?;

    let mut held = silent.begin().await?;
    held.execute("UPDATE t SET n = 1 WHERE id = ?", &[Arg::Int(1)]).await?;
    // From here on nothing is said on that connection, and it is not closed either.
    let began = Instant::now();
    let mut tx = other.begin().await?;
    tx.execute("UPDATE t SET n = 2 WHERE id = ?", &[Arg::Int(1)]).await?;
    tx.commit().await?;
    let waited = began.elapsed();
    assert!((Duration::from_secs(3)..Duration::from_secs(15)).contains(&waited), "{waited:?}");
    assert!(held.commit().await.is_err(), "what it had begun is gone, and it learns so");

    // A connection that rested longer than the server's patience is not used again.
    other.execute("INSERT INTO t VALUES (2, 0)", &[]).await?;
    tokio::time::sleep(Duration::from_secs(6)).await;
    other.execute("INSERT INTO t VALUES (3, 0)", &[]).await?;
    Ok(())
}
