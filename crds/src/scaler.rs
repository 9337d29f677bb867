//! `GoChatScaler`: how many pods of a workload there are, in the form that everything that scales can talk to.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Carries `/scale` of one workload, named `<cluster>-<workload>`, so that `kubectl scale`, an HPA or KEDA can take it over.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gochat.io",
    version = "v1alpha1",
    kind = "GoChatScaler",
    namespaced,
    doc = "How many pods of a workload there are. Carries /scale, so that kubectl scale, an HPA or KEDA can take the workload over.",
    derive = "PartialEq",
    derive = "Default",
    status = "ScalerStatus",
    shortname = "gcs",
    category = "gochat",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode"),
    printcolumn(name = "Replicas", type_ = "integer", json_path = ".spec.replicas"),
    printcolumn(name = "Current", type_ = "integer", json_path = ".status.replicas"),
    printcolumn(name = "Why", type_ = "string", json_path = ".status.reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct GoChatScalerSpec {
    /// Whose.
    #[schemars(length(min = 1, max = 40))]
    pub cluster: String,
    /// Of which workload.
    pub workload: ScaledWorkload,
    /// How many pods. Written by the operator in mode `Auto`, by anyone else in mode `External`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1000))]
    pub replicas: Option<u32>,
    /// `Auto`: the operator decides, by the GoChatCluster. `External`: it only follows `replicas`. Not given: `Auto` until
    /// somebody else writes `replicas`, and `External` from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<ScalerMode>,
}

/// Who decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ScalerMode {
    /// The operator.
    Auto,
    /// Somebody else.
    External,
}

/// One of the four.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "named after the workloads")]
pub enum ScaledWorkload {
    #[default]
    Gateway,
    Logic,
    Repo,
    Task,
}

impl ScaledWorkload {
    /// All of them, in the order of a version change.
    pub const ALL: [Self; 4] = [Self::Repo, Self::Logic, Self::Task, Self::Gateway];

    /// Lower case, as in names and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Logic => "logic",
            Self::Repo => "repo",
            Self::Task => "task",
        }
    }
}

/// What is true of a workload's scale.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScalerStatus {
    /// Pods that are there.
    #[serde(default)]
    pub replicas: i32,
    /// Selects them: an HPA needs it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub selector: String,
    /// The last decision, with its numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
