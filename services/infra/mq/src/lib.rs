//! The log: partitions, offsets, commits. Kafka in production, an embedded log in dev, one contract.
//!
//! ```text
//! Mq ── connect(config) ──▶ kafka (rdkafka) | embedded (a journal under a folder, or memory)
//!  ├─ Producer   send(record) → Delivery (resolves when durable); idempotent, acks=all, batched
//!  ├─ Consumer   assign(partition) from the committed offset, poll a batch, commit; no group membership
//!  └─ admin      ensure_topics, partitions, ping
//! ```
//!
//! # Guarantees (both backends; `tests/contract.rs`)
//! - A `Delivery` that resolves to `Ok` is durable; records of one producer to one partition keep their order.
//! - A consumer assigned to a partition starts at the committed offset of its group, or at the earliest record.
//! - Delivery is at least once: what was polled and not committed is polled again after a restart.
//! - Nothing queues without bound: a full producer refuses with [`MqError::QueueFull`], a consumer that is not
//!   polled stops fetching.
//!
//! # Caveats
//! - Kafka: the first record of a fresh producer takes 0.5–1.1 s, until the broker gave it its idempotence id.
//! - "Durable" is what the engine says it is: with Kafka all in-sync replicas, embedded an fsync, in memory nothing.

mod config;
mod consumer;
mod delivery;
mod embedded;
mod error;
mod kafka;
mod meters;
mod mq;
mod producer;
mod record;

pub use config::{MqConfig, Properties, SaslConfig, TlsConfig, TopicSpec};
pub use consumer::Consumer;
pub use delivery::Delivery;
pub use error::MqError;
pub use mq::Mq;
pub use producer::Producer;
pub use record::{Consumed, MAX_RECORD_BYTES, Record};
