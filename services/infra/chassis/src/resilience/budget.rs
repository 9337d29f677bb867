//! Retries as a share of calls: what keeps an outage from being multiplied by everybody's patience.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One retry, in the units of the balance.
const RETRY: u64 = 1_000;

/// A balance that calls pay into and retries take from. Shared by its clones; has no clock.
#[derive(Clone, Debug)]
pub struct Budget {
    balance: Arc<AtomicU64>,
    deposit: u64,
    most: u64,
}

impl Budget {
    /// Allows `share` retries a call over the long run (0.0 to 1.0; 0.1 is a good one), and `burst` more at once.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the range just before"
    )]
    pub fn new(share: f64, burst: u32) -> Self {
        let most = u64::from(burst) * RETRY;
        Self {
            balance: Arc::new(AtomicU64::new(most)),
            deposit: (share.clamp(0.0, 1.0) * RETRY as f64) as u64,
            most,
        }
    }

    /// A call was made.
    pub fn deposit(&self) {
        let add = |balance: u64| Some(balance.saturating_add(self.deposit).min(self.most));
        let _ = self.balance.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// May a retry be made? Takes it from the balance.
    pub fn withdraw(&self) -> bool {
        self.balance
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |balance| balance.checked_sub(RETRY))
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_a_burst_and_then_a_share_of_calls() {
        let budget = Budget::new(0.25, 3);
        let other = budget.clone();
        assert_eq!((0..10).filter(|_| other.withdraw()).count(), 3);
        let retried = (0..100).filter(|_| {
            budget.deposit();
            budget.withdraw()
        });
        assert_eq!(retried.count(), 25);
    }

    #[test]
    fn quiet_times_save_up_no_more_than_the_burst() {
        let budget = Budget::new(1.0, 2);
        (0..1_000).for_each(|_| budget.deposit());
        assert_eq!((0..10).filter(|_| budget.withdraw()).count(), 2);
    }
}
