//! A librdkafka client: idempotent, acks=all, one request in flight per broker.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use tokio::runtime::Handle;

use super::context::Deliveries;
use super::reports::Reporting;
use super::{refused, settings};
use crate::delivery::Slot;
use crate::{MAX_RECORD_BYTES, MqConfig, MqError, Record};

/// A librdkafka client and the task that takes its reports.
pub(super) struct Client {
    /// Taken on drop only.
    producer: Option<(Arc<BaseProducer<Deliveries>>, Reporting)>,
    delivery_timeout: Duration,
}

impl Client {
    pub(super) fn new(config: &MqConfig, runtime: &Handle) -> Result<Self, MqError> {
        Self::create(config, runtime).map_err(|error| refused(&error))
    }

    pub(super) fn create(config: &MqConfig, runtime: &Handle) -> Result<Self, KafkaError> {
        let records = config.queue_records.to_string();
        let kbytes = (config.queue_bytes / 1024).to_string();
        let timeout = config.delivery_timeout.as_millis().to_string();
        // Room for librdkafka's own count of a record's overhead; the broker's default is 1,048,588.
        let largest = (MAX_RECORD_BYTES + 40_000).to_string();
        let defaults = [
            // Who waits for more is `pace`.
            ("queue.buffering.max.ms", "0"),
            ("message.max.bytes", largest.as_str()),
            ("statistics.interval.ms", "0"),
        ];
        let fixed = [
            ("enable.idempotence", "true"),
            ("acks", "all"),
            // More makes librdkafka's broker threads busy-poll on small machines; 1 batches by itself under load.
            ("max.in.flight.requests.per.connection", "1"),
            ("queue.buffering.max.messages", &records),
            ("queue.buffering.max.kbytes", &kbytes),
            ("message.timeout.ms", &timeout),
            ("allow.auto.create.topics", "false"),
        ];
        let producer: BaseProducer<_> =
            settings(config, &defaults, &fixed).create_with_context(Deliveries::new())?;
        let producer = Arc::new(producer);
        let reporting = Reporting::start(&producer, runtime);
        Ok(Self { producer: Some((producer, reporting)), delivery_timeout: config.delivery_timeout })
    }

    /// Gives a record to librdkafka; or gives back who waits for it, and why.
    pub(super) fn send(&self, record: &Record, slot: Arc<Slot>) -> Result<(), (KafkaError, Arc<Slot>)> {
        let Some((producer, _)) = &self.producer else { return Err((KafkaError::Canceled, slot)) };
        let Ok(partition) = i32::try_from(record.partition) else {
            return Err((KafkaError::MessageProduction(RDKafkaErrorCode::UnknownPartition), slot));
        };
        let mut message = BaseRecord::with_opaque_to(&record.topic, slot)
            .partition(partition)
            .key(record.key.as_ref())
            .payload(record.payload.as_ref());
        if !record.headers.is_empty() {
            let headers = OwnedHeaders::new_with_capacity(record.headers.len());
            message = message.headers(record.headers.iter().fold(headers, |headers, (key, value)| {
                headers.insert(Header { key, value: Some(value.as_ref()) })
            }));
        }
        producer.send(message).map_err(|(error, message)| (error, message.delivery_opaque))
    }

    pub(super) fn flush(&self, timeout: Duration) -> Result<(), KafkaError> {
        self.producer.as_ref().map_or(Ok(()), |(producer, _)| producer.flush(timeout))
    }

    pub(super) fn is_dead(&self) -> bool {
        self.producer.as_ref().is_none_or(|(producer, _)| producer.client().fatal_error().is_some())
    }
}

impl Drop for Client {
    /// librdkafka purges what is queued when it is destroyed, and joins its threads: flush first, and not on the
    /// runtime.
    fn drop(&mut self) {
        let (producer, timeout) = (self.producer.take(), self.delivery_timeout);
        let end = move || {
            let Some((producer, reporting)) = producer else { return };
            // Reports keep coming to those who wait on the runtime until all are there, or the runtime is gone.
            if let Err(error) = producer.flush(timeout) {
                tracing::warn!(%error, "records were still queued when the producer ended");
            }
            reporting.end();
            drop(producer);
        };
        if let Err(error) = std::thread::Builder::new().name("mq-producer-end".into()).spawn(end) {
            tracing::warn!(%error, "end the kafka producer");
        }
    }
}

#[cfg(test)]
impl Client {
    /// librdkafka's own way to test this: no broker can be made to cause it on demand.
    #[allow(unsafe_code)]
    pub(super) fn die(&self) {
        let native = self.producer.as_ref().unwrap().0.client().native_ptr();
        let code = rdkafka::types::RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
        // SAFETY: the client outlives the call, which copies the text.
        unsafe { rdkafka::bindings::rd_kafka_test_fatal_error(native, code, c"test".as_ptr()) };
    }
}
