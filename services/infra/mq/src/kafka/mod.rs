//! Kafka through librdkafka.
//!
//! ```text
//! Kafka ── settings (ours, then `tls` and `sasl`, then `properties`, then what the guarantees rest on)
//!  ├─ producer  holds records as long as `pace` says; replaces a client that librdkafka declares dead
//!  │   ├─ client    one librdkafka client
//!  │   └─ reports   a task that takes its delivery reports when librdkafka rings
//!  ├─ consumer  explicit assignment, no membership; placement is GoChat's own
//!  └─ admin     topics, partition counts
//! ```

mod admin;
mod call;
mod client;
mod consumer;
mod context;
mod pace;
mod producer;
mod reports;

use std::sync::Arc;

use rdkafka::admin::AdminClient;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;

pub(crate) use consumer::KafkaConsumer;
pub(crate) use producer::KafkaProducer;

use crate::{MqConfig, MqError};
use context::Context;

/// One cluster.
pub(crate) struct Kafka {
    config: MqConfig,
    admin: Arc<AdminClient<Context>>,
}

impl Kafka {
    pub(crate) fn new(config: &MqConfig) -> Result<Self, MqError> {
        let mut config = config.clone();
        for (name, value) in config.security()? {
            config.properties.0.entry(name).or_insert(value);
        }
        let admin = settings(&config, &[("allow.auto.create.topics", "false")], &[])
            .create_with_context(Context::new("admin"))
            .map_err(|error| refused(&error))?;
        Ok(Self { config, admin: Arc::new(admin) })
    }

    pub(crate) fn producer(&self) -> Result<KafkaProducer, MqError> {
        KafkaProducer::new(&self.config)
    }

    pub(crate) fn consumer(&self, group: &str, topic: &str) -> Result<KafkaConsumer, MqError> {
        KafkaConsumer::new(&self.config, Arc::clone(&self.admin), group, topic)
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

/// Settings that librdkafka does not take. It repeats the value, which may be a password.
fn refused(error: &KafkaError) -> MqError {
    let reason = match error {
        KafkaError::ClientConfig(_, reason, name, value) if value.is_empty() => format!("{name}: {reason}"),
        KafkaError::ClientConfig(_, reason, name, value) => {
            format!("{name}: {}", reason.replace(value, "(value)"))
        }
        other => other.to_string(),
    };
    MqError::Config(format!("mq.properties: {reason}"))
}
