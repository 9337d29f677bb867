//! The log's address and limits: the section `mq` of the settings.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use crate::MqError;

/// Those that need nothing but a name and a password.
const MECHANISMS: [&str; 3] = ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"];

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
    /// How long a busy producer waits for more records of a batch, 0 to 100 ms; one with little to write does not wait.
    /// Kafka only: the embedded log batches what comes while it syncs.
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
    /// TLS to Kafka.
    pub tls: TlsConfig,
    /// Who we are to Kafka.
    pub sasl: SaslConfig,
}

/// TLS to Kafka.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// Whether it is spoken.
    pub enabled: bool,
    /// Certificates (PEM) that brokers are trusted by; the system's otherwise.
    pub ca_file: Option<PathBuf>,
}

/// Who we are to Kafka: nobody, by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SaslConfig {
    /// `SCRAM-SHA-512`, `SCRAM-SHA-256` or `PLAIN`; empty: no SASL.
    pub mechanism: String,
    /// File that holds the user's name.
    pub username_file: Option<PathBuf>,
    /// File that holds the password.
    pub password_file: Option<PathBuf>,
}

impl Default for MqConfig {
    fn default() -> Self {
        Self {
            bootstrap: String::new(),
            path: String::new(),
            prefix: "gochat".into(),
            linger: Duration::from_millis(5),
            delivery_timeout: Duration::from_secs(30),
            queue_records: 100_000,
            queue_bytes: 64 << 20,
            retention_bytes: 256 << 20,
            properties: Properties::default(),
            tls: TlsConfig::default(),
            sasl: SaslConfig::default(),
        }
    }
}

impl MqConfig {
    /// `tls` and `sasl` as librdkafka's settings, with what the files hold now.
    pub(crate) fn security(&self) -> Result<BTreeMap<String, String>, MqError> {
        let (tls, sasl) = (&self.tls, &self.sasl);
        if tls.ca_file.is_some() && !tls.enabled {
            return Err(MqError::Config("mq.tls.ca_file needs mq.tls.enabled".to_owned()));
        }
        let mut settings = BTreeMap::new();
        let mut set = |name: &str, value: String| settings.insert(name.to_owned(), value);
        let protocol = match (tls.enabled, !sasl.mechanism.is_empty()) {
            (false, false) => return Ok(settings),
            (true, false) => "SSL",
            (false, true) => "SASL_PLAINTEXT",
            (true, true) => "SASL_SSL",
        };
        set("security.protocol", protocol.to_owned());
        if let Some(ca) = &tls.ca_file {
            // librdkafka would not name it.
            std::fs::File::open(ca)
                .map_err(|e| MqError::Config(format!("mq.tls.ca_file {}: {e}", ca.display())))?;
            set("ssl.ca.location", ca.display().to_string());
        }
        if !sasl.mechanism.is_empty() {
            if !MECHANISMS.contains(&sasl.mechanism.as_str()) {
                let (mechanism, known) = (&sasl.mechanism, MECHANISMS.join(" or "));
                return Err(MqError::Config(format!("mq.sasl.mechanism {mechanism:?}: has to be {known}")));
            }
            set("sasl.mechanism", sasl.mechanism.clone());
            set("sasl.username", content("mq.sasl.username_file", sasl.username_file.as_deref())?);
            set("sasl.password", content("mq.sasl.password_file", sasl.password_file.as_deref())?);
        }
        Ok(settings)
    }

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

/// What a file of a secret holds.
fn content(setting: &str, path: Option<&Path>) -> Result<String, MqError> {
    let path = path.ok_or_else(|| MqError::Config(format!("mq.sasl.mechanism needs {setting}")))?;
    let text = std::fs::read_to_string(path)
        .map_err(|e| MqError::Config(format!("{setting} {}: {e}", path.display())))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
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
