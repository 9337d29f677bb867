//! What the controller of clusters tells the live part of one, at every reconcile. Pure.

use std::sync::Arc;

use gochat_brain::autoscaler::Frozen;
use gochat_crds::{GoChatCluster, GoChatClusterSpec, PlacedWorkload, ScaledWorkload};
use gochat_senses::cores;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource as _;

use crate::cluster::dereference::{Facts, KafkaFacts};
use crate::cluster::rollout::Progress;
use crate::cluster::scale::Decider;
use crate::cluster::{ClusterKey, Desired, Each};

/// One cluster, as far as the live part has to know it.
#[derive(Clone, Debug)]
pub struct Brief {
    /// Which.
    pub(super) key: ClusterKey,
    /// What Events are about.
    pub(super) reference: ObjectReference,
    /// Of what is written for it.
    pub(super) owner: OwnerReference,
    pub(super) spec: Arc<GoChatClusterSpec>,
    pub(super) workloads: Each<Share>,
    /// Why nothing should be scaled for the moment.
    pub(super) frozen: Option<Frozen>,
    /// Whether it is known by now that nothing is: a Kafka that was not asked yet may be away.
    pub(super) is_known: bool,
    /// Look, and change nothing.
    pub(super) paused: bool,
}

/// One workload of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Share {
    /// Pods that are asked for.
    pub(super) replicas: u32,
    /// The operator decides how many.
    pub(super) ours: bool,
    /// CPU cores that a pod requests.
    pub(super) cores: Option<f64>,
    /// What the status says of its scaling.
    pub(super) said: Option<String>,
}

impl Brief {
    /// By what a reconcile has read and decided.
    pub fn of(cluster: &GoChatCluster, desired: &Desired, facts: &Facts, paused: bool) -> Self {
        let said = |workload| cluster.status.as_ref()?.workloads.get(workload).scaling.clone();
        let share = |scaled: ScaledWorkload| {
            let workload = desired.cluster.workloads.get(scaled);
            let requests = workload.pod.resources.requests.as_ref();
            Share {
                replicas: workload.scale.replicas,
                ours: workload.scale.decider == Decider::Operator,
                cores: requests.and_then(|requests| cores(requests.get("cpu")?)),
                said: said(scaled),
            }
        };
        let frozen = match (&facts.kafka, &desired.rollout.progress) {
            (KafkaFacts::Away { .. }, _) => Some(Frozen::Dependency { what: "kafka".into() }),
            (_, Progress::Moving { .. }) => Some(Frozen::Rollout),
            // One that stopped may stay so for days, and the pods that serve have to follow the load meanwhile.
            (_, Progress::Done | Progress::Stopped { .. }) => None,
        };
        Self {
            key: ClusterKey::of(cluster),
            reference: cluster.object_ref(&()),
            owner: cluster.controller_owner_ref(&()).unwrap_or_default(),
            spec: Arc::new(desired.cluster.spec.clone()),
            workloads: Each::make(share),
            frozen,
            is_known: facts.kafka != KafkaFacts::Unknown,
            paused,
        }
    }

    /// Tells a cluster from a later one of its name.
    pub(super) fn uid(&self) -> &str {
        &self.owner.uid
    }

    /// How many slots a workload has.
    pub(super) fn slots(&self, workload: PlacedWorkload) -> usize {
        let slots = match workload {
            PlacedWorkload::Gateway => self.spec.gateway.shards,
            PlacedWorkload::Logic => self.spec.kafka.topics.upstream.partitions.min,
            PlacedWorkload::Task => self.spec.kafka.topics.task.partitions.min,
        };
        usize::try_from(slots).unwrap_or(usize::MAX)
    }
}

/// The same workload as something that has a number of pods.
pub(super) const fn scaled(workload: PlacedWorkload) -> ScaledWorkload {
    match workload {
        PlacedWorkload::Gateway => ScaledWorkload::Gateway,
        PlacedWorkload::Logic => ScaledWorkload::Logic,
        PlacedWorkload::Task => ScaledWorkload::Task,
    }
}
