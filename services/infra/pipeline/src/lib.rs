//! How logic and task work on the log: owned partitions in, durable records out, then the commit.
//!
//! ```text
//! pipeline   follows which slots are owned, polls them, keeps two stages busy:
//!   │ 1 ── Process: a batch of records becomes the records that come of it
//!   │ 2 ── committer: those records durable ─▶ offsets committed      (while stage 1 has the next batch)
//! writer     queues records; a full queue is waited for: that is the back pressure on polling
//! patience   waits for another service, as long as it takes, with back-off and jitter
//! ```
//!
//! # Guarantees
//! - An offset is committed after every record that came of the ones below it is durable. So a crash repeats work and
//!   never loses any.
//! - Batches are processed one at a time, in the order of the log.
//! - A slot is released after what was polled of it is committed.
//!
//! # Caveats
//! - Whether a record can be processed is for the `Process` to decide: it must never fail for one record.

mod committer;
mod patience;
mod pipeline;
mod writer;

pub use patience::{Patience, Stopped};
pub use pipeline::{Pipeline, Process, lag_of};
pub use writer::Writer;
