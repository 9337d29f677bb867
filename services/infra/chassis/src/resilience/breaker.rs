//! Stop calling what does not answer, and probe it.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Closed: calls pass. Open: calls are refused for a while. Half-open: one call probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls pass; so many have failed in a row.
    Closed {
        /// Without a success between them.
        failures: u32,
    },
    /// Calls are refused until then.
    Open {
        /// When a probe may pass.
        until: Instant,
    },
    /// One probe is under way; others are refused until it has ended, or until then where it never tells.
    HalfOpen {
        /// When the next probe may pass.
        until: Instant,
    },
}

/// A circuit breaker. Shared by its clones.
#[derive(Clone, Debug)]
pub struct Breaker {
    state: Arc<Mutex<BreakerState>>,
    threshold: u32,
    pause: Duration,
}

/// Why a call through a breaker failed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BreakerError<E> {
    /// The call was not made.
    #[error("not called: the last calls failed")]
    Open,
    /// The call was made.
    #[error(transparent)]
    Failed(E),
}

impl Breaker {
    /// Opens after `threshold` failures in a row, for `pause`; then lets one call probe.
    pub fn new(threshold: u32, pause: Duration) -> Self {
        Self {
            state: Arc::new(Mutex::new(BreakerState::Closed { failures: 0 })),
            threshold: threshold.max(1),
            pause,
        }
    }

    /// As it is now.
    pub fn state(&self) -> BreakerState {
        *self.state.lock()
    }

    /// May a call be made? Where it may, [`succeeded`](Self::succeeded) or [`failed`](Self::failed) has to follow.
    pub fn admit(&self, now: Instant) -> bool {
        let mut state = self.state.lock();
        match *state {
            BreakerState::Closed { .. } => true,
            BreakerState::Open { until } | BreakerState::HalfOpen { until } if now < until => false,
            BreakerState::Open { .. } | BreakerState::HalfOpen { .. } => {
                *state = BreakerState::HalfOpen { until: now + self.pause };
                true
            }
        }
    }

    /// A call succeeded.
    pub fn succeeded(&self) {
        *self.state.lock() = BreakerState::Closed { failures: 0 };
    }

    /// A call failed in a way that speaks of the called one, not of the request.
    pub fn failed(&self, now: Instant) {
        let mut state = self.state.lock();
        *state = match *state {
            BreakerState::Closed { failures } if failures + 1 < self.threshold => {
                BreakerState::Closed { failures: failures + 1 }
            }
            // A call that was under way when it opened tells nothing new, and must not prolong the pause.
            BreakerState::Open { until } => BreakerState::Open { until },
            BreakerState::Closed { .. } | BreakerState::HalfOpen { .. } => {
                metrics::counter!("gochat_chassis_breaker_opened_total").increment(1);
                BreakerState::Open { until: now + self.pause }
            }
        };
    }

    /// Runs a call where one may be made. `counts` says which errors speak of the called one.
    pub async fn call<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>>,
        counts: impl Fn(&E) -> bool,
    ) -> Result<T, BreakerError<E>> {
        if !self.admit(Instant::now()) {
            return Err(BreakerError::Open);
        }
        let result = call.await;
        match &result {
            Err(error) if counts(error) => self.failed(Instant::now()),
            _ => self.succeeded(),
        }
        result.map_err(BreakerError::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(10);

    #[test]
    fn an_outage_and_its_end_as_a_transcript() {
        let breaker = Breaker::new(3, PAUSE);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);

        for second in 0..2 {
            assert!(breaker.admit(at(second)));
            breaker.failed(at(second));
        }
        assert_eq!(breaker.state(), BreakerState::Closed { failures: 2 });

        breaker.failed(at(2));
        assert_eq!(breaker.state(), BreakerState::Open { until: at(12) });
        assert!(!breaker.admit(at(11)));

        breaker.failed(at(11));
        assert_eq!(
            breaker.state(),
            BreakerState::Open { until: at(12) },
            "a straggler does not prolong the pause"
        );

        assert!(breaker.admit(at(12)), "one probe");
        assert!(!breaker.admit(at(12)), "and no other");
        breaker.failed(at(13));
        assert_eq!(breaker.state(), BreakerState::Open { until: at(23) });

        assert!(breaker.admit(at(23)));
        breaker.succeeded();
        assert!(breaker.admit(at(23)));
        assert_eq!(breaker.state(), BreakerState::Closed { failures: 0 });
    }

    #[test]
    fn a_probe_that_was_dropped_does_not_close_the_way_for_ever() {
        let breaker = Breaker::new(1, PAUSE);
        let start = Instant::now();
        breaker.failed(start);
        assert!(breaker.admit(start + PAUSE));
        assert!(!breaker.admit(start + PAUSE));
        assert!(breaker.admit(start + 2 * PAUSE));
    }

    #[tokio::test]
    async fn an_error_of_the_request_does_not_open_it() {
        let breaker = Breaker::new(1, PAUSE);
        let wrong = breaker.call(async { Err::<(), _>("your fault") }, |_| false).await;
        assert_eq!(wrong, Err(BreakerError::Failed("your fault")));
        let away = breaker.call(async { Err::<(), _>("away") }, |_| true).await;
        assert_eq!(away, Err(BreakerError::Failed("away")));
        assert_eq!(breaker.call(async { Ok::<_, &str>(()) }, |_| true).await, Err(BreakerError::Open));
    }
}
