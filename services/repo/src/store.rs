//! One place for what every call needs around its statements: retries, latencies, and what a failure is to the caller.

use std::future::Future;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gochat_chassis::resilience::Retry;
use gochat_db::{Db, DbError};
use tonic::Status;

use crate::load::Calls;

/// Why a call ends without an answer.
#[derive(Debug)]
pub(crate) enum Failure {
    Db(DbError),
    Refused(Status),
}

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Refused(status)
    }
}

/// The database and how it is used; cheap to clone.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) db: Db,
    pub(crate) calls: Calls,
    retry: Retry,
}

impl Store {
    pub(crate) fn new(db: Db) -> Self {
        // Deadlocks are over in milliseconds. An outage is for the caller to wait out, who has a deadline.
        let retry = Retry {
            max_attempts: 6,
            base: Duration::from_millis(5),
            cap: Duration::from_millis(100),
            budget: None,
        };
        Self { db, calls: Calls::new(), retry }
    }

    /// Runs an attempt until it succeeds or fails for good. It may run again after its commit got no answer, so it has
    /// to be idempotent.
    pub(crate) async fn run<T, F>(&self, call: &'static str, attempt: impl FnMut() -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let _call = self.calls.begin();
        let begun = Instant::now();
        let transient = |failure: &Failure| matches!(failure, Failure::Db(error) if error.is_transient());
        let result = self.retry.run(attempt, transient).await;
        metrics::histogram!("gochat_repo_call_seconds", "call" => call).record(begun.elapsed());
        // Known from the first call on: an alert on a rate has to see the zero before the first failure.
        let failures = metrics::counter!("gochat_repo_failures_total", "call" => call);
        result.map_err(|failure| match failure {
            Failure::Refused(status) => status,
            Failure::Db(error) => {
                failures.increment(1);
                told(call, &error)
            }
        })
    }
}

fn told(call: &'static str, error: &DbError) -> Status {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    match error {
        DbError::Conflict(_) => {
            tracing::warn!(call, cause, "gave up on conflicts");
            Status::aborted("in conflict with other transactions; try again")
        }
        DbError::Unavailable(_) => {
            tracing::warn!(call, cause, "the database is away");
            Status::unavailable("the database is away; try again")
        }
        _ => {
            tracing::error!(call, %error, cause, "a statement failed");
            Status::internal("a statement failed; the log of repo says which")
        }
    }
}

/// Unix milliseconds; for people and expiry only.
pub(crate) fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// A list as the arguments of [`gochat_db::placeholders`]: its last value fills up to the next power of two.
pub(crate) fn padded<T: Copy>(values: &[T]) -> impl Iterator<Item = T> + '_ {
    let fill = values.len().next_power_of_two() - values.len();
    values.iter().copied().chain(values.last().copied().into_iter().cycle().take(fill))
}
