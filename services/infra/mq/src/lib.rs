//! The log: partitions, offsets, commits. Kafka in production, an embedded log in dev, one contract.
//!
//! ```text
//! Mq ── connect(config) ──▶ Kafka (rdkafka) | Embedded (files under a folder, or memory)
//!  ├─ Producer   send(record) → Delivery (resolves when durable); idempotent, acks=all, batched
//!  ├─ Consumer   assign(partition) from the committed offset, poll a batch, commit; no group membership
//!  └─ admin      ensure_topics, partition counts, end offsets
//! ```
//!
//! # Guarantees (both backends; `tests/contract.rs`)
//! - A `Delivery` that resolves to `Ok` is durable; records of one producer to one partition keep their order.
//! - A consumer assigned to a partition starts at the committed offset of its group, or at the earliest record.
//! - Delivery is at least once: what was polled and not committed is polled again after a restart.

use bytes::Bytes;
use std::time::Duration;

/// A record to be written.
#[derive(Clone, Debug)]
pub struct Record {
    /// Full name of the topic.
    pub topic: std::sync::Arc<str>,
    /// Chosen by the caller: placement of work is ours, not the partitioner's.
    pub partition: u32,
    /// The conversation or user id; for people and tools.
    pub key: Bytes,
    /// At most 1 MiB.
    pub payload: Bytes,
    /// Few and small: `message-id`, `traceparent`.
    pub headers: Vec<(&'static str, Bytes)>,
}

/// A record that was read.
#[derive(Clone, Debug)]
pub struct Consumed {
    /// Where it stands.
    pub partition: u32,
    /// Its place in the partition; a commit names the next one.
    pub offset: u64,
    #[allow(missing_docs)]
    pub key: Bytes,
    #[allow(missing_docs)]
    pub payload: Bytes,
    #[allow(missing_docs)]
    pub headers: Vec<(String, Bytes)>,
}

/// What the log could not do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MqError {
    /// The producer's bounded queue is full: back off.
    #[error("the producer's queue is full")]
    QueueFull,
    /// Refused before it was sent.
    #[error("record of {bytes} bytes: at most {max}")]
    TooLarge {
        /** its size */
        bytes: usize,
        /** the limit */
        max: usize,
    },
    /// Not durable within the delivery timeout, or the log is away.
    #[error("{what}: {reason}")]
    Unavailable {
        /** what was tried on which object */
        what: String,
        /** as the engine said it */
        reason: String,
    },
    /// No such topic or partition.
    #[error("topic {topic} has no partition {partition}")]
    NoPartition {
        #[allow(missing_docs)]
        topic: String,
        #[allow(missing_docs)]
        partition: u32,
    },
}

/// The log's address and limits.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MqConfig {
    /// Kafka's `host:port[,host:port]`; empty: the embedded log.
    pub bootstrap: String,
    /// Folder of the embedded log; empty: in memory.
    pub path: String,
    /// Topics are named `<prefix>.upstream` and so on.
    pub prefix: String,
    /// How long the producer waits for more records of a batch.
    #[serde(with = "humantime_serde")]
    pub linger: Duration,
    /// After which a record that could not be made durable fails.
    #[serde(with = "humantime_serde")]
    pub delivery_timeout: Duration,
}

impl Default for MqConfig {
    fn default() -> Self {
        Self {
            bootstrap: String::new(),
            path: String::new(),
            prefix: "gochat".into(),
            linger: Duration::from_millis(1),
            delivery_timeout: Duration::from_secs(30),
        }
    }
}

/// A topic that should exist.
#[derive(Clone, Debug)]
pub struct TopicSpec {
    /// Full name.
    pub name: String,
    /// Created with so many; an existing topic is never shrunk nor grown here.
    pub partitions: u32,
    /// Replication factor; the embedded log ignores it.
    pub replication: u16,
}

/// A connection to the log; cheap to clone. In dev all services of the process share one embedded log through it.
#[derive(Clone)]
pub struct Mq;

impl Mq {
    /// Checks the address's form; an engine that is away is not an error here.
    pub async fn connect(config: &MqConfig) -> Result<Self, MqError> {
        todo!()
    }
    /// One per process and use.
    pub fn producer(&self) -> Result<Producer, MqError> {
        todo!()
    }
    /// Offsets are committed under `group`.
    pub fn consumer(&self, group: &str, topic: &str) -> Result<Consumer, MqError> {
        todo!()
    }
    /// Creates what is missing; idempotent.
    pub async fn ensure_topics(&self, topics: &[TopicSpec]) -> Result<(), MqError> {
        todo!()
    }
    /// How many partitions a topic has.
    pub async fn partitions(&self, topic: &str) -> Result<u32, MqError> {
        todo!()
    }
    /// For readiness: does the log answer?
    pub async fn ping(&self) -> Result<(), MqError> {
        todo!()
    }
}

/// Writes records; cheap to clone.
#[derive(Clone)]
pub struct Producer;

impl Producer {
    /// Queues a record without waiting. Dropping the `Delivery` does not cancel the record.
    pub fn send(&self, record: Record) -> Result<Delivery, MqError> {
        todo!()
    }
    /// Waits until all that was sent is durable or failed.
    pub async fn flush(&self, timeout: Duration) -> Result<(), MqError> {
        todo!()
    }
}

/// Resolves when the record is durable, to its offset.
pub struct Delivery;

impl std::future::Future for Delivery {
    type Output = Result<u64, MqError>;
    fn poll(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        todo!()
    }
}

/// Reads assigned partitions of one topic.
pub struct Consumer;

impl Consumer {
    /// Starts reading a partition at the committed offset, or the earliest; returns that offset.
    pub async fn assign(&self, partition: u32) -> Result<u64, MqError> {
        todo!()
    }
    /// Stops reading it; records of it that were fetched ahead are dropped.
    pub async fn unassign(&self, partition: u32) -> Result<(), MqError> {
        todo!()
    }
    /// Up to `max` records of any assigned partitions, in order within each; waits for the first one,
    /// never for more. Cancel-safe: a dropped poll loses no record.
    pub async fn poll(&self, max: usize) -> Result<Vec<Consumed>, MqError> {
        todo!()
    }
    /// Records that everything below `next_offset` is done. Returns once the log has it.
    pub async fn commit(&self, offsets: &[(u32, u64)]) -> Result<(), MqError> {
        todo!()
    }
    /// Records between the committed offset and the end.
    pub async fn lag(&self, partition: u32) -> Result<u64, MqError> {
        todo!()
    }
}
