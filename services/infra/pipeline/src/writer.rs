//! Writing records: queued in order, made durable together.

use std::time::Duration;

use gochat_mq::{Delivery, MqError, Producer, Record};

/// A full queue drains at thousands of records a second: a short wait is enough and costs no throughput.
const QUEUE_WAIT: Duration = Duration::from_millis(2);

/// Writes records; cheap to clone.
#[derive(Clone)]
pub struct Writer(Producer);

impl Writer {
    /// Through this producer.
    pub fn new(producer: Producer) -> Self {
        Self(producer)
    }

    /// Queues a record, waiting while the queue is full.
    pub async fn queue(&self, record: &Record) -> Result<Delivery, MqError> {
        loop {
            match self.0.send(record.clone()) {
                Err(MqError::QueueFull) => tokio::time::sleep(QUEUE_WAIT).await,
                queued => return queued,
            }
        }
    }

    /// Queues a record or drops it, for what may be lost; whether it was queued.
    pub fn try_queue(&self, record: Record) -> bool {
        self.0.send(record).is_ok()
    }

    /// Makes several records durable, at the producer's delivery timeout at the latest.
    pub async fn write(&self, records: &[Record]) -> Result<(), MqError> {
        let mut deliveries = Vec::with_capacity(records.len());
        for record in records {
            deliveries.push(self.queue(record).await?);
        }
        futures::future::try_join_all(deliveries).await.map(drop)
    }
}
