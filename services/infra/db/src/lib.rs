//! SQL: one pool, MySQL protocol or SQLite, migrations embedded.

/// Where the database is.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DbConfig {
    /// `mysql://user@host:port/database` or `sqlite://path` or `sqlite::memory:`.
    pub url: String,
    /// File that holds the password, where the address has none.
    pub password_file: Option<std::path::PathBuf>,
    /// Most connections of the pool.
    pub max_connections: u32,
}

impl Default for DbConfig {
    fn default() -> Self {
        Self { url: "sqlite::memory:".into(), password_file: None, max_connections: 16 }
    }
}
