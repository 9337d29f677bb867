//! Settings of logic: the `logic` section.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Settings of the business service.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where gRPC listens.
    pub listen: SocketAddr,
    /// `http://host:port` under which other services reach it; empty: derived from the bound address.
    pub advertise: String,
    /// Unique member id, at most 63 bytes; empty: `logic-<hostname>-<pid>`.
    pub member: String,
    /// A conversation of more members is fanned out by task; 1 to 10,000.
    pub fanout_threshold: u32,
    /// Most members of a group; 2 to 100,000.
    pub max_group_members: u32,
    /// Most member ids kept in the local cache of member lists.
    pub cached_members: u64,
    /// After which a call to repo is given up (and retried where that is safe).
    #[serde(with = "humantime_serde")]
    pub repo_timeout: Duration,
    /// How long a stop waits for work in flight.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
    /// Accounts, tokens and sessions.
    pub auth: AuthConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 9001)),
            advertise: String::new(),
            member: String::new(),
            fanout_threshold: 500,
            max_group_members: 100_000,
            cached_members: 4_000_000,
            repo_timeout: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(10),
            auth: AuthConfig::default(),
        }
    }
}

/// Accounts, tokens and sessions.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// File with one `kid: base64 key` a line (each key ≥ 32 bytes): the first signs, all verify. Read again when it changes.
    pub keys_file: Option<PathBuf>,
    /// A signing key in place, ≥ 32 bytes; for development only.
    #[serde(skip_serializing)]
    pub secret: String,
    /// How often `keys_file` is looked at.
    #[serde(with = "humantime_serde")]
    pub keys_poll: Duration,
    /// Life of an access token.
    #[serde(with = "humantime_serde")]
    pub access_lifetime: Duration,
    /// Life of a resume token.
    #[serde(with = "humantime_serde")]
    pub resume_lifetime: Duration,
    /// Life of a session that is not refreshed.
    #[serde(with = "humantime_serde")]
    pub session_lifetime: Duration,
    /// Memory of one password hash in KiB; 8,192 to 1,048,576. OWASP's floor for argon2id at 2 passes is 19,456.
    pub password_memory_kib: u32,
    /// Passes of one password hash; 1 to 10.
    pub password_passes: u32,
    /// Password hashes computed at a time; 0: one per CPU.
    pub password_parallel: usize,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            keys_file: None,
            secret: String::new(),
            keys_poll: Duration::from_secs(10),
            access_lifetime: Duration::from_mins(15),
            resume_lifetime: Duration::from_hours(1),
            session_lifetime: Duration::from_hours(30 * 24),
            password_memory_kib: 19_456,
            password_passes: 2,
            password_parallel: 0,
        }
    }
}

/// Settings that can't be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum ConfigError {
    #[error("logic.{field} = {value}: must be {range}")]
    Range { field: &'static str, value: String, range: String },
}

impl Config {
    /// Checks ranges; what passes is used as it is.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        in_range("fanout_threshold", self.fanout_threshold, 1..=10_000)?;
        in_range("max_group_members", self.max_group_members, 2..=100_000)?;
        let auth = &self.auth;
        in_range("auth.password_memory_kib", auth.password_memory_kib, 8_192..=1_048_576)?;
        in_range("auth.password_passes", auth.password_passes, 1..=10)
    }
}

fn in_range<T: PartialOrd + Copy + std::fmt::Display>(
    field: &'static str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<(), ConfigError> {
    if range.contains(&value) {
        return Ok(());
    }
    let range = format!("{} to {}", range.start(), range.end());
    Err(ConfigError::Range { field, value: value.to_string(), range })
}
