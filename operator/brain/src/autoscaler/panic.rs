//! Knative's panic: load that doubles within seconds is answered within seconds, and taken back slowly.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Policy;

/// Whether there is a panic, and since when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Panic {
    since: Option<Duration>,
    last_over: Duration,
}

impl Panic {
    /// Sees the recent load, in units of one member at its target; `None` when nothing is known of it.
    pub(super) fn update(&mut self, now: Duration, load: Option<f64>, ready: u32, policy: &Policy) {
        let over = load.is_some_and(|load| load / f64::from(ready.max(1)) >= policy.panic_threshold);
        if over {
            self.since.get_or_insert(now);
            self.last_over = now;
        } else if self.last_over + policy.stable_window <= now {
            self.since = None;
        }
    }

    pub(super) fn since(self) -> Option<Duration> {
        self.since
    }
}
