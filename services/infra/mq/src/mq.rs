//! The connection to the log: which backend, and what is asked of it as a whole.

use std::sync::Arc;

use crate::consumer::Consumer;
use crate::embedded::Log;
use crate::kafka::Kafka;
use crate::producer::Producer;
use crate::{MqConfig, MqError, TopicSpec};

/// A connection to the log; cheap to clone. In dev all services of the process share one embedded log through it.
#[derive(Clone)]
pub struct Mq(Backend);

#[derive(Clone)]
enum Backend {
    Kafka(Arc<Kafka>),
    Embedded(Arc<Log>),
}

impl Mq {
    /// Checks the settings and, embedded, opens the folder. A Kafka that is away is not an error here.
    ///
    /// # Errors
    /// `Config` for a setting that can't work; `Unavailable` if the folder can't be opened, is in use by another
    /// process or holds a damaged journal.
    pub async fn connect(config: &MqConfig) -> Result<Self, MqError> {
        config.validate()?;
        if config.bootstrap.is_empty() {
            return Ok(Self(Backend::Embedded(Log::open(config).await?)));
        }
        Ok(Self(Backend::Kafka(Arc::new(Kafka::new(config)?))))
    }

    /// One per process and use.
    pub fn producer(&self) -> Result<Producer, MqError> {
        match &self.0 {
            Backend::Kafka(kafka) => Ok(Producer::kafka(kafka.producer()?)),
            Backend::Embedded(log) => Ok(Producer::embedded(Arc::clone(log))),
        }
    }

    /// Offsets are committed under `group`.
    pub fn consumer(&self, group: &str, topic: &str) -> Result<Consumer, MqError> {
        match &self.0 {
            Backend::Kafka(kafka) => Ok(Consumer::kafka(kafka.consumer(group, topic)?, topic)),
            Backend::Embedded(log) => Ok(Consumer::embedded(log.consumer(group, topic), topic)),
        }
    }

    /// Creates what is missing; idempotent. Returns when every partition can be written.
    pub async fn ensure_topics(&self, topics: &[TopicSpec]) -> Result<(), MqError> {
        match &self.0 {
            Backend::Kafka(kafka) => kafka.ensure_topics(topics).await,
            Backend::Embedded(log) => log.ensure_topics(topics).await,
        }
    }

    /// How many partitions a topic has; `NoPartition` if there is no such topic.
    pub async fn partitions(&self, topic: &str) -> Result<u32, MqError> {
        match &self.0 {
            Backend::Kafka(kafka) => kafka.partitions(topic).await,
            Backend::Embedded(log) => log.partitions(topic),
        }
    }

    /// For readiness: does the log answer?
    pub async fn ping(&self) -> Result<(), MqError> {
        match &self.0 {
            Backend::Kafka(kafka) => kafka.ping().await,
            Backend::Embedded(log) => log.ping(),
        }
    }
}
