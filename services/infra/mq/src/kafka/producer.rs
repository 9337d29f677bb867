//! Writes to Kafka: holds records for a moment where there are many, so that one request carries more of them.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::{Mutex, MutexGuard};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::client::Client;
use super::context::failed;
use super::pace::Pace;
use crate::delivery::{Delivery, Slot};
use crate::{MqConfig, MqError, Record};

/// Records, and bytes of them, that are held at most; past it they go at once, and where librdkafka's queue is full too
/// more are refused.
const MOST_HELD: usize = 1_000;
const MOST_HELD_BYTES: usize = 1 << 20;
/// When librdkafka's queue is full, until it is tried again.
const FULL: Duration = Duration::from_millis(1);

/// One producer.
pub(crate) struct KafkaProducer(Arc<Inner>);

struct Inner {
    config: MqConfig,
    /// Where delivery reports are taken.
    runtime: Handle,
    client: ArcSwap<Client>,
    /// Held while a dead client is replaced, so that it is replaced once.
    renewal: Mutex<()>,
    held: Mutex<Held>,
    /// There is something to hand over.
    some: Arc<Notify>,
}

/// Records that were taken and are not librdkafka's yet.
struct Held {
    records: VecDeque<(Record, Arc<Slot>)>,
    bytes: usize,
    pace: Pace,
}

impl KafkaProducer {
    /// Must be called on a tokio runtime.
    pub(super) fn new(config: &MqConfig) -> Result<Self, MqError> {
        let runtime =
            Handle::try_current().map_err(|error| MqError::unavailable("start a producer", error))?;
        let held =
            Held { records: VecDeque::new(), bytes: 0, pace: Pace::new(config.linger, Instant::now()) };
        let inner = Arc::new(Inner {
            config: config.clone(),
            client: ArcSwap::from_pointee(Client::new(config, &runtime)?),
            renewal: Mutex::new(()),
            held: Mutex::new(held),
            some: Arc::new(Notify::new()),
            runtime,
        });
        inner.runtime.spawn(hand_over(Arc::downgrade(&inner), Arc::clone(&inner.some)));
        Ok(Self(inner))
    }

    /// Queues a record.
    pub(crate) fn send(&self, record: Record) -> Result<Delivery, MqError> {
        let (delivery, slot) = Delivery::opaque();
        let mut held = self.0.held.lock();
        if held.is_full() {
            self.0.produce(&mut held);
            if held.is_full() {
                return Err(MqError::QueueFull);
            }
        }
        held.pace.count(slot.since());
        held.bytes += size(&record);
        held.records.push_back((record, slot));
        let first = held.records.len() == 1;
        drop(held);
        if first {
            self.0.some.notify_one();
        }
        Ok(delivery)
    }

    /// Waits until nothing is queued or in flight.
    pub(crate) async fn flush(&self, timeout: Duration) -> Result<(), MqError> {
        let inner = Arc::clone(&self.0);
        let flush = move || {
            let deadline = Instant::now() + timeout;
            loop {
                let all = inner.produce(&mut inner.held.lock());
                inner.client.load().flush(deadline.saturating_duration_since(Instant::now()))?;
                if all {
                    return Ok(());
                }
            }
        };
        let failed = |error: String| MqError::unavailable("flush", error);
        let flushed: Result<(), KafkaError> =
            tokio::task::spawn_blocking(flush).await.map_err(|error| failed(error.to_string()))?;
        flushed.map_err(|error| failed(error.to_string()))
    }
}

impl Drop for KafkaProducer {
    /// The client's own end writes what it has; so it gets what is held.
    fn drop(&mut self) {
        self.0.produce(&mut self.0.held.lock());
        for (_, slot) in std::mem::take(&mut self.0.held.lock().records) {
            slot.resolve(Err(MqError::QueueFull));
        }
        self.0.some.notify_one();
    }
}

impl Held {
    fn is_full(&self) -> bool {
        self.records.len() >= MOST_HELD || self.bytes >= MOST_HELD_BYTES
    }
}

fn size(record: &Record) -> usize {
    record.key.len() + record.payload.len()
}

/// Gives librdkafka what is held, when it is time, until there is no producer any more.
async fn hand_over(inner: Weak<Inner>, some: Arc<Notify>) {
    loop {
        some.notified().await;
        loop {
            let Some(inner) = inner.upgrade() else { return };
            let Some(at) = inner.produce_due(Instant::now()) else { break };
            drop(inner);
            tokio::time::sleep_until(at.into()).await;
        }
    }
}

impl Inner {
    /// Gives what is due; when to come again, if anything stays.
    fn produce_due(&self, now: Instant) -> Option<Instant> {
        let mut held = self.held.lock();
        if held.records.is_empty() {
            return None;
        }
        let due = held.pace.due();
        if due > now {
            return Some(due);
        }
        held.pace.went(now);
        if self.produce(&mut held) { None } else { Some(now + FULL) }
    }

    /// Gives all that is held, in its order; false where some of it stays since librdkafka's queue is full.
    fn produce(&self, held: &mut MutexGuard<'_, Held>) -> bool {
        while let Some((record, slot)) = held.records.pop_front() {
            held.bytes -= size(&record);
            let Err((error, slot)) = self.give(&record, slot) else { continue };
            let partition = i32::try_from(record.partition).unwrap_or(i32::MAX);
            let failure = failed(&error, &record.topic, partition);
            if failure == MqError::QueueFull && slot.since().elapsed() < self.config.delivery_timeout {
                held.bytes += size(&record);
                held.records.push_front((record, slot));
                return false;
            }
            slot.resolve(Err(failure));
        }
        true
    }

    fn give(&self, record: &Record, slot: Arc<Slot>) -> Result<(), (KafkaError, Arc<Slot>)> {
        let client = self.client.load();
        let Err((error, slot)) = client.send(record, slot) else { return Ok(()) };
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::Fatal) {
            return Err((error, slot));
        }
        drop(client);
        match self.renew() {
            Ok(()) => self.client.load().send(record, slot),
            Err(error) => Err((error, slot)),
        }
    }

    /// An idempotent producer that lost track of its sequence is dead for good (KIP-360 heals most cases, not all).
    /// What it had queued has failed, so a new one starts clean.
    fn renew(&self) -> Result<(), KafkaError> {
        let _turn = self.renewal.lock();
        if self.client.load().is_dead() {
            tracing::warn!("the kafka producer failed for good and is replaced");
            self.client.store(Arc::new(Client::create(&self.config, &self.runtime)?));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[tokio::test]
    async fn a_client_that_died_for_good_is_replaced_by_the_next_record() {
        let config = MqConfig { bootstrap: "127.0.0.1:1".into(), ..MqConfig::default() };
        let producer = KafkaProducer::new(&config).unwrap();
        let record = Record {
            topic: "t".into(),
            partition: 0,
            key: Bytes::new(),
            payload: Bytes::from_static(b"x"),
            headers: Vec::new(),
        };
        let dead = producer.0.client.load_full();
        dead.die();
        assert!(dead.is_dead());
        drop(producer.send(record).unwrap());
        while Arc::ptr_eq(&dead, &producer.0.client.load_full()) {
            tokio::task::yield_now().await;
        }
        assert!(!producer.0.client.load().is_dead());
    }
}
