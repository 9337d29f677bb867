//! What is true of a cluster, as the operator last saw it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scaler::ScaledWorkload;

/// What is true of a cluster.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterStatus {
    /// The generation of the spec that all of this is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// By type: see [`ConditionType`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The version that all workloads run; while one is rolled out, the one before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The version change under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// Each workload.
    #[serde(default)]
    pub workloads: Workloads,
    /// Where clients connect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
}

/// The types of conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionType {
    /// All workloads serve, as specified.
    Ready,
    /// Something is being changed.
    Progressing,
    /// Something is wrong that does not mend itself at once.
    Degraded,
    /// No pod carries more than its share and the band.
    Balanced,
    /// The autoscaler can decide.
    ScalingActive,
    /// Kafka, MySQL's and Redis's secrets and what else is referred to are there.
    DependenciesReady,
    /// kstatus: true while under way; absent when done.
    Reconciling,
    /// kstatus: true when only a person can help; absent otherwise.
    Stalled,
}

impl ConditionType {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Progressing => "Progressing",
            Self::Degraded => "Degraded",
            Self::Balanced => "Balanced",
            Self::ScalingActive => "ScalingActive",
            Self::DependenciesReady => "DependenciesReady",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
        }
    }
}

/// A version change: migrate → repo → logic → task → gateway, one after another.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// The version that is being rolled out.
    pub version: String,
    /// Where it is.
    pub step: RolloutStep,
    /// Since when this step runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Why it stopped, where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
}

/// A step of a version change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "named after what they change")]
pub enum RolloutStep {
    Migrate,
    Repo,
    Logic,
    Task,
    Gateway,
}

/// Each workload.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Workloads {
    /// Edge and home of connections.
    #[serde(default)]
    pub gateway: WorkloadStatus,
    /// The business service.
    #[serde(default)]
    pub logic: WorkloadStatus,
    /// The data service.
    #[serde(default)]
    pub repo: WorkloadStatus,
    /// Large fan-outs, jobs, push.
    #[serde(default)]
    pub task: WorkloadStatus,
}

impl Workloads {
    /// That of a workload.
    pub const fn get(&self, workload: ScaledWorkload) -> &WorkloadStatus {
        match workload {
            ScaledWorkload::Gateway => &self.gateway,
            ScaledWorkload::Logic => &self.logic,
            ScaledWorkload::Repo => &self.repo,
            ScaledWorkload::Task => &self.task,
        }
    }

    /// That of a workload, to change it.
    pub const fn get_mut(&mut self, workload: ScaledWorkload) -> &mut WorkloadStatus {
        match workload {
            ScaledWorkload::Gateway => &mut self.gateway,
            ScaledWorkload::Logic => &mut self.logic,
            ScaledWorkload::Repo => &mut self.repo,
            ScaledWorkload::Task => &mut self.task,
        }
    }
}

/// One workload.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadStatus {
    /// `ready/desired`, for the columns.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// Pods that should be.
    #[serde(default)]
    pub desired: i32,
    /// Pods that serve.
    #[serde(default)]
    pub ready: i32,
    /// Pods of the newest template.
    #[serde(default)]
    pub updated: i32,
    /// The version of its template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Why there are so many: the last scaling, with its numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaling: Option<String>,
}
