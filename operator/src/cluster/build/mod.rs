//! The third step: what should be there. Pure: no client, no clock.

use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::api::{DynamicObject, ObjectMeta};

use super::Each;
use super::dereference::Facts;
use super::rollout::RolloutPlan;
use super::validate::{Invalid, ValidCluster};

/// A pod template, and what it is known by.
#[derive(Clone, Debug)]
pub struct Template {
    /// What pods are made of.
    pub spec: PodTemplateSpec,
    /// Changes when pods have to be made anew.
    pub hash: String,
}

/// Every object of a cluster.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    all: Vec<DynamicObject>,
}

impl Objects {
    /// All of them, complete with `apiVersion` and `kind`, in the order of application: accounts and roles, configuration,
    /// services, scalers, job, deployments, budgets, network policies, ingress, monitoring.
    pub fn in_order(&self) -> &[DynamicObject] {
        &self.all
    }

    /// Whether an object of this cluster that is not in [`Self::in_order`] has to stay for now: a ConfigMap that pods of an
    /// older template still read, a Job that still runs.
    pub fn spares(&self, _kind: &str, _meta: &ObjectMeta) -> bool {
        false
    }
}

/// The wanted pod template of each workload.
pub fn templates(_cluster: &ValidCluster) -> Result<Each<Template>, Invalid> {
    Ok(Each::make(|_| Template { spec: PodTemplateSpec::default(), hash: String::new() }))
}

/// All objects.
pub fn build(_: &ValidCluster, _: Each<Template>, _: &RolloutPlan, _: &Facts) -> Objects {
    Objects::default()
}
