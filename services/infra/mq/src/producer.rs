//! The writing side, over either backend.

use std::sync::Arc;
use std::time::Duration;

use crate::delivery::Delivery;
use crate::embedded::Log;
use crate::kafka::KafkaProducer;
use crate::meters::ProducerMeters;
use crate::{MqError, Record};

/// Writes records; cheap to clone.
///
/// # Caveats
/// What is still queued when the last clone goes away is written if the process lives on; [`Producer::flush`] waits.
#[derive(Clone)]
pub struct Producer {
    backend: Backend,
    meters: ProducerMeters,
}

#[derive(Clone)]
enum Backend {
    Kafka(Arc<KafkaProducer>),
    Embedded(Arc<Log>),
}

impl Producer {
    pub(crate) fn kafka(producer: KafkaProducer) -> Self {
        Self { backend: Backend::Kafka(Arc::new(producer)), meters: ProducerMeters::new() }
    }

    pub(crate) fn embedded(log: Arc<Log>) -> Self {
        Self { backend: Backend::Embedded(log), meters: ProducerMeters::new() }
    }

    /// Queues a record without waiting. Dropping the `Delivery` does not cancel the record.
    ///
    /// # Errors
    /// `QueueFull`, `TooLarge` and `NoPartition` as soon as it is known; Kafka's unknown partition may come from the
    /// `Delivery` instead.
    pub fn send(&self, record: Record) -> Result<Delivery, MqError> {
        let outcome = record.checked_size().and_then(|bytes| match &self.backend {
            Backend::Kafka(producer) => producer.send(record),
            Backend::Embedded(log) => log.append(&record, bytes),
        });
        self.meters.sent(&outcome);
        outcome
    }

    /// Waits until all that was sent is durable or failed.
    pub async fn flush(&self, timeout: Duration) -> Result<(), MqError> {
        match &self.backend {
            Backend::Kafka(producer) => producer.flush(timeout).await,
            Backend::Embedded(log) => tokio::time::timeout(timeout, log.barrier())
                .await
                .map_err(|_| MqError::unavailable("flush", "timed out"))?,
        }
    }
}
