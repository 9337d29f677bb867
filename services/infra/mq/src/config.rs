//! The log's address and limits: the section `mq` of the settings.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use crate::MqError;

/// The log's address and limits.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MqConfig {
    /// Kafka's `host:port[,host:port]`; empty: the embedded log.
    pub bootstrap: String,
    /// Folder of the embedded log; empty: in memory.
    pub path: String,
    /// Topics are named `<prefix>.upstream` and so on.
    pub prefix: String,
    /// How long the producer waits for more records of a batch, 0 to 100 ms. Kafka only: the embedded log batches
    /// what comes while it syncs.
    #[serde(with = "humantime_serde")]
    pub linger: Duration,
    /// After which a record that could not be made durable fails, 1 s to 5 min.
    #[serde(with = "humantime_serde")]
    pub delivery_timeout: Duration,
    /// Records that wait in a producer before it refuses more, 1 to 10,000,000.
    pub queue_records: u32,
    /// Bytes that wait in a producer before it refuses more, 1 MiB to 2 GiB.
    pub queue_bytes: u64,
    /// Bytes that the embedded log keeps of what every group has committed. Up to four times as much may be held for
    /// a group that lags; then the log refuses. Kafka has its own retention.
    pub retention_bytes: u64,
    /// Settings of librdkafka as it names them, for TLS, SASL and tuning: `security.protocol`, `ssl.ca.location`,
    /// `sasl.username` and so on. What the guarantees rest on (acks, idempotence, no auto-commit) can't be overridden.
    pub properties: Properties,
}

impl Default for MqConfig {
    fn default() -> Self {
        Self {
            bootstrap: String::new(),
            path: String::new(),
            prefix: "gochat".into(),
            linger: Duration::from_millis(1),
            delivery_timeout: Duration::from_secs(30),
            queue_records: 100_000,
            queue_bytes: 64 << 20,
            retention_bytes: 256 << 20,
            properties: Properties::default(),
        }
    }
}

impl MqConfig {
    /// Refuses what can't work, by name.
    pub(crate) fn validate(&self) -> Result<(), MqError> {
        for address in self.bootstrap.split(',').filter(|_| !self.bootstrap.is_empty()) {
            let port =
                address.trim().rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
            if port.and_then(|port| port.parse::<u16>().ok()).is_none_or(|port| port == 0) {
                return Err(MqError::Config(format!("mq.bootstrap {address:?} is not host:port")));
            }
        }
        let checks = [
            ("linger", self.linger <= Duration::from_millis(100), "at most 100ms"),
            ("delivery_timeout", (1..=300).contains(&self.delivery_timeout.as_secs()), "1s to 5min"),
            ("queue_records", (1..=10_000_000).contains(&self.queue_records), "1 to 10,000,000"),
            ("queue_bytes", (1 << 20..=2 << 30).contains(&self.queue_bytes), "1 MiB to 2 GiB"),
            ("retention_bytes", self.retention_bytes >= 1 << 20, "at least 1 MiB"),
        ];
        match checks.iter().find(|(_, ok, _)| !ok) {
            Some((name, _, range)) => Err(MqError::Config(format!("mq.{name} has to be {range}"))),
            None => Ok(()),
        }
    }
}

/// Settings passed to librdkafka. They hold passwords and keys, so neither `Debug` nor `Serialize` shows a value.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Properties(pub BTreeMap<String, String>);

const HIDDEN: &str = "(set)";

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.keys().map(|name| (name, HIDDEN))).finish()
    }
}

impl Serialize for Properties {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for name in self.0.keys() {
            map.serialize_entry(name, HIDDEN)?;
        }
        map.end()
    }
}

/// A topic that should exist.
#[derive(Clone, Debug)]
pub struct TopicSpec {
    /// Full name.
    pub name: String,
    /// Created with so many; an existing topic is never shrunk nor grown here.
    pub partitions: u32,
    /// Replication factor; the embedded log ignores it.
    pub replication: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_bootstrap(bootstrap: &str) -> MqConfig {
        MqConfig { bootstrap: bootstrap.into(), ..MqConfig::default() }
    }

    #[test]
    fn a_bootstrap_that_is_no_list_of_addresses_is_refused_by_name() {
        for good in ["", "a:9092", "a:9092,b:9093", "[::1]:9092, b:1"] {
            assert!(with_bootstrap(good).validate().is_ok(), "{good}");
        }
        for bad in ["a", "a:", ":9092", "a:9092,", "a:0", "a:70000"] {
            let error = with_bootstrap(bad).validate().unwrap_err().to_string();
            assert!(error.contains("mq.bootstrap"), "{bad}: {error}");
        }
    }

    #[test]
    fn a_limit_out_of_range_is_refused_by_name() {
        let config = MqConfig { queue_records: 0, ..MqConfig::default() };
        assert!(config.validate().unwrap_err().to_string().contains("mq.queue_records"));
    }

    #[test]
    fn properties_never_show_their_values() {
        let properties = Properties(BTreeMap::from([("sasl.password".into(), "hunter2".into())]));
        let config = MqConfig { properties, ..MqConfig::default() };
        assert!(!format!("{config:?}").contains("hunter2"));
        assert!(format!("{config:?}").contains("sasl.password"));
        assert!(!serde_json::to_string(&config).unwrap().contains("hunter2"));
    }
}
