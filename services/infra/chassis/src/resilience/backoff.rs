//! How long to wait before the next attempt.

use std::time::Duration;

use rand::RngExt;

/// Exponential with full jitter: anything from nothing to `base × 2^attempt`, at most `cap`.
///
/// Full jitter spreads a crowd of clients best, and costs the called one least (Brooker, "Exponential Backoff And
/// Jitter", 2015).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The most that the first wait can be.
    pub base: Duration,
    /// The most that any wait can be.
    pub cap: Duration,
}

impl Backoff {
    /// The most that the wait after `attempt` failures but one can be; `attempt` counts from 0.
    pub fn ceiling(&self, attempt: u32) -> Duration {
        self.base.saturating_mul(2u32.saturating_pow(attempt)).min(self.cap)
    }

    /// A wait.
    pub fn delay(&self, attempt: u32) -> Duration {
        self.ceiling(attempt).mul_f64(rand::rng().random_range(0.0..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_never_overflow() {
        let backoff = Backoff { base: Duration::from_millis(10), cap: Duration::from_secs(1) };
        let ceilings: Vec<_> = [0, 1, 2, 7, u32::MAX].map(|n| backoff.ceiling(n).as_millis()).into();
        assert_eq!(ceilings, [10, 20, 40, 1000, 1000]);
        assert!((0..100).all(|n| backoff.delay(n) <= backoff.ceiling(n)));
    }
}
