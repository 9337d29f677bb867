//! `GoChatCluster`: what a person writes to have a chat system, and what the operator says of it.
//!
//! ```text
//! mod            the resource, its spec, and the rules across parts
//! workload       how many pods of a workload, and how they are made
//! gateway │ logic │ repo │ task    what is particular to each
//! kafka │ stores (MySQL, Redis)    what it depends on
//! settings       auth, limits, observability, rebalancing, deletion
//! status         what is true of it
//! ```

mod gateway;
mod kafka;
mod settings;
mod status;
mod stores;
mod workload;

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

pub use gateway::{
    Drain, Gateway, GatewayTargets, HttpRoute, Ingress, ParentReference, Service, ServiceType, TrafficPolicy,
};
pub use kafka::{CertificateAuthority, Kafka, KafkaTls, Partitions, Sasl, SaslMechanism, Topic, Topics};
pub use settings::{
    Auth, Deletion, DeletionPolicy, Limits, LogFormat, Metrics, Observability, Rebalance, RebalanceMode,
    Tracing,
};
pub use status::{ClusterStatus, ConditionType, Rollout, RolloutStep, WorkloadStatus, Workloads};
pub use stores::{SecretKey, SecretName, Store, StoreSecret};
pub use workload::{
    Autoscaling, Behavior, ConsumerTargets, Logic, Pod, Repo, RepoTargets, ScaleDown, ScaleUp, Task,
};

/// A chat system: gateway, logic, repo and task, on a Kafka, a MySQL and (better) a Redis that are there already.
///
/// Ten lines are enough: everything but Kafka's and MySQL's addresses has a default.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gochat.io",
    version = "v1alpha1",
    kind = "GoChatCluster",
    namespaced,
    doc = "A chat system: gateway, logic, repo and task, on a Kafka, a MySQL and (better) a Redis that are there already.",
    derive = "PartialEq",
    derive = "Default",
    status = "ClusterStatus",
    shortname = "gcc",
    category = "gochat",
    category = "all",
    cel,
    validation = Rule::new("self.metadata.name.size() <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("metadata.name must be 1 to 40 of a-z, 0-9 and -, begin with a letter and end with a letter or digit: the names of its objects are made from it"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Gateway", type_ = "string", json_path = ".status.workloads.gateway.summary"),
    printcolumn(name = "Logic", type_ = "string", json_path = ".status.workloads.logic.summary"),
    printcolumn(name = "Repo", type_ = "string", json_path = ".status.workloads.repo.summary"),
    printcolumn(name = "Task", type_ = "string", json_path = ".status.workloads.task.summary"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(name = "Balanced", type_ = "string", json_path = ".status.conditions[?(@.type==\"Balanced\")].status", priority = 1),
    printcolumn(name = "Endpoint", type_ = "string", json_path = ".status.endpoint", priority = 1),
    printcolumn(name = "Why", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct GoChatClusterSpec {
    /// Image of all workloads, with or without a tag; without one the tag is `version`. Default: the operator's own choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,

    /// Version of GoChat to run. A change is rolled out as migrate → repo → logic → task → gateway. Default: the operator's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63), regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"))]
    pub version: Option<String>,

    /// `Always`, `IfNotPresent` or `Never`, as of any container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<ImagePullPolicy>,

    /// Secrets (of this namespace) to pull the image with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub image_pull_secrets: Vec<SecretName>,

    /// Edge and home of connections.
    #[serde(default)]
    pub gateway: Gateway,

    /// Accounts, chats, and the way of each message to its recipients.
    #[serde(default)]
    pub logic: Logic,

    /// The data service: the only one that talks to MySQL.
    #[serde(default)]
    pub repo: Repo,

    /// Large fan-outs, jobs, push.
    #[serde(default)]
    pub task: Task,

    /// The log.
    pub kafka: Kafka,

    /// The database (MySQL 8 protocol: MySQL, MariaDB, TiDB, Vitess). The secret's key holds `mysql://user:password@host:port/database`.
    pub mysql: Store,

    /// Cache and presence, shared by all pods. The secret's key holds `redis://[:password@]host:port`. Without it each pod has its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis: Option<Store>,

    /// Tokens and sessions.
    #[serde(default)]
    pub auth: Auth,

    /// What clients may do; what is not given stays as the gateway has it.
    #[serde(default)]
    pub limits: Limits,

    /// Logs, metrics and traces.
    #[serde(default)]
    pub observability: Observability,

    /// When and how slots are moved between pods.
    #[serde(default)]
    pub rebalance: Rebalance,

    /// What stays when this resource is deleted.
    #[serde(default)]
    pub deletion: Deletion,
}

/// As of any container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs, reason = "Kubernetes's own words")]
pub enum ImagePullPolicy {
    Always,
    IfNotPresent,
    Never,
}
