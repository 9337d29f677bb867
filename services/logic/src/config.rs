//! Settings of logic: the `logic` section.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use gochat_chassis::config::{OutOfRange, in_range};
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
    /// After which a call to repo is given up (and retried where that is safe), 100 ms to 1 min.
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
    /// How often `keys_file` is looked at, 100 ms to 1 h.
    #[serde(with = "humantime_serde")]
    pub keys_poll: Duration,
    /// Life of an access token, 1 s to 24 h.
    #[serde(with = "humantime_serde")]
    pub access_lifetime: Duration,
    /// Life of a resume token, 1 s to 24 h.
    #[serde(with = "humantime_serde")]
    pub resume_lifetime: Duration,
    /// Life of a session that is not refreshed, at least 1 s.
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

impl Config {
    /// Has to be called where settings come from outside: what passes is used as it is.
    ///
    /// # Errors
    /// The first setting that is out of its range.
    pub fn check(&self) -> Result<(), OutOfRange> {
        in_range("logic.fanout_threshold", self.fanout_threshold, 1..=10_000)?;
        in_range("logic.max_group_members", self.max_group_members, 2..=100_000)?;
        let (ms, hours) = (Duration::from_millis, Duration::from_hours);
        in_range("logic.repo_timeout", self.repo_timeout, ms(100)..=Duration::from_mins(1))?;
        let auth = &self.auth;
        in_range("logic.auth.keys_poll", auth.keys_poll, ms(100)..=hours(1))?;
        in_range("logic.auth.access_lifetime", auth.access_lifetime, ms(1_000)..=hours(24))?;
        in_range("logic.auth.resume_lifetime", auth.resume_lifetime, ms(1_000)..=hours(24))?;
        in_range("logic.auth.session_lifetime", auth.session_lifetime, ms(1_000)..)?;
        in_range("logic.auth.password_memory_kib", auth.password_memory_kib, 8_192..=1_048_576)?;
        in_range("logic.auth.password_passes", auth.password_passes, 1..=10)
    }
}
