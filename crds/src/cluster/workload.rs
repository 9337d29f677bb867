//! How many pods of a workload there are, and how they are made. The same for all four but for the targets.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ResourceRequirements, Toleration};
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Span;

/// The business service: accounts, chats, and the way of each message to its recipients.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("!(has(self.replicas) && has(self.autoscaling))")
    .message("logic.replicas and logic.autoscaling exclude each other: remove one of them"))]
#[serde(rename_all = "camelCase")]
pub struct Logic {
    /// How many pods; 2 by default, 0 stops the workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1000))]
    pub replicas: Option<u32>,
    /// Or: as many as load needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self.min <= self.max")
        .message("logic.autoscaling.min is more than logic.autoscaling.max: raise max or lower min"))]
    pub autoscaling: Option<Autoscaling<ConsumerTargets>>,
    /// How the pods are made.
    #[serde(default)]
    pub pod: Pod,
}

/// Large fan-outs, jobs, push.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("!(has(self.replicas) && has(self.autoscaling))")
    .message("task.replicas and task.autoscaling exclude each other: remove one of them"))]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// How many pods; 2 by default, 0 stops the workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1000))]
    pub replicas: Option<u32>,
    /// Or: as many as load needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self.min <= self.max")
        .message("task.autoscaling.min is more than task.autoscaling.max: raise max or lower min"))]
    pub autoscaling: Option<Autoscaling<ConsumerTargets>>,
    /// How the pods are made.
    #[serde(default)]
    pub pod: Pod,
}

/// The data service.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("!(has(self.replicas) && has(self.autoscaling))")
    .message("repo.replicas and repo.autoscaling exclude each other: remove one of them"))]
#[serde(rename_all = "camelCase")]
pub struct Repo {
    /// How many pods; 2 by default, 0 stops the workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1000))]
    pub replicas: Option<u32>,
    /// Or: as many as load needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self.min <= self.max")
        .message("repo.autoscaling.min is more than repo.autoscaling.max: raise max or lower min"))]
    pub autoscaling: Option<Autoscaling<RepoTargets>>,
    /// Most connections of one pod to MySQL, 1 to 1,000; 16 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_connections: Option<u32>,
    /// How the pods are made.
    #[serde(default)]
    pub pod: Pod,
}

/// As many pods as load needs, between two bounds. The decision is explained in the status and in Events.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Autoscaling<T: Default> {
    /// Never fewer, 1 to 1,000.
    #[schemars(range(min = 1, max = 1000))]
    pub min: u32,
    /// Never more, 1 to 1,000.
    #[schemars(range(min = 1, max = 1000))]
    pub max: u32,
    /// What one pod should carry; the largest answer over all of them wins.
    #[serde(default)]
    pub targets: T,
    /// How quickly it follows.
    #[serde(default)]
    pub behavior: Behavior,
}

/// What one pod of logic or task should carry.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerTargets {
    /// In how much time the backlog should be worked off.
    #[serde(default = "ConsumerTargets::drain_time")]
    pub drain_time: Span,
    /// Per cent of the CPU that a pod requests, 1 to 100.
    #[serde(default = "cpu_percent")]
    #[schemars(range(min = 1, max = 100))]
    pub cpu_percent: u32,
}

impl ConsumerTargets {
    fn drain_time() -> Span {
        Span::seconds(5)
    }
}

impl Default for ConsumerTargets {
    fn default() -> Self {
        Self { drain_time: Self::drain_time(), cpu_percent: cpu_percent() }
    }
}

/// What one pod of repo should carry.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.callP99) || duration(self.callP99) >= duration('1ms') && duration(self.callP99) <= duration('1m')")
    .message("repo.autoscaling.targets.callP99 must be 1ms to 1m"))]
pub struct RepoTargets {
    /// Calls in flight, 1 to 10,000.
    #[serde(default = "RepoTargets::in_flight")]
    #[schemars(range(min = 1, max = 10_000))]
    pub in_flight: u32,
    /// How long 99 of 100 calls may take. By default it is not looked at: more pods do not cure a slow database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_p99: Option<Span>,
    /// Per cent of the CPU that a pod requests, 1 to 100.
    #[serde(default = "cpu_percent")]
    #[schemars(range(min = 1, max = 100))]
    pub cpu_percent: u32,
}

impl RepoTargets {
    fn in_flight() -> u32 {
        64
    }
}

impl Default for RepoTargets {
    fn default() -> Self {
        Self { in_flight: Self::in_flight(), call_p99: None, cpu_percent: cpu_percent() }
    }
}

pub(super) fn cpu_percent() -> u32 {
    70
}

/// How quickly the autoscaler follows load: fast up, slow down.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Behavior {
    /// More than is needed now, in per cent, 0 to 200: what is there for the next minute's growth.
    #[serde(default = "Behavior::headroom_percent")]
    #[schemars(range(max = 200))]
    pub headroom_percent: u32,
    /// A need within so many per cent of what is there changes nothing, 0 to 50.
    #[serde(default = "Behavior::tolerance_percent")]
    #[schemars(range(max = 50))]
    pub tolerance_percent: u32,
    /// Growing.
    #[serde(default)]
    pub scale_up: ScaleUp,
    /// Shrinking.
    #[serde(default)]
    pub scale_down: ScaleDown,
}

impl Behavior {
    fn headroom_percent() -> u32 {
        20
    }
    fn tolerance_percent() -> u32 {
        10
    }
}

impl Default for Behavior {
    fn default() -> Self {
        Self {
            headroom_percent: Self::headroom_percent(),
            tolerance_percent: Self::tolerance_percent(),
            scale_up: ScaleUp::default(),
            scale_down: ScaleDown::default(),
        }
    }
}

/// Growing.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaleUp {
    /// Load of the last so long counts when it is high (panic).
    #[serde(default = "ScaleUp::panic_window")]
    pub panic_window: Span,
    /// Panic begins at so many per cent of what the pods should carry, 110 to 1,000.
    #[serde(default = "ScaleUp::panic_percent")]
    #[schemars(range(min = 110, max = 1000))]
    pub panic_percent: u32,
    /// At most so many per cent more at a time, 10 to 1,000.
    #[serde(default = "ScaleUp::step_percent")]
    #[schemars(range(min = 10, max = 1000))]
    pub step_percent: u32,
}

impl ScaleUp {
    fn panic_window() -> Span {
        Span::seconds(6)
    }
    fn panic_percent() -> u32 {
        200
    }
    fn step_percent() -> u32 {
        100
    }
}

impl Default for ScaleUp {
    fn default() -> Self {
        Self {
            panic_window: Self::panic_window(),
            panic_percent: Self::panic_percent(),
            step_percent: Self::step_percent(),
        }
    }
}

/// Shrinking. Each step is a drain: slots first, then sockets, then the pod.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaleDown {
    /// Only when fewer were enough for all of the last so long.
    #[serde(default = "ScaleDown::stabilization_window")]
    pub stabilization_window: Span,
    /// At most so many pods at a time, 1 to 100.
    #[serde(default = "ScaleDown::step_pods")]
    #[schemars(range(min = 1, max = 100))]
    pub step_pods: u32,
}

impl ScaleDown {
    fn stabilization_window() -> Span {
        Span::seconds(300)
    }
    fn step_pods() -> u32 {
        1
    }
}

impl Default for ScaleDown {
    fn default() -> Self {
        Self { stabilization_window: Self::stabilization_window(), step_pods: Self::step_pods() }
    }
}

/// How the pods of a workload are made.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pod {
    /// Of the container; each workload has a default that a small cluster can place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Labels of nodes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,
    /// As in a pod; checked by the API server when the Deployment is applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub affinity: Option<Value>,
    /// As in a pod. Default: even over nodes and zones where that can be (`ScheduleAnyway`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_objects")]
    pub topology_spread_constraints: Option<Vec<Value>>,
    /// Of all pods of the workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,
    /// A pod template (`metadata.labels`, `metadata.annotations`, `spec`) that is merged over the generated one, lists by
    /// `name`: for everything that has no field here. The container is named as the workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub overrides: Option<Value>,
}

/// Not written out: the schemas of a pod's parts are hundreds of kilobytes, and the API server checks them anyhow.
fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "nullable": true, "x-kubernetes-preserve-unknown-fields": true })
}

fn any_objects(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "nullable": true, "maxItems": 10,
        "items": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
    })
}

/// Pods of a workload that says nothing of its number: one may go, and the other serves.
const REPLICAS: u32 = 2;

/// How many pods to begin with, before load is known.
pub(super) fn initial_replicas<T: Default>(
    replicas: Option<u32>,
    autoscaling: Option<&Autoscaling<T>>,
) -> u32 {
    replicas.or(autoscaling.map(|a| a.min)).unwrap_or(REPLICAS)
}

impl Logic {
    /// How many pods to begin with, before load is known.
    pub fn initial_replicas(&self) -> u32 {
        initial_replicas(self.replicas, self.autoscaling.as_ref())
    }
}

impl Task {
    /// How many pods to begin with, before load is known.
    pub fn initial_replicas(&self) -> u32 {
        initial_replicas(self.replicas, self.autoscaling.as_ref())
    }
}

impl Repo {
    /// How many pods to begin with, before load is known.
    pub fn initial_replicas(&self) -> u32 {
        initial_replicas(self.replicas, self.autoscaling.as_ref())
    }
}
