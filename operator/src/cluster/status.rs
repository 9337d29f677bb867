//! What is true of a cluster: conditions with reasons that a person can act on. Pure.

use gochat_crds::{ClusterStatus, GoChatCluster};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Desired;
use super::dereference::Facts;
use super::validate::Invalid;

/// What happened while the objects were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The API server refused these: object and its words. Field conflicts name the other manager.
    pub refused: Vec<String>,
}

/// The status to write. Equal to the present one, but for nothing, when nothing has changed: times are those of the
/// conditions' last transitions.
pub fn status(
    cluster: &GoChatCluster,
    _desired: Result<&Desired, &Invalid>,
    _facts: &Facts,
    _applied: &Applied,
    _now: &Time,
) -> ClusterStatus {
    cluster.status.clone().unwrap_or_default()
}
