//! The time that the brain is told.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Time that never goes back and reads as UTC: the Unix epoch is its origin, the monotonic clock its rate.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
    unix: Duration,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            origin: Instant::now(),
            unix: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
    }
}

impl Clock {
    /// Since the Unix epoch.
    pub fn now(&self) -> Duration {
        self.unix + self.origin.elapsed()
    }
}
