//! Unique ids: Snowflake with a leased worker id, and UUIDv7.
//!
//! ```text
//! Snowflake   the handle that services share
//!  ├─ sequence   the next id from the last one, the clock and a bound: pure
//!  ├─ layout     41 bits of milliseconds, 10 of worker, 12 of sequence
//!  └─ worker     which worker this process is, and up to when it may give out ids: claimed and renewed through coord
//! ```
//!
//! # Guarantees
//! No two ids are equal:
//! - within one holder of a worker id, its sequence is strictly increasing, whatever the clock does;
//! - between two holders, whether they know of each other or not: a holder gives out only ids below a *bound* that
//!   is stored in coord beforehand, and the next holder replaces the stored bound before it starts above it. A holder
//!   that was replaced fails to raise its bound, so it stops at the one that its successor has seen. This rests on
//!   coord's compare-and-put and on nobody's clock, lease or timing.
//!
//! # Assumptions
//! What coord has stored stays stored. With the in-process coordination of dev, bounds end with the process: there a
//! clock that steps back across a restart could repeat ids, if the same one of 1,024 workers were drawn again.
//!
//! # Caveats
//! Ids order by time only as well as the clocks of their makers agree; what orders messages is their seq.

mod layout;
mod sequence;
mod snowflake;
mod worker;

pub use layout::{EPOCH_MS, Parts};
pub use snowflake::Snowflake;

use gochat_coord::CoordError;

/// Why no id could be made.
#[derive(Debug, thiserror::Error)]
pub enum UidError {
    /// The clock stands further back than is worth waiting for.
    #[error("the clock stepped back by {0:?}; no id is made until it has caught up")]
    ClockBehind(std::time::Duration),
    /// The worker id's lease is lost; a new one is being claimed.
    #[error("no worker id is held")]
    NoWorker,
    /// All ids of this millisecond are given out; only from [`Snowflake::try_next`].
    #[error("all 4096 ids of this millisecond are given out")]
    Exhausted,
    /// Coordination didn't give a worker id.
    #[error(transparent)]
    Coord(#[from] CoordError),
}

/// A UUIDv7 as its 36 characters.
pub fn uuid_v7() -> String {
    uuid::Uuid::now_v7().to_string()
}
