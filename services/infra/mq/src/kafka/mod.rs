//! Kafka through librdkafka.
//!
//! ```text
//! Kafka ── settings (ours, then `properties`, then what the guarantees rest on)
//!  ├─ producer  one librdkafka client and its thread; replaced if librdkafka declares it dead
//!  ├─ consumer  explicit assignment, no membership; placement is GoChat's own
//!  └─ admin     topics, partition counts
//! ```

mod admin;
mod call;
mod consumer;
mod context;
mod producer;

use rdkafka::admin::AdminClient;
use rdkafka::config::ClientConfig;

pub(crate) use consumer::KafkaConsumer;
pub(crate) use producer::KafkaProducer;

use crate::{MqConfig, MqError};
use context::Context;

/// One cluster.
pub(crate) struct Kafka {
    config: MqConfig,
    admin: std::sync::Arc<AdminClient<Context>>,
}

impl Kafka {
    pub(crate) fn new(config: &MqConfig) -> Result<Self, MqError> {
        let admin = settings(config, &[("allow.auto.create.topics", "false")], &[])
            .create_with_context(Context::new("admin"))
            .map_err(|error| MqError::Config(format!("mq.properties: {error}")))?;
        Ok(Self { config: config.clone(), admin: std::sync::Arc::new(admin) })
    }

    pub(crate) fn producer(&self) -> Result<KafkaProducer, MqError> {
        KafkaProducer::new(&self.config)
    }

    pub(crate) fn consumer(&self, group: &str, topic: &str) -> Result<KafkaConsumer, MqError> {
        KafkaConsumer::new(&self.config, group, topic)
    }
}

/// Defaults of ours, which `properties` may override, and what it may not.
fn settings(config: &MqConfig, defaults: &[(&str, &str)], fixed: &[(&str, &str)]) -> ClientConfig {
    let mut settings = ClientConfig::new();
    // A broker that comes back is found within a second, a dead peer within ten.
    let common = [
        ("client.id", "gochat"),
        ("socket.nagle.disable", "true"),
        ("socket.keepalive.enable", "true"),
        ("socket.timeout.ms", "10000"),
        ("socket.connection.setup.timeout.ms", "5000"),
        ("reconnect.backoff.ms", "50"),
        ("reconnect.backoff.max.ms", "1000"),
        ("retry.backoff.ms", "50"),
        ("log.connection.close", "false"),
    ];
    for (name, value) in common.iter().chain(defaults) {
        settings.set(*name, *value);
    }
    for (name, value) in &config.properties.0 {
        settings.set(name, value);
    }
    settings.set("bootstrap.servers", &config.bootstrap);
    for (name, value) in fixed {
        settings.set(*name, *value);
    }
    settings
}
