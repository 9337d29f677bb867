//! `GoChatPlacement`: who owns which slot of a workload. Written by the operator, obeyed by the pods.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The versioned map slot → member of one workload. Named `<cluster>-<workload>`.
///
/// Compact: members by name once, owners as indices into them, so that 4,096 slots are about 16 KiB.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gochat.io",
    version = "v1alpha1",
    kind = "GoChatPlacement",
    namespaced,
    doc = "Who owns which slot of a workload. Written by the operator, obeyed by the pods.",
    derive = "PartialEq",
    derive = "Default",
    status = "PlacementStatus",
    shortname = "gcp",
    category = "gochat",
    cel,
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.cluster"),
    printcolumn(name = "Workload", type_ = "string", json_path = ".spec.workload"),
    printcolumn(name = "Epoch", type_ = "integer", json_path = ".spec.epoch"),
    printcolumn(name = "Hottest", type_ = "string", json_path = ".status.load.hottest"),
    printcolumn(name = "Moving", type_ = "integer", json_path = ".status.moving"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(validation = Rule::new("self.epoch >= oldSelf.epoch").message("spec.epoch never goes back: members obey the newest map only"))]
#[serde(rename_all = "camelCase")]
pub struct GoChatPlacementSpec {
    /// Whose.
    #[schemars(length(min = 1, max = 40))]
    pub cluster: String,
    /// Of which workload.
    pub workload: PlacedWorkload,
    /// The version of the map; larger is newer.
    #[schemars(range(min = 0))]
    pub epoch: i64,
    /// The members that own slots: names of pods.
    #[serde(default)]
    #[schemars(length(max = 4096), inner(length(max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub members: Vec<String>,
    /// For each slot, in order, the index of its owner in `members`.
    #[serde(default)]
    #[schemars(length(max = 4096))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub owners: Vec<u16>,
}

/// A workload that has slots.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum PlacedWorkload {
    /// Its slots are shards.
    #[default]
    Gateway,
    /// Its slots are upstream partitions.
    Logic,
    /// Its slots are task partitions.
    Task,
}

impl PlacedWorkload {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Gateway, Self::Logic, Self::Task];

    /// Lower case, as in names and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Logic => "logic",
            Self::Task => "task",
        }
    }
}

/// What is true of a placement.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlacementStatus {
    /// Slots whose new owner has not taken over yet.
    #[serde(default)]
    pub moving: i32,
    /// Those slots, at most 64 of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub handovers: Vec<Handover>,
    /// How evenly it lies; absent while too few members report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadSummary>,
    /// The last change of the map, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One slot on its way.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Handover {
    /// Which.
    pub slot: u32,
    /// Who had it; nobody, where its member was gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Who gets it.
    pub to: String,
    /// How far it is.
    pub state: HandoverState,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

/// How far a handover is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HandoverState {
    /// In the map, not yet obeyed by the old owner.
    Planned,
    /// Released by the old owner, not yet taken by the new one.
    Released,
}

/// How evenly load lies on the members. Decimal numbers are text, as everywhere in Kubernetes.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadSummary {
    /// The most loaded member relative to the mean, such as `1.07`.
    pub hottest: String,
    /// Which member that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hottest_member: Option<String>,
    /// Members that report, of those that are there, such as `3/3`.
    pub reporting: String,
}
