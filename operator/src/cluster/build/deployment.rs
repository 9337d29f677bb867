//! The Deployments: a pod template, or the one that is there while it is not the workload's turn.

use gochat_crds::ScaledWorkload;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Template;
use super::objects::{Objects, named};
use crate::cluster::Each;
use crate::cluster::dereference::Facts;
use crate::cluster::rollout::{RolloutPlan, Turn};
use crate::cluster::validate::ValidCluster;
use crate::names;

/// Without a new pod becoming ready for so long, a change counts as stopped.
const PROGRESS_DEADLINE: i32 = 600;

pub(super) fn add(
    objects: &mut Objects,
    cluster: &ValidCluster,
    templates: &Each<Template>,
    rollout: &RolloutPlan,
    facts: &Facts,
) {
    for workload in ScaledWorkload::ALL {
        let template = match rollout.turns.get(workload) {
            Turn::Wanted => Some(templates.get(workload).spec.clone()),
            Turn::Held => held(facts, workload),
        };
        if let Some(template) = template {
            objects.add(workload.as_str(), deployment(cluster, workload, template));
        }
    }
}

/// The template that is there. Applying it changes nothing that anybody can see: what the API server has filled in by
/// default becomes the operator's, and is by default again when it is given up with the next template.
fn held(facts: &Facts, workload: ScaledWorkload) -> Option<PodTemplateSpec> {
    let mut template = facts.deployments.get(&workload)?.spec.as_ref()?.template.clone();
    if let Some(meta) = &mut template.metadata {
        meta.creation_timestamp = None;
    }
    Some(template)
}

fn deployment(cluster: &ValidCluster, workload: ScaledWorkload, template: PodTemplateSpec) -> Deployment {
    let replicas = cluster.workloads.get(workload).scale.replicas;
    Deployment {
        metadata: named(names::workload(&cluster.name, workload)),
        spec: Some(DeploymentSpec {
            replicas: Some(i32::try_from(replicas).unwrap_or(i32::MAX)),
            selector: LabelSelector {
                match_labels: Some(names::selector(&cluster.name, workload.as_str())),
                match_expressions: None,
            },
            template,
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(RollingUpdateDeployment {
                    // A new pod first: a change takes away nothing that serves.
                    max_unavailable: Some(IntOrString::Int(0)),
                    max_surge: Some(IntOrString::String("25%".to_owned())),
                }),
            }),
            progress_deadline_seconds: Some(PROGRESS_DEADLINE),
            // The operator knows the way back, and each one kept is one more object in every watch.
            revision_history_limit: Some(2),
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}
