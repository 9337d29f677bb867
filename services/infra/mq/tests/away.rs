//! A Kafka that is away: what fails, when, and what a person sees of it.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gochat_mq::{Mq, MqConfig, MqError, Properties, Record};

/// What was logged by the process: librdkafka speaks from threads of its own.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// An address where nobody listens, and settings with a password.
fn away() -> MqConfig {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = [
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.username", "gochat"),
        ("sasl.password", "hunter2"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    MqConfig {
        bootstrap: listener.local_addr().unwrap().to_string(),
        delivery_timeout: Duration::from_secs(1),
        properties: Properties(BTreeMap::from(settings)),
        ..MqConfig::default()
    }
}

#[tokio::test]
async fn a_kafka_that_is_away_fails_in_bounded_time_and_says_so_once() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::level_filters::LevelFilter::DEBUG)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();

    let mq = Mq::connect(&away()).await.unwrap();
    let begun = Instant::now();
    assert!(matches!(mq.ping().await, Err(MqError::Unavailable { .. })));
    let producer = mq.producer().unwrap();
    let record = Record {
        topic: "t".into(),
        partition: 0,
        key: Bytes::new(),
        payload: Bytes::from_static(b"x"),
        headers: Vec::new(),
    };
    assert!(matches!(producer.send(record).unwrap().await, Err(MqError::Unavailable { .. })));
    let consumer = mq.consumer("g", "t").unwrap();
    assert!(matches!(consumer.assign(0).await, Err(MqError::Unavailable { .. })));
    assert!(begun.elapsed() < Duration::from_secs(30));

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let warned = log.lines().filter(|line| line.contains(" WARN ") && line.contains("producer")).count();
    assert!((1..=4).contains(&warned), "{warned} warnings:\n{log}");
    assert!(!log.contains("hunter2"), "a password was logged");
}
