//! The log: its address, how it is spoken to, and its topics.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SecretKey, SecretName};
use crate::Span;

/// The log.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kafka {
    /// `host:port[,host:port]`.
    #[schemars(length(max = 1024), regex(pattern = r"^[^,:\s]+:[0-9]{1,5}(,[^,:\s]+:[0-9]{1,5})*$"))]
    pub bootstrap: String,
    /// Speak TLS to the brokers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<KafkaTls>,
    /// Say who we are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sasl: Option<Sasl>,
    /// Names and sizes of the topics; the operator creates and grows them.
    #[serde(default)]
    pub topics: Topics,
}

/// TLS to the brokers.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KafkaTls {
    /// Who signs the brokers' certificates; the system's authorities otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<CertificateAuthority>,
}

/// Certificates that are trusted: in a secret, or here.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("has(self.secret) != has(self.inline)")
    .message("kafka.tls.ca needs exactly one of secret and inline"))]
#[serde(rename_all = "camelCase")]
pub struct CertificateAuthority {
    /// PEM in a key of a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretKey>,
    /// PEM, in place: certificates are public.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536), regex(pattern = r"^\s*-----BEGIN CERTIFICATE-----"))]
    pub inline: Option<String>,
}

/// SASL.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sasl {
    /// How.
    #[serde(default)]
    pub mechanism: SaslMechanism,
    /// Keys `username` and `password`.
    pub secret: SecretName,
}

/// How a client shows who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "Kafka's own words")]
pub enum SaslMechanism {
    #[default]
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    #[serde(rename = "PLAIN")]
    Plain,
}

impl SaslMechanism {
    /// As Kafka writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::Plain => "PLAIN",
        }
    }
}

/// The topics: `<prefix>.upstream`, `.downstream` (one partition a shard), `.task` and `.dead-letter`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("has(self.prefix) == has(oldSelf.prefix) && (!has(self.prefix) || self.prefix == oldSelf.prefix)")
        .message("kafka.topics.prefix can't be changed: the messages under way are in the topics of the old one")
)]
#[serde(rename_all = "camelCase")]
pub struct Topics {
    /// What their names begin with; `<namespace>.<name>` by default. Never changed in a cluster's life.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[A-Za-z0-9._-]+$"))]
    pub prefix: Option<String>,
    /// Replicas of each partition, 1 to 7; `min.insync.replicas` is one fewer, at least 1.
    #[serde(default = "Topics::replication")]
    #[schemars(range(min = 1, max = 7))]
    pub replication: u32,
    /// How long a record is kept; history is in MySQL, this is what a stopped consumer can come back from.
    #[serde(default = "Topics::retention")]
    pub retention: Span,
    /// Slots of logic.
    #[serde(default)]
    pub upstream: Topic,
    /// Slots of task.
    #[serde(default)]
    pub task: Topic,
}

impl Topics {
    fn replication() -> u32 {
        3
    }
    fn retention() -> Span {
        Span::seconds(24 * 3_600)
    }
}

impl Default for Topics {
    fn default() -> Self {
        Self {
            prefix: None,
            replication: Self::replication(),
            retention: Self::retention(),
            upstream: Topic::default(),
            task: Topic::default(),
        }
    }
}

/// A topic whose size is chosen.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Topic {
    /// Its size: about three times the most pods one expects.
    #[serde(default)]
    pub partitions: Partitions,
}

/// How many partitions; they never become fewer.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("!has(self.max) || self.min <= self.max")
        .message("partitions.min is more than partitions.max: raise max or lower min"),
    validation = Rule::new("self.min >= oldSelf.min")
        .message("partitions.min can't shrink: Kafka keeps the partitions that there are, and a conversation's order lives in one")
)]
#[serde(rename_all = "camelCase")]
pub struct Partitions {
    /// Created with so many, and grown to them when raised; 1 to 4,096.
    #[serde(default = "Partitions::min")]
    #[schemars(range(min = 1, max = 4096))]
    pub min: u32,
    /// The operator may grow the topic up to so many; `min` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4096))]
    pub max: Option<u32>,
}

impl Partitions {
    fn min() -> u32 {
        16
    }
}

impl Default for Partitions {
    fn default() -> Self {
        Self { min: Self::min(), max: None }
    }
}
