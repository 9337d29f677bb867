//! The third step: what should be there. Pure: no client, no clock.
//!
//! ```text
//! pod          the pod template of a workload           hash      what it is known by
//! config       gochat.yaml of a workload                overrides what a person merges over it
//! secrets      files of secrets, and when a changed one makes pods anew
//! deployment   access (accounts, roles)   service   scaler   migration   disruption   network   route   monitoring
//! ```

mod access;
mod config;
mod deployment;
mod disruption;
mod hash;
mod migration;
mod monitoring;
mod network;
mod objects;
mod overrides;
mod pod;
mod route;
mod scaler;
mod secrets;
mod service;

use k8s_openapi::api::core::v1::PodTemplateSpec;

use super::Each;
use super::dereference::Facts;
use super::rollout::RolloutPlan;
use super::validate::{Invalid, ValidCluster};

pub use migration::name as migration_name;
pub use objects::Objects;

/// A pod template, and what it is known by.
#[derive(Clone, Debug)]
pub struct Template {
    /// What pods are made of.
    pub spec: PodTemplateSpec,
    /// Changes when pods have to be made anew.
    pub hash: String,
}

/// The wanted pod template of each workload.
pub fn templates(cluster: &ValidCluster) -> Result<Each<Template>, Invalid> {
    Each::try_make(|workload| pod::template(cluster, workload))
}

/// All objects.
pub fn build(
    cluster: &ValidCluster,
    templates: &Each<Template>,
    rollout: &RolloutPlan,
    facts: &Facts,
) -> Objects {
    let mut objects = Objects::new(cluster, rollout, facts);
    access::add(&mut objects, cluster);
    config::add(&mut objects, cluster, rollout);
    service::add(&mut objects, cluster);
    scaler::add(&mut objects, cluster);
    migration::add(&mut objects, cluster, rollout);
    deployment::add(&mut objects, cluster, templates, rollout, facts);
    disruption::add(&mut objects, cluster);
    network::add(&mut objects, cluster);
    route::add(&mut objects, cluster, facts.capabilities);
    monitoring::add(&mut objects, cluster, facts.capabilities);
    objects
}
