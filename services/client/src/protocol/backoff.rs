//! Reconnect delays: exponential with full jitter, so that a restarted gateway isn't met by all its clients at once.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::SmallRng;

/// Mean of the first delay is half of this.
pub(super) const BASE: Duration = Duration::from_millis(100);
/// No delay is longer.
pub(super) const CAP: Duration = Duration::from_secs(10);

/// A delay before the attempt after `failures` failed ones.
///
/// Full jitter (Brooker, "Exponential Backoff And Jitter", 2015): uniform in `[0, min(cap, base · 2^failures)]`.
pub(super) fn delay(rng: &mut SmallRng, failures: u32) -> Duration {
    within(rng, BASE.saturating_mul(1 << failures.min(16)).min(CAP))
}

/// A random moment within a span.
pub(super) fn within(rng: &mut SmallRng, span: Duration) -> Duration {
    span.mul_f64(rng.random_range(0.0..=1.0))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn delays_grow_and_never_pass_the_cap() {
        let mut rng = SmallRng::seed_from_u64(1);
        for failures in [0, 1, 5, 7, 40, u32::MAX] {
            let most = (0..200).map(|_| delay(&mut rng, failures)).max().unwrap();
            assert!(most <= CAP.min(BASE * (1 << failures.min(7))), "{failures} failures: {most:?}");
            assert!(most >= CAP.min(BASE * (1 << failures.min(7))) / 2, "{failures} failures: {most:?}");
        }
    }
}
