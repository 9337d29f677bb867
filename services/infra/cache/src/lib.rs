//! A process-local cache in front of Redis, with invalidation.
//!
//! ```text
//! get_or_load ─▶ local (moka; one load at a time per id) ─▶ Redis ─▶ load
//! invalidate ──▶ local, Redis (tombstone), channel ─▶ local of every other process
//! ```
//!
//! # Guarantees
//! - Never fails a caller: a Redis that is gone costs speed. Each call to it is bounded, and after a few failures it is
//!   left alone for a moment.
//! - After `invalidate` returns, no call of this process that begins later sees the old value.
//! - Other processes see it at most until the invalidation has travelled; where it can't (Redis is away), at most for
//!   `local_ttl`, plus what Redis itself still holds until this process could tell it: that is tried again as soon as it
//!   is back.
//! - A load that an invalidation overtook is given to who asked, and kept nowhere: locally by a generation, in Redis by
//!   the tombstone, which lives longer than any load whose result is written.

mod cache;
mod config;
mod layer;
mod local;
mod remote;

pub use cache::Cache;
pub use config::CacheConfig;
pub use layer::{CacheError, CacheLayer};
