//! Settings of the cache: the `cache` section.

use std::path::PathBuf;
use std::time::Duration;

use gochat_chassis::config::{OutOfRange, in_range};
use serde::{Deserialize, Serialize};

/// Where Redis is and how much is kept here.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// `redis://host:port`; empty: local only. Without a password: see `password_file`.
    pub redis: String,
    /// File that holds the whole address, in place of `redis`: how a secret comes to a pod.
    pub redis_file: Option<PathBuf>,
    /// File that holds the password.
    pub password_file: Option<PathBuf>,
    /// Keys and channels start with it.
    pub prefix: String,
    /// Most entries kept locally, per cache.
    pub local_entries: u64,
    /// How long a local entry may be used without asking Redis: the bound of staleness when an invalidation is missed.
    #[serde(with = "humantime_serde")]
    pub local_ttl: Duration,
    /// How long Redis may take to answer before it is gone without; 1 ms to 1 s.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            redis: String::new(),
            redis_file: None,
            password_file: None,
            prefix: "gochat".into(),
            local_entries: 100_000,
            local_ttl: Duration::from_secs(5),
            timeout: Duration::from_millis(50),
        }
    }
}

impl CacheConfig {
    /// Checks ranges; what passes is used as it is.
    pub(crate) fn check(&self) -> Result<(), OutOfRange> {
        in_range("cache.timeout", self.timeout, Duration::from_millis(1)..=Duration::from_secs(1))
    }
}
