//! Settings of repo: the `repo` section.

use std::net::SocketAddr;
use std::time::Duration;

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
