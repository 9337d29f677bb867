//! How many pods may be taken away on purpose at a time.

use gochat_crds::ScaledWorkload;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::objects::{Objects, named};
use crate::cluster::validate::ValidCluster;
use crate::names;

pub(super) fn add(objects: &mut Objects, cluster: &ValidCluster) {
    for workload in ScaledWorkload::ALL {
        objects.add(
            workload.as_str(),
            PodDisruptionBudget {
                metadata: named(names::workload(&cluster.name, workload)),
                spec: Some(PodDisruptionBudgetSpec {
                    max_unavailable: Some(IntOrString::Int(1)),
                    selector: Some(LabelSelector {
                        match_labels: Some(names::selector(&cluster.name, workload.as_str())),
                        match_expressions: None,
                    }),
                    // A pod that does not serve must not keep a node from being drained.
                    unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
                    ..PodDisruptionBudgetSpec::default()
                }),
                status: None,
            },
        );
    }
}
