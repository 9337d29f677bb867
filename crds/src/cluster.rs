//! `GoChatCluster`, as it is written.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One chat system.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct GoChatCluster {
    /// [`GoChatCluster::API_VERSION`].
    pub api_version: String,
    /// [`GoChatCluster::KIND`].
    pub kind: String,
    /// Its name.
    pub metadata: Metadata,
    /// What is wanted.
    pub spec: Spec,
}

impl GoChatCluster {
    /// The version of these types.
    pub const API_VERSION: &str = "gochat.io/v1alpha1";
    /// Of this resource.
    pub const KIND: &str = "GoChatCluster";
}

/// As of any Kubernetes object; only the name is used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Metadata {
    /// Of the cluster: 1 to 40 of `a-z`, `0-9` and `-`.
    pub name: String,
    /// Where it lives.
    pub namespace: Option<String>,
    /// For selecting.
    pub labels: BTreeMap<String, String>,
    /// For tools.
    pub annotations: BTreeMap<String, String>,
}

/// What is wanted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Spec {
    /// Edge and home of connections.
    pub gateway: GatewaySpec,
    /// The business service.
    pub logic: LogicSpec,
    /// Large fan-outs and jobs.
    pub task: TaskSpec,
    /// The log.
    pub kafka: KafkaSpec,
    /// What clients may do.
    pub limits: Limits,
    /// Tokens and sessions.
    pub auth: Auth,
}

/// Edge and home of connections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct GatewaySpec {
    /// How many; 1 to 1,000.
    pub replicas: u32,
    /// Slots of gateways: a power of two, 1 to 4,096. Never changed in a cluster's life.
    pub shards: u32,
}

impl Default for GatewaySpec {
    fn default() -> Self {
        Self { replicas: 2, shards: 64 }
    }
}

/// The business service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct LogicSpec {
    /// How many; 1 to 1,000.
    pub replicas: u32,
}

impl Default for LogicSpec {
    fn default() -> Self {
        Self { replicas: 1 }
    }
}

/// Large fan-outs and jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct TaskSpec {
    /// How many; 1 to 1,000.
    pub replicas: u32,
}

impl Default for TaskSpec {
    fn default() -> Self {
        Self { replicas: 1 }
    }
}

/// The log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct KafkaSpec {
    /// Those whose size is chosen. `downstream` has one partition a shard.
    pub topics: Topics,
}

/// The topics whose size is chosen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Topics {
    /// Slots of logic.
    pub upstream: TopicSpec,
    /// Slots of task.
    pub task: TopicSpec,
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct TopicSpec {
    /// 1 to 4,096; about three times the most members one expects.
    pub partitions: u32,
}

impl Default for TopicSpec {
    fn default() -> Self {
        Self { partitions: 16 }
    }
}

/// What clients may do; what is not given stays as the gateway has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Limits {
    /// Connections of one gateway.
    pub connections: Option<u32>,
    /// Connections of one user at one gateway.
    pub connections_per_user: Option<u32>,
    /// Largest frame, in bytes.
    pub frame_bytes: Option<u32>,
    /// Longest text, in bytes of UTF-8.
    pub text_bytes: Option<u32>,
    /// Messages a second of one connection.
    pub messages_per_second: Option<u32>,
    /// Messages a second of one user at one gateway.
    pub user_messages_per_second: Option<u32>,
}

/// Tokens and sessions; what is not given stays as logic has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Auth {
    /// Life of an access token, such as `15m`.
    #[serde(with = "humantime_serde")]
    pub access_token_ttl: Option<Duration>,
    /// Life of a session that is not refreshed, such as `30d`.
    #[serde(with = "humantime_serde")]
    pub session_ttl: Option<Duration>,
}
