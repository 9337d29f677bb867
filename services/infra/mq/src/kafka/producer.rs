//! Writes to Kafka: idempotent, acks=all, one request in flight per broker.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};

use super::context::{Deliveries, failed};
use super::{refused, settings};
use crate::delivery::Delivery;
use crate::{MAX_RECORD_BYTES, MqConfig, MqError, Record};

/// One producer.
pub(crate) struct KafkaProducer {
    config: MqConfig,
    client: ArcSwap<Client>,
    /// Held while a dead client is replaced, so that it is replaced once.
    renewal: Mutex<()>,
}

impl KafkaProducer {
    pub(super) fn new(config: &MqConfig) -> Result<Self, MqError> {
        let client = ArcSwap::from_pointee(Client::new(config)?);
        Ok(Self { config: config.clone(), client, renewal: Mutex::new(()) })
    }

    /// Queues a record.
    pub(crate) fn send(&self, record: &Record) -> Result<Delivery, MqError> {
        let client = self.client.load();
        let outcome = client.send(record).or_else(|error| {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::Fatal) {
                return Err(error);
            }
            drop(client);
            self.renew()?;
            self.client.load().send(record)
        });
        let partition = i32::try_from(record.partition).unwrap_or(i32::MAX);
        outcome.map_err(|error| failed(&error, &record.topic, partition))
    }

    /// An idempotent producer that lost track of its sequence is dead for good (KIP-360 heals most cases, not all).
    /// What it had queued has failed, so a new one starts clean.
    fn renew(&self) -> Result<(), KafkaError> {
        let _turn = self.renewal.lock();
        if self.client.load().is_dead() {
            tracing::warn!("the kafka producer failed for good and is replaced");
            self.client.store(Arc::new(Client::create(&self.config)?));
        }
        Ok(())
    }

    /// Waits until nothing is queued or in flight.
    pub(crate) async fn flush(&self, timeout: Duration) -> Result<(), MqError> {
        let client = self.client.load_full();
        let flushed = tokio::task::spawn_blocking(move || client.flush(timeout)).await;
        let failed = |error: String| MqError::unavailable("flush", error);
        flushed.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
    }
}

/// A librdkafka client and its thread.
struct Client {
    /// Taken on drop only.
    producer: Option<ThreadedProducer<Deliveries>>,
    delivery_timeout: Duration,
}

impl Client {
    fn new(config: &MqConfig) -> Result<Self, MqError> {
        Self::create(config).map_err(|error| refused(&error))
    }

    fn create(config: &MqConfig) -> Result<Self, KafkaError> {
        let linger = format!("{}", config.linger.as_secs_f64() * 1000.0);
        let records = config.queue_records.to_string();
        let kbytes = (config.queue_bytes / 1024).to_string();
        let timeout = config.delivery_timeout.as_millis().to_string();
        // Room for librdkafka's own count of a record's overhead; the broker's default is 1,048,588.
        let largest = (MAX_RECORD_BYTES + 40_000).to_string();
        let defaults = [
            ("queue.buffering.max.ms", linger.as_str()),
            ("message.max.bytes", &largest),
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
        let producer = settings(config, &defaults, &fixed).create_with_context(Deliveries::new())?;
        Ok(Self { producer: Some(producer), delivery_timeout: config.delivery_timeout })
    }

    fn send(&self, record: &Record) -> Result<Delivery, KafkaError> {
        let Some(producer) = &self.producer else { return Err(KafkaError::Canceled) };
        let partition = i32::try_from(record.partition)
            .map_err(|_| KafkaError::MessageProduction(RDKafkaErrorCode::UnknownPartition))?;
        let (delivery, slot) = Delivery::opaque();
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
        producer.send(message).map_err(|(error, _)| error)?;
        Ok(delivery)
    }

    fn flush(&self, timeout: Duration) -> Result<(), KafkaError> {
        self.producer.as_ref().map_or(Ok(()), |producer| producer.flush(timeout))
    }

    fn is_dead(&self) -> bool {
        self.producer.as_ref().is_none_or(|producer| producer.client().fatal_error().is_some())
    }
}

impl Drop for Client {
    /// librdkafka purges what is queued when it is destroyed, and joins its threads: flush first, and not on the
    /// runtime.
    fn drop(&mut self) {
        let (producer, timeout) = (self.producer.take(), self.delivery_timeout);
        let end = move || {
            if let Some(Err(error)) = producer.as_ref().map(|producer| producer.flush(timeout)) {
                tracing::warn!(%error, "records were still queued when the producer ended");
            }
        };
        if let Err(error) = std::thread::Builder::new().name("mq-producer-end".into()).spawn(end) {
            tracing::warn!(%error, "end the kafka producer");
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// librdkafka's own way to test this: no broker can be made to cause it on demand.
    #[allow(unsafe_code)]
    fn die(client: &Client) {
        let native = client.producer.as_ref().unwrap().client().native_ptr();
        let code = rdkafka::types::RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
        // SAFETY: the client outlives the call, which copies the text.
        unsafe { rdkafka::bindings::rd_kafka_test_fatal_error(native, code, c"test".as_ptr()) };
    }

    #[test]
    fn a_client_that_died_for_good_is_replaced_by_the_next_record() {
        let config = MqConfig { bootstrap: "127.0.0.1:1".into(), ..MqConfig::default() };
        let producer = KafkaProducer::new(&config).unwrap();
        let record = Record {
            topic: "t".into(),
            partition: 0,
            key: Bytes::new(),
            payload: Bytes::from_static(b"x"),
            headers: Vec::new(),
        };
        let dead = producer.client.load_full();
        die(&dead);
        assert!(dead.is_dead());
        drop(producer.send(&record).unwrap());
        assert!(!Arc::ptr_eq(&dead, &producer.client.load_full()));
        assert!(!producer.client.load().is_dead());
    }
}
