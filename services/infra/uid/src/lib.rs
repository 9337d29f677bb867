//! Unique ids: Snowflake with a leased worker id, and UUIDv7.

use gochat_coord::{Coord, CoordError};

/// Why no id could be made.
#[derive(Debug, thiserror::Error)]
pub enum UidError {
    /// The clock stands further back than is worth waiting for.
    #[error("the clock stepped back by {0:?}; no id is made until it has caught up")]
    ClockBehind(std::time::Duration),
    /// The worker id's lease is lost; a new one is being claimed.
    #[error("no worker id is held")]
    NoWorker,
    #[error(transparent)]
    #[allow(missing_docs)]
    Coord(#[from] CoordError),
}

/// Makes ids of 41 bits of milliseconds, 10 of worker, 12 of sequence; never 0. Cheap to clone.
#[derive(Clone)]
pub struct Snowflake;

impl Snowflake {
    /// Leases a worker id and makes ids as that worker.
    pub async fn lease(coord: &Coord) -> Result<Self, UidError> {
        todo!()
    }
    /// A new id; waits (async, at most milliseconds) on sequence overflow.
    pub async fn next(&self) -> Result<u64, UidError> {
        todo!()
    }
}

/// A UUIDv7 as its 36 characters.
pub fn uuid_v7() -> String {
    uuid::Uuid::now_v7().to_string()
}
