//! Settings of repo: the `repo` section.

use std::net::SocketAddr;
use std::time::Duration;

use gochat_chassis::config::{OutOfRange, in_range};
use serde::{Deserialize, Serialize};

/// Settings of the data service.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where gRPC listens.
    pub listen: SocketAddr,
    /// `http://host:port` under which other services reach it; empty: derived from the bound address.
    pub advertise: String,
    /// Unique member id, at most 63 bytes; empty: `repo-<hostname>-<pid>`.
    pub member: String,
    /// How often the database is asked whether it answers, for readiness; 100 ms to 1 min.
    #[serde(with = "humantime_serde")]
    pub ping_every: Duration,
    /// How long a stop waits for calls in flight.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 9002)),
            advertise: String::new(),
            member: String::new(),
            ping_every: Duration::from_secs(1),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

impl Config {
    /// Has to be called where settings come from outside: what passes is used as it is.
    ///
    /// # Errors
    /// The first setting that is out of its range.
    pub fn check(&self) -> Result<(), OutOfRange> {
        in_range("repo.ping_every", self.ping_every, Duration::from_millis(100)..=Duration::from_mins(1))
    }
}
