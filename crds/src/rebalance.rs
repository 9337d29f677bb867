//! `GoChatRebalance`: a person asks for a plan now.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::PlacedWorkload;

/// Asks for a plan now. Approved by the annotation `gochat.io/approve: "true"`, or by itself with `autoApprove`;
/// stopped by `gochat.io/stop: "true"`, or by deleting it: a handover under way ends well, and no other begins.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gochat.io",
    version = "v1alpha1",
    kind = "GoChatRebalance",
    namespaced,
    doc = "Asks for a plan now. Approved by the annotation gochat.io/approve=true or by autoApprove; stopped by gochat.io/stop=true or by deleting it.",
    derive = "PartialEq",
    derive = "Default",
    status = "RebalanceStatus",
    shortname = "gcr",
    category = "gochat",
    cel,
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.cluster"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Moved", type_ = "string", json_path = ".status.progress"),
    printcolumn(name = "Before", type_ = "string", json_path = ".status.imbalance.before"),
    printcolumn(name = "Expected", type_ = "string", json_path = ".status.imbalance.expected"),
    printcolumn(name = "Reached", type_ = "string", json_path = ".status.imbalance.reached"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(validation = Rule::new("self == oldSelf")
    .message("spec can't be changed once it is asked for: delete it and make another one"))]
#[serde(rename_all = "camelCase")]
pub struct GoChatRebalanceSpec {
    /// Of which GoChatCluster of this namespace.
    #[schemars(length(min = 1, max = 40))]
    pub cluster: String,
    /// Which workload's slots.
    pub workload: PlacedWorkload,
    /// Pods that should end up with no slot, such as those of a node that goes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub evacuate: Vec<String>,
    /// Most slots to move, 1 to 4,096; the cluster's policy by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4096))]
    pub max_moves: Option<u32>,
    /// Most handovers at a time, 1 to 256.
    #[serde(default = "GoChatRebalanceSpec::default_parallel")]
    #[schemars(range(min = 1, max = 256))]
    pub parallel: u32,
    /// Only propose.
    #[serde(default)]
    pub dry_run: bool,
    /// Move without waiting for approval.
    #[serde(default)]
    pub auto_approve: bool,
}

impl GoChatRebalanceSpec {
    fn default_parallel() -> u32 {
        8
    }
}

/// How far it is.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RebalanceStatus {
    /// The generation that this is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where it is.
    #[serde(default)]
    pub phase: RebalancePhase,
    /// `moved/total`, for the columns.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub progress: String,
    /// Slots moved.
    #[serde(default)]
    pub moved: i32,
    /// Slots to move.
    #[serde(default)]
    pub total: i32,
    /// How even it was, should become, and became.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imbalance: Option<Imbalance>,
    /// The plan's moves that are left, the next ones first; at most 4,096.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4096))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub moves: Vec<PlannedMove>,
    /// What it waits for, or why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// `Ready`: true when done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// Where a rebalance is: New → Proposed → Moving → Done │ Stopped │ Failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RebalancePhase {
    /// Not planned yet: loads are being gathered.
    #[default]
    New,
    /// Planned, and waits for approval.
    Proposed,
    /// Slots are on their way.
    Moving,
    /// As planned.
    Done,
    /// By a person.
    Stopped,
    /// The message says why.
    Failed,
}

/// How uneven: the most loaded member relative to the mean, such as `1.42`.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Imbalance {
    /// When it was planned.
    pub before: String,
    /// By the plan.
    pub expected: String,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reached: Option<String>,
}

/// One slot from one member to another.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedMove {
    /// Which.
    pub slot: u32,
    /// From; nobody, where its member is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// To.
    pub to: String,
}
