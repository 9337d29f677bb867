//! The crate's metrics. Handles are taken once: a look-up per record would cost more than the count.

use std::time::Instant;

use metrics::{Counter, Histogram, counter, histogram};

/// What a producer counts.
#[derive(Clone)]
pub(crate) struct ProducerMeters {
    sent: Counter,
    refused: Counter,
    failed: Counter,
    delivery: Histogram,
}

impl ProducerMeters {
    pub(crate) fn new() -> Self {
        Self {
            sent: counter!("gochat_mq_sent_total"),
            refused: counter!("gochat_mq_refused_total"),
            failed: counter!("gochat_mq_failed_total"),
            delivery: histogram!("gochat_mq_delivery_seconds"),
        }
    }

    /// A record was queued, or refused.
    pub(crate) fn sent<T, E>(&self, outcome: &Result<T, E>) {
        if outcome.is_ok() { self.sent.increment(1) } else { self.refused.increment(1) }
    }

    /// A queued record became durable, or failed.
    pub(crate) fn delivered(&self, since: Instant, ok: bool) {
        if ok {
            self.delivery.record(since.elapsed());
        } else {
            self.failed.increment(1);
        }
    }
}

/// What a consumer counts.
pub(crate) struct ConsumerMeters {
    polled: Counter,
    batch: Histogram,
}

impl ConsumerMeters {
    pub(crate) fn new(topic: &str) -> Self {
        Self {
            polled: counter!("gochat_mq_polled_total", "topic" => topic.to_owned()),
            batch: histogram!("gochat_mq_poll_records", "topic" => topic.to_owned()),
        }
    }

    pub(crate) fn polled(&self, records: usize) {
        self.polled.increment(records as u64);
        self.batch.record(records as f64);
    }
}
