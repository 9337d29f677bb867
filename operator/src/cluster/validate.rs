//! The second step: what a person wrote becomes what can be built, with no `Option` left to check. Pure.
//!
//! The schema has refused what it can (gochat-crds); here is what needs more than one resource, or Kubernetes's own types.

use gochat_crds as api;

use super::Each;
use super::dereference::Facts;

/// The operator's own choices for what a spec leaves open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// Image, with or without a tag.
    pub image: String,
    /// Version, and the tag where the image has none.
    pub version: String,
    /// Where the operator's own pods are: they may call the workloads' gRPC ports. `None` where it runs outside.
    pub namespace: Option<String>,
}

/// A spec that can't be built. Only its author can help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Invalid {
    /// Where, such as `spec.gateway.pod.overrides`.
    pub field: String,
    /// What is wrong with it, and what to do.
    pub reason: String,
}

/// A cluster that can be built.
#[derive(Clone, Debug)]
pub struct ValidCluster {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its uid, for the ownerReferences.
    pub uid: String,
    /// The version of GoChat to run.
    pub version: String,
    /// The image, with its tag or digest.
    pub image: String,
    /// Each workload's number and shape.
    pub workloads: Each<Workload>,
    /// What the topics are named by: `<prefix>.upstream` and so on.
    pub topic_prefix: String,
    /// The rest, as it was written: what the schema has filled in and checked.
    pub spec: api::GoChatClusterSpec,
}

/// How many pods of a workload, and how they are made.
#[derive(Clone, Debug, Default)]
pub struct Workload {
    /// `spec.replicas` of its GoChatScaler, where the operator is the one to write it.
    pub scaler_replicas: Option<u32>,
    /// `spec.replicas` of its Deployment.
    pub replicas: u32,
}

/// Checks.
pub fn validate(
    cluster: &api::GoChatCluster,
    _facts: &Facts,
    defaults: &Defaults,
) -> Result<ValidCluster, Invalid> {
    let meta = &cluster.metadata;
    let (name, namespace) = (
        meta.name.clone().unwrap_or_default(),
        meta.namespace.clone().unwrap_or_else(|| "default".to_owned()),
    );
    Ok(ValidCluster {
        topic_prefix: format!("{namespace}.{name}"),
        name,
        namespace,
        uid: meta.uid.clone().unwrap_or_default(),
        version: cluster.spec.version.clone().unwrap_or_else(|| defaults.version.clone()),
        image: cluster.spec.image.clone().unwrap_or_else(|| defaults.image.clone()),
        workloads: Each::make(|_| Workload::default()),
        spec: cluster.spec.clone(),
    })
}
