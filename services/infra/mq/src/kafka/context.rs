//! What librdkafka tells by itself: a wrong password or a broker that is away fails no call, it only shows here.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::Message;
use rdkafka::Statistics;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;

use super::call;
use crate::MqError;
use crate::delivery::Slot;
use crate::meters::ProducerMeters;

/// The same error is told at most so often; a broker that is away repeats it several times a second.
const QUIET: Duration = Duration::from_secs(10);

/// Turns librdkafka's events into ours.
pub(super) struct Context {
    client: &'static str,
    /// When each error was told last, and how often it came since. Bounded by the number of codes.
    told: Mutex<HashMap<i32, (Instant, u64)>>,
}

impl Context {
    pub(super) fn new(client: &'static str) -> Self {
        Self { client, told: Mutex::default() }
    }

    /// Warns, unless it did so a moment ago.
    pub(super) fn warn(&self, error: &KafkaError, reason: &str) {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown) as i32;
        let now = Instant::now();
        let mut told = self.told.lock();
        let since = match told.get_mut(&code) {
            Some((last, since)) if now.duration_since(*last) < QUIET => {
                *since += 1;
                return;
            }
            Some((_, since)) => *since,
            None => 0,
        };
        told.insert(code, (now, 0));
        drop(told);
        tracing::warn!(client = self.client, %error, reason, repeated = since, "kafka");
    }
}

impl ClientContext for Context {
    /// What matters of it comes through `error` too.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let client = self.client;
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(client, facility, message, "librdkafka");
            }
            _ => tracing::debug!(client, facility, message, "librdkafka"),
        }
    }

    fn stats(&self, _: Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.warn(&error, reason);
    }
}

impl ConsumerContext for Context {}

/// The producer's context: keeps the promises of deliveries.
pub(super) struct Deliveries {
    context: Context,
    meters: ProducerMeters,
}

impl Deliveries {
    pub(super) fn new() -> Self {
        Self { context: Context::new("producer"), meters: ProducerMeters::new() }
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.context.log(level, facility, message);
    }

    fn stats(&self, _: Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.context.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Slot>;

    fn delivery(&self, result: &DeliveryResult<'_>, slot: Arc<Slot>) {
        let outcome = match result {
            Ok(message) => Ok(message.offset().unsigned_abs()),
            Err((error, message)) => Err(failed(error, message.topic(), message.partition())),
        };
        self.meters.delivered(slot.since(), outcome.is_ok());
        slot.resolve(outcome);
    }
}

/// A record that was not written.
pub(super) fn failed(error: &KafkaError, topic: &str, partition: i32) -> MqError {
    let number = u32::try_from(partition).unwrap_or(u32::MAX);
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::QueueFull) => MqError::QueueFull,
        Some(code) if call::is_no_partition(code) => MqError::no_partition(topic, number),
        _ => MqError::unavailable(format!("write to {topic}/{partition}"), error),
    }
}
