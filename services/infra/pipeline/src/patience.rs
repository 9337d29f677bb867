//! Waiting for another service, as long as it takes: records stay uncommitted and polling pauses, so nothing piles up.

use std::future::Future;
use std::time::Duration;

use gochat_chassis::resilience::Backoff;
use gochat_chassis::{Check, Shutdown};
use tonic::{Code, Status};

/// Capped low, since everybody's messages wait; the jitter spreads the members of a workload.
pub(crate) const BACKOFF: Backoff = Backoff { base: Duration::from_millis(50), cap: Duration::from_secs(2) };

/// The service is stopping; what is in hand stays uncommitted and is processed by the next owner.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopping")]
pub struct Stopped;

/// Retries calls until they succeed, are refused for what they ask, or the service stops; cheap to clone.
#[derive(Clone)]
pub struct Patience {
    shutdown: Shutdown,
    check: Check,
}

impl Patience {
    /// `check` is not ready while a call waits.
    pub fn new(shutdown: Shutdown, check: Check) -> Self {
        Self { shutdown, check }
    }

    /// Asks until there is an answer. `Ok(Err)` is a refusal that trying again won't change. `what` names the call.
    ///
    /// # Errors
    /// [`Stopped`] once shutdown has begun.
    pub async fn ask<T, F: Future<Output = Result<T, Status>>>(
        &self,
        what: &'static str,
        mut call: impl FnMut() -> F,
    ) -> Result<Result<T, Status>, Stopped> {
        let mut attempt = 0;
        loop {
            let status = match call().await {
                Ok(answer) => {
                    if attempt > 0 {
                        tracing::info!(what, "answered again");
                        self.check.ready();
                    }
                    return Ok(Ok(answer));
                }
                Err(status) if is_refusal(status.code()) => {
                    if attempt > 0 {
                        self.check.ready();
                    }
                    return Ok(Err(status));
                }
                Err(status) => status,
            };
            metrics::counter!("gochat_pipeline_retries_total", "call" => what).increment(1);
            if attempt == 0 {
                tracing::warn!(what, code = ?status.code(), message = status.message(), "no answer; waiting");
                self.check.not_ready(format!("{what}: no answer"));
            }
            tokio::select! {
                () = tokio::time::sleep(BACKOFF.delay(attempt)) => {}
                () = self.shutdown.wait() => return Err(Stopped),
            }
            attempt = attempt.saturating_add(1);
        }
    }
}

/// Whether it is the request that is wrong. Anything else may be a service or database in trouble.
fn is_refusal(code: Code) -> bool {
    matches!(code, Code::InvalidArgument | Code::OutOfRange | Code::NotFound)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use gochat_chassis::Health;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_waited_out_and_shown_as_not_ready() {
        let health = Health::new();
        let patience = Patience::new(Shutdown::new(), health.check("test"));
        let calls = Cell::new(0);
        let answer = patience.ask("call", || async {
            calls.set(calls.get() + 1);
            assert!(!health.is_ready());
            if calls.get() < 20 { Err(Status::unavailable("away")) } else { Ok(calls.get()) }
        });
        assert_eq!(answer.await.unwrap().unwrap(), 20);
        assert!(health.is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_comes_back_at_once_and_a_stop_ends_the_wait() {
        let shutdown = Shutdown::new();
        let patience = Patience::new(shutdown.clone(), Health::new().check("test"));
        let refused = patience.ask("call", || async { Err::<(), _>(Status::invalid_argument("no")) }).await;
        assert_eq!(refused.unwrap().unwrap_err().code(), Code::InvalidArgument);
        shutdown.begin();
        let stopped = patience.ask("call", || async { Err::<(), _>(Status::unavailable("away")) }).await;
        assert_eq!(stopped.unwrap_err(), Stopped);
    }
}
