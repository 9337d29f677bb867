//! The reading side, over either backend.

use crate::embedded::EmbeddedConsumer;
use crate::kafka::KafkaConsumer;
use crate::meters::ConsumerMeters;
use crate::{Consumed, MqError};

/// Reads assigned partitions of one topic.
pub struct Consumer {
    backend: Backend,
    meters: ConsumerMeters,
}

enum Backend {
    Kafka(KafkaConsumer),
    Embedded(EmbeddedConsumer),
}

impl Consumer {
    pub(crate) fn kafka(consumer: KafkaConsumer, topic: &str) -> Self {
        Self { backend: Backend::Kafka(consumer), meters: ConsumerMeters::new(topic) }
    }

    pub(crate) fn embedded(consumer: EmbeddedConsumer, topic: &str) -> Self {
        Self { backend: Backend::Embedded(consumer), meters: ConsumerMeters::new(topic) }
    }

    /// Starts reading a partition at the committed offset, or the earliest; returns that offset. A partition that is
    /// read already starts again there.
    pub async fn assign(&self, partition: u32) -> Result<u64, MqError> {
        match &self.backend {
            Backend::Kafka(consumer) => consumer.assign(partition).await,
            Backend::Embedded(consumer) => consumer.assign(partition),
        }
    }

    /// Stops reading it; records of it that were fetched ahead are dropped.
    pub async fn unassign(&self, partition: u32) -> Result<(), MqError> {
        match &self.backend {
            Backend::Kafka(consumer) => consumer.unassign(partition).await,
            Backend::Embedded(consumer) => {
                consumer.unassign(partition);
                Ok(())
            }
        }
    }

    /// Up to `max` records of any assigned partitions, in order within each; waits for the first one,
    /// never for more. Cancel-safe: a dropped poll loses no record.
    ///
    /// # Errors
    /// A log that is away is waited for (and told of by a warning); only what waiting can't heal is returned.
    pub async fn poll(&self, max: usize) -> Result<Vec<Consumed>, MqError> {
        let records = match &self.backend {
            Backend::Kafka(consumer) => consumer.poll(max).await?,
            Backend::Embedded(consumer) => consumer.poll(max).await?,
        };
        self.meters.polled(records.len());
        Ok(records)
    }

    /// Records that everything below `next_offset` is done, for each `(partition, next_offset)`. Returns once the log
    /// has it.
    pub async fn commit(&self, offsets: &[(u32, u64)]) -> Result<(), MqError> {
        match &self.backend {
            Backend::Kafka(consumer) => consumer.commit(offsets).await,
            Backend::Embedded(consumer) => consumer.commit(offsets).await,
        }
    }

    /// Records between the committed offset and the end.
    pub async fn lag(&self, partition: u32) -> Result<u64, MqError> {
        match &self.backend {
            Backend::Kafka(consumer) => consumer.lag(partition).await,
            Backend::Embedded(consumer) => consumer.lag(partition),
        }
    }

    /// The same of each of the first `partitions` partitions, for two requests to the log however many these are. Until
    /// the group has committed for the first time, all that was ever written counts.
    pub async fn lags(&self, partitions: u32) -> Result<Vec<u64>, MqError> {
        match &self.backend {
            Backend::Kafka(consumer) => consumer.lags(partitions).await,
            Backend::Embedded(consumer) => (0..partitions).map(|number| consumer.lag(number)).collect(),
        }
    }
}
