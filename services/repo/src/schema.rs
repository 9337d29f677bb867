//! The schema's history.

use gochat_db::{Db, DbError, Migration};

const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "first",
    mysql: include_str!("../migrations/mysql/0001_first.sql"),
    sqlite: include_str!("../migrations/sqlite/0001_first.sql"),
}];

/// Brings the schema to this build's version; returns how many steps that took, none where it is there already. Safe to
/// call from many processes.
pub async fn migrate(db: &Db) -> Result<usize, DbError> {
    db.migrate(MIGRATIONS).await
}
