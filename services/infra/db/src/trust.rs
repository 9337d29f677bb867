//! Which idle connections may be used unasked. A ping before each use would be a round trip before every statement; so
//! instead, when one connection turns out to be broken (the server was restarted, a proxy gave up), all that were opened
//! before that moment are closed as their turn comes. One caller has to try again, not one for each idle connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::DbError;

#[derive(Clone, Debug, Default)]
pub(crate) struct Trust(Arc<Mutex<Option<Instant>>>);

impl Trust {
    /// Looks at how a statement went.
    pub(crate) fn learn<T>(&self, result: Result<T, DbError>) -> Result<T, DbError> {
        if let Err(error @ DbError::Unavailable(_)) = &result
            && error.is_transient()
        {
            *self.0.lock() = Some(Instant::now());
        }
        result
    }

    /// May a connection of this age be used?
    pub(crate) fn covers(&self, age: Duration) -> bool {
        self.0.lock().is_none_or(|broken| age < broken.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_connection_discredits_the_older_ones_only() {
        let trust = Trust::default();
        assert!(trust.covers(Duration::from_secs(1_000)));
        let _ = trust.learn::<()>(Err(DbError::Statement(sqlx::Error::RowNotFound)));
        let _ = trust.learn::<()>(Err(DbError::Unavailable(sqlx::Error::PoolTimedOut)));
        assert!(trust.covers(Duration::from_secs(1_000)));
        let _ = trust.learn::<()>(Err(DbError::Unavailable(sqlx::Error::WorkerCrashed)));
        assert!(!trust.covers(Duration::from_secs(1_000)));
        assert!(trust.covers(Duration::ZERO));
    }
}
