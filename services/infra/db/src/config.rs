//! Settings of the database: the `db` section.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use crate::DbError;

/// Where the database is. Neither `Debug` nor serialisation shows a password.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DbConfig {
    /// `mysql://user@host:port/database`, `sqlite://path` or `sqlite::memory:`.
    #[serde(serialize_with = "without_password")]
    pub url: String,
    /// File that holds the whole address, in place of `url`: how a secret comes to a pod.
    pub url_file: Option<PathBuf>,
    /// File that holds the password, where the address has none. Read again for no reason but a restart.
    pub password_file: Option<PathBuf>,
    /// Most connections of the pool; 1 to 1,000. SQLite: of readers, beside one writer.
    pub max_connections: u32,
    /// How long a caller waits for a connection before it is told that the database is away; 100 ms to 1 min.
    #[serde(with = "humantime_serde")]
    pub acquire_timeout: Duration,
}

impl Default for DbConfig {
    fn default() -> Self {
        Self {
            url: "sqlite::memory:".into(),
            url_file: None,
            password_file: None,
            max_connections: 16,
            acquire_timeout: Duration::from_secs(2),
        }
    }
}

impl fmt::Debug for DbConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DbConfig")
            .field("url", &redacted(&self.url))
            .field("url_file", &self.url_file)
            .field("password_file", &self.password_file)
            .field("max_connections", &self.max_connections)
            .field("acquire_timeout", &self.acquire_timeout)
            .finish()
    }
}

impl DbConfig {
    /// Refuses what can't work, by name.
    pub(crate) fn check(&self) -> Result<(), DbError> {
        let Self { max_connections, acquire_timeout, .. } = self;
        if !(1..=1_000).contains(max_connections) {
            return Err(DbError::Config(format!("max_connections is {max_connections}: must be 1 to 1000")));
        }
        let (least, most) = (Duration::from_millis(100), Duration::from_mins(1));
        if !(least..=most).contains(acquire_timeout) {
            return Err(DbError::Config(format!(
                "acquire_timeout is {acquire_timeout:?}: must be 100ms to 60s"
            )));
        }
        Ok(())
    }

    /// The address, wherever it is.
    pub(crate) fn address(&self) -> Result<String, DbError> {
        let Some(path) = &self.url_file else { return Ok(self.url.clone()) };
        let text = std::fs::read_to_string(path)
            .map_err(|e| DbError::Config(format!("url_file {}: {e}", path.display())))?;
        Ok(text.trim().to_owned())
    }
}

fn without_password<S: Serializer>(url: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&redacted(url))
}

/// The address with `***` for its password.
pub(crate) fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    // A password may hold an unescaped '@': the last one is what ends it.
    let authority_end = rest.find('/').unwrap_or(rest.len());
    let at = rest.rfind('@').filter(|at| *at < authority_end || rest.starts_with(|c: char| c != '/'));
    match at.and_then(|at| rest.split_at_checked(at)) {
        Some((credentials, host)) => match credentials.split_once(':') {
            Some((user, _)) => format!("{scheme}://{user}:***{host}"),
            None => url.to_owned(),
        },
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_in_a_file_is_used_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("url");
        let config = DbConfig { url_file: Some(file.clone()), ..DbConfig::default() };
        let error = crate::Db::connect(&config).await.unwrap_err().to_string();
        assert!(error.contains(&format!("url_file {}", file.display())), "{error}");
        std::fs::write(&file, "mysql://u:secret@h:3306\n").unwrap();
        let error = crate::Db::connect(&config).await.unwrap_err().to_string();
        assert!(error.contains("mysql://u:***@h:3306: names no database"), "{error}");
        std::fs::write(&file, "mysql://u:secret@h:3306/d\n").unwrap();
        assert!(crate::Db::connect(&config).await.is_ok());
    }

    #[tokio::test]
    async fn what_is_out_of_its_range_is_refused_by_name() {
        for (config, said) in [
            (
                DbConfig { max_connections: 0, ..DbConfig::default() },
                "max_connections is 0: must be 1 to 1000",
            ),
            (
                DbConfig { acquire_timeout: Duration::ZERO, ..DbConfig::default() },
                "acquire_timeout is 0ns: must be 100ms to 60s",
            ),
        ] {
            let error = crate::Db::connect(&config).await.unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn no_password_is_ever_shown() {
        for url in ["mysql://u:secret@h:1/d", "mysql://u:sec/ret@h/d", "mysql://u:se@cret@h/d"] {
            let config = DbConfig { url: url.into(), ..DbConfig::default() };
            let shown = format!("{config:?}");
            assert!(!shown.contains("ret") && shown.contains("mysql://u:***@h"), "{shown}");
        }
        for url in ["mysql://u@h:1/d", "sqlite://a/b.db", "sqlite::memory:", "mysql://h/d"] {
            assert_eq!(redacted(url), url);
        }
    }
}
