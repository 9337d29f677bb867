//! What a caller does when the called one is slow, away or full.
//!
//! ```text
//! backoff   how long to wait before the next attempt: full jitter
//! retry     attempts of one call, bounded by number and by a budget
//! budget    retries as a share of calls, over all callers
//! breaker   stop calling what does not answer, and probe it
//! ```
//!
//! Deadlines are [`tokio::time::timeout`] and concurrency limits are tower's: neither needs a module.

mod backoff;
mod breaker;
mod budget;
mod retry;

pub use backoff::Backoff;
pub use breaker::{Breaker, BreakerError, BreakerState};
pub use budget::Budget;
pub use retry::Retry;
