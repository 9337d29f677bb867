//! The Job that brings the database's schema to the version, before anything of it runs.

use k8s_openapi::api::batch::v1::{
    Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnPodConditionsPattern, PodFailurePolicyRule,
};
use k8s_openapi::api::core::v1::{PodSpec, PodTemplateSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;

use super::config::Of;
use super::objects::{Objects, named};
use super::{hash, pod};
use crate::cluster::rollout::RolloutPlan;
use crate::cluster::validate::ValidCluster;
use crate::names::{self, MIGRATE};

/// The Job's name: another one for another image or another database, and for nothing else. A Job can't be changed, and
/// one that has run for this image need not run again.
pub fn name(cluster: &ValidCluster) -> String {
    let secret = &cluster.spec.mysql.secret;
    let known_by = hash::hash(&json!([cluster.image, secret.name, secret.key]));
    format!("{}-{MIGRATE}-{known_by}", cluster.name)
}

pub(super) fn add(objects: &mut Objects, cluster: &ValidCluster, rollout: &RolloutPlan) {
    if rollout.migrate {
        objects.add(MIGRATE, job(cluster));
    }
}

fn job(cluster: &ValidCluster) -> Job {
    let shape = &cluster.workloads.repo.pod;
    let quantity = |name: &str, text: &str| (name.to_owned(), Quantity(text.to_owned()));
    let mut container = pod::base_container(cluster, Of::Migration);
    container.resources = Some(ResourceRequirements {
        requests: Some([quantity("cpu", "50m"), quantity("memory", "32Mi")].into()),
        limits: Some([quantity("memory", "256Mi")].into()),
        ..ResourceRequirements::default()
    });
    let evicted = PodFailurePolicyRule {
        action: "Ignore".to_owned(),
        on_pod_conditions: Some(vec![PodFailurePolicyOnPodConditionsPattern {
            type_: "DisruptionTarget".to_owned(),
            status: "True".to_owned(),
        }]),
        on_exit_codes: None,
    };
    Job {
        metadata: named(name(cluster)),
        spec: Some(JobSpec {
            backoff_limit: Some(3),
            // No deadline: it waits for a database that is away, and goes on by itself.
            pod_failure_policy: Some(PodFailurePolicy { rules: vec![evicted] }),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(names::component_labels(&cluster.name, MIGRATE)),
                    annotations: Some([(names::VERSION.to_owned(), cluster.version.clone())].into()),
                    ..ObjectMeta::default()
                }),
                spec: Some(PodSpec {
                    containers: vec![container],
                    restart_policy: Some("Never".to_owned()),
                    automount_service_account_token: Some(false),
                    node_selector: (!shape.node_selector.is_empty()).then(|| shape.node_selector.clone()),
                    tolerations: (!shape.tolerations.is_empty()).then(|| shape.tolerations.clone()),
                    priority_class_name: shape.priority_class.clone(),
                    ..pod::base(cluster, Of::Migration)
                }),
            },
            ..JobSpec::default()
        }),
        status: None,
    }
}
