//! Settings of task: the `task` section.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use gochat_chassis::config::{OutOfRange, in_range};
use serde::{Deserialize, Serialize};

/// Settings of large-group fan-out, jobs and push.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where gRPC listens.
    pub listen: SocketAddr,
    /// `http://host:port` under which others reach it; empty: derived from the bound address.
    pub advertise: String,
    /// Unique member id, at most 63 bytes; empty: `task-<hostname>-<pid>`.
    pub member: String,
    /// Most member ids kept in the local cache of member lists.
    pub cached_members: u64,
    /// After which a call to repo is given up and tried again, 100 ms to 1 min.
    #[serde(with = "humantime_serde")]
    pub repo_timeout: Duration,
    /// How long a stop waits for work in flight.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
    /// What runs by the clock, at one member at a time.
    pub jobs: JobsConfig,
    /// Notifying users without a connection.
    pub push: PushConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 9004)),
            advertise: String::new(),
            member: String::new(),
            cached_members: 4_000_000,
            repo_timeout: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(10),
            jobs: JobsConfig::default(),
            push: PushConfig::default(),
        }
    }
}

/// What runs by the clock.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobsConfig {
    /// Messages older than this are deleted; zero: kept for ever. The newest of a conversation always stays.
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
    /// Between two clean-ups, 10 ms to 24 h.
    #[serde(with = "humantime_serde")]
    pub retention_every: Duration,
    /// Messages deleted by one statement; 1 to 10,000.
    pub retention_batch: u32,
    /// Between two readings of the day's counters, 10 ms to 24 h.
    #[serde(with = "humantime_serde")]
    pub counters_every: Duration,
    /// Busiest groups that are counted one by one; 0 to 100.
    pub top_groups: u32,
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self {
            retention: Duration::ZERO,
            retention_every: Duration::from_hours(1),
            retention_batch: 1_000,
            counters_every: Duration::from_mins(1),
            top_groups: 10,
        }
    }
}

/// A webhook that is told of messages to users without a connection.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PushConfig {
    /// `http(s)://…` that takes the POST; empty: push is off.
    pub url: String,
    /// File whose content signs each POST (HMAC-SHA256); none: unsigned.
    pub secret_file: Option<PathBuf>,
    /// Of one attempt, 10 ms to 1 min.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Attempts of one notification; 1 to 10.
    pub max_attempts: u32,
    /// Longest wait before the second attempt; it doubles with each one, up to 30 s, with full jitter.
    #[serde(with = "humantime_serde")]
    pub backoff: Duration,
    /// Notifications under way at a time; 1 to 1,000.
    pub parallel: usize,
    /// Notifications that may wait; more are dropped and counted. 1 to 100,000.
    pub queue: usize,
}

impl Default for PushConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            secret_file: None,
            timeout: Duration::from_secs(5),
            max_attempts: 4,
            backoff: Duration::from_millis(250),
            parallel: 16,
            queue: 1_000,
        }
    }
}

impl Config {
    /// Has to be called where settings come from outside: what passes is used as it is.
    ///
    /// # Errors
    /// The first setting that is out of its range.
    pub fn check(&self) -> Result<(), OutOfRange> {
        let (jobs, push) = (&self.jobs, &self.push);
        let (ms, minutes) = (Duration::from_millis, Duration::from_mins);
        in_range("task.repo_timeout", self.repo_timeout, ms(100)..=minutes(1))?;
        in_range("task.jobs.retention_every", jobs.retention_every, ms(10)..=minutes(24 * 60))?;
        in_range("task.jobs.counters_every", jobs.counters_every, ms(10)..=minutes(24 * 60))?;
        in_range("task.push.timeout", push.timeout, ms(10)..=minutes(1))?;
        in_range("task.jobs.retention_batch", jobs.retention_batch, 1..=10_000)?;
        in_range("task.jobs.top_groups", jobs.top_groups, 0..=100)?;
        in_range("task.push.max_attempts", push.max_attempts, 1..=10)?;
        in_range("task.push.parallel", push.parallel, 1..=1_000)?;
        in_range("task.push.queue", push.queue, 1..=100_000)
    }
}
