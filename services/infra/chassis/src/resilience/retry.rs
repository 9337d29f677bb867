//! Attempts of one call.

use std::future::Future;
use std::time::Duration;

use super::{Backoff, Budget};

/// How often and how patiently a call is tried again. Only for calls that may be repeated.
#[derive(Clone, Debug)]
pub struct Retry {
    /// Attempts in all; 1 never retries.
    pub max_attempts: u32,
    /// The most that the first wait can be.
    pub base: Duration,
    /// The most that any wait can be.
    pub cap: Duration,
    /// Shared with the other callers of the same service; `None` where this is the only caller.
    pub budget: Option<Budget>,
}

impl Retry {
    /// Runs `call` until it succeeds, fails for good, or attempts or budget are used up; then the last error.
    /// The caller's deadline goes around all of it. Cancel-safe as far as `call` is.
    pub async fn run<T, E, C>(
        &self,
        mut call: impl FnMut() -> C,
        retryable: impl Fn(&E) -> bool,
    ) -> Result<T, E>
    where
        C: Future<Output = Result<T, E>>,
    {
        if let Some(budget) = &self.budget {
            budget.deposit();
        }
        let backoff = Backoff { base: self.base, cap: self.cap };
        let mut attempt = 0;
        loop {
            let error = match call().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let last = attempt + 1 >= self.max_attempts || !retryable(&error);
            if last || self.budget.as_ref().is_some_and(|b| !b.withdraw()) {
                return Err(error);
            }
            metrics::counter!("gochat_chassis_retries_total").increment(1);
            tokio::time::sleep(backoff.delay(attempt)).await;
            attempt += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const RETRY: Retry = Retry {
        max_attempts: 4,
        base: Duration::from_millis(50),
        cap: Duration::from_millis(200),
        budget: None,
    };

    async fn attempts(retry: &Retry, succeeds_at: u32, retryable: bool) -> (u32, Result<u32, &'static str>) {
        let made = Cell::new(0);
        let result = retry
            .run(
                || {
                    made.set(made.get() + 1);
                    let n = made.get();
                    async move { if n >= succeeds_at { Ok(n) } else { Err("away") } }
                },
                |_| retryable,
            )
            .await;
        (made.get(), result)
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_tried_until_it_succeeds_or_attempts_are_used_up() {
        assert_eq!(attempts(&RETRY, 3, true).await, (3, Ok(3)));
        let begun = tokio::time::Instant::now();
        assert_eq!(attempts(&RETRY, 9, true).await, (4, Err("away")));
        assert!(begun.elapsed() <= Duration::from_millis(50 + 100 + 200 + 3), "jitter only shortens");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_retryable_fails_at_once() {
        assert_eq!(attempts(&RETRY, 3, false).await, (1, Err("away")));
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_not_multiplied_once_the_budget_is_spent() {
        let retry = Retry { budget: Some(Budget::new(0.1, 5)), ..RETRY };
        let mut made = 0;
        for _ in 0..100 {
            made += attempts(&retry, u32::MAX, true).await.0;
        }
        assert!((105..=115).contains(&made), "100 calls and about 5 + 10 retries, made {made}");
    }
}
