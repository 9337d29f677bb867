//! The second step: what a person wrote becomes what can be built, with no `Option` left to check. Pure.
//!
//! The schema has refused what it can (gochat-crds); here is what it leaves open: what is Kubernetes's own, and what only
//! the operator can choose.

use std::collections::BTreeMap;

use gochat_crds as api;
use gochat_crds::ScaledWorkload;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{
    Affinity, PodTemplateSpec, ResourceRequirements, Toleration, TopologySpreadConstraint,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Each;
use super::dereference::{Facts, SecretFacts};
use super::scale::{Scale, scale};
use crate::names;

/// The image, where neither a spec nor the operator's own settings name one.
pub const DEFAULT_IMAGE: &str = "gochat";

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
    /// What the topics are named by: `<prefix>.upstream` and so on.
    pub topic_prefix: String,
    /// Each workload's number and shape.
    pub workloads: Each<Workload>,
    /// Where the operator's pods are, where it has any.
    pub operator_namespace: Option<String>,
    /// The secrets that it refers to and that are there, by name.
    pub secrets: BTreeMap<String, SecretFacts>,
    /// The rest, as it was written: the schema has filled it in and checked it.
    pub spec: api::GoChatClusterSpec,
}

/// How many pods of a workload, and how they are made.
#[derive(Clone, Debug)]
pub struct Workload {
    /// How many.
    pub scale: Scale,
    /// How they are made.
    pub pod: PodShape,
    /// What the secrets that the pods there are have read are known by.
    pub secrets: Option<String>,
}

/// `spec.<workload>.pod` in Kubernetes's own types.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "Kubernetes's own words")]
pub struct PodShape {
    pub resources: ResourceRequirements,
    pub node_selector: BTreeMap<String, String>,
    pub tolerations: Vec<Toleration>,
    pub affinity: Option<Affinity>,
    /// `None`: even over nodes and zones.
    pub topology_spread: Option<Vec<TopologySpreadConstraint>>,
    pub priority_class: Option<String>,
    /// What is merged over the generated template.
    pub overrides: PodTemplateSpec,
}

/// Checks.
pub fn validate(
    cluster: &api::GoChatCluster,
    facts: &Facts,
    defaults: &Defaults,
) -> Result<ValidCluster, Invalid> {
    let (meta, spec) = (&cluster.metadata, &cluster.spec);
    let invalid = |field: &str, reason: &str| Invalid { field: field.to_owned(), reason: reason.to_owned() };
    let name = meta.name.clone().ok_or_else(|| invalid("metadata.name", "is missing"))?;
    let namespace = meta.namespace.clone().unwrap_or_else(|| "default".to_owned());
    let workloads = Each::try_make(|workload| {
        Ok(Workload {
            scale: scale(spec, workload, facts),
            pod: pod_shape(workload, pod_of(spec, workload))?,
            secrets: facts.deployments.get(&workload).and_then(secrets_of),
        })
    })?;
    let version = spec.version.clone().unwrap_or_else(|| defaults.version.clone());
    Ok(ValidCluster {
        uid: meta.uid.clone().unwrap_or_default(),
        image: with_tag(spec.image.as_deref().unwrap_or(&defaults.image), &version),
        version,
        topic_prefix: topic_prefix(spec, &namespace, &name),
        workloads,
        operator_namespace: defaults.namespace.clone(),
        secrets: facts.secrets.clone(),
        spec: spec.clone(),
        name,
        namespace,
    })
}

fn secrets_of(deployment: &Deployment) -> Option<String> {
    let meta = deployment.spec.as_ref()?.template.metadata.as_ref()?;
    meta.annotations.as_ref()?.get(names::SECRETS_HASH).cloned()
}

/// What a cluster's topics are named by.
pub fn topic_prefix(spec: &api::GoChatClusterSpec, namespace: &str, name: &str) -> String {
    spec.kafka.topics.prefix.clone().unwrap_or_else(|| format!("{namespace}.{name}"))
}

/// An image without a tag or digest gets the version for a tag. A colon before the last `/` is a port.
fn with_tag(image: &str, version: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    if last.contains([':', '@']) { image.to_owned() } else { format!("{image}:{version}") }
}

fn pod_of(spec: &api::GoChatClusterSpec, workload: ScaledWorkload) -> &api::Pod {
    match workload {
        ScaledWorkload::Gateway => &spec.gateway.pod,
        ScaledWorkload::Logic => &spec.logic.pod,
        ScaledWorkload::Repo => &spec.repo.pod,
        ScaledWorkload::Task => &spec.task.pod,
    }
}

fn pod_shape(workload: ScaledWorkload, pod: &api::Pod) -> Result<PodShape, Invalid> {
    let field = |name: &str| format!("spec.{}.pod.{name}", workload.as_str());
    let spread = pod.topology_spread_constraints.as_ref().map(|constraints| {
        constraints
            .iter()
            .enumerate()
            .map(|(i, value)| typed(value, &field(&format!("topologySpreadConstraints[{i}]"))))
            .collect::<Result<Vec<_>, _>>()
    });
    Ok(PodShape {
        resources: pod.resources.clone().unwrap_or_else(|| default_resources(workload)),
        node_selector: pod.node_selector.clone(),
        tolerations: pod.tolerations.clone(),
        affinity: pod.affinity.as_ref().map(|value| typed(value, &field("affinity"))).transpose()?,
        topology_spread: spread.transpose()?,
        priority_class: pod.priority_class_name.clone(),
        overrides: pod
            .overrides
            .as_ref()
            .map(|value| typed(value, &field("overrides")))
            .transpose()?
            .unwrap_or_default(),
    })
}

/// What a small cluster can place, and no more than a pod should ever take: a limit on memory alone, since one on CPU
/// would throttle a burst that the node has room for.
fn default_resources(workload: ScaledWorkload) -> ResourceRequirements {
    let (request, limit) = match workload {
        ScaledWorkload::Gateway => ("128Mi", "1Gi"),
        ScaledWorkload::Logic => ("128Mi", "512Mi"),
        ScaledWorkload::Repo | ScaledWorkload::Task => ("64Mi", "512Mi"),
    };
    let quantity = |name: &str, text: &str| (name.to_owned(), Quantity(text.to_owned()));
    ResourceRequirements {
        requests: Some([quantity("cpu", "100m"), quantity("memory", request)].into()),
        limits: Some([quantity("memory", limit)].into()),
        ..ResourceRequirements::default()
    }
}

/// A value in Kubernetes's own type. What the type doesn't know is refused: it would be dropped, and nobody would notice.
fn typed<T: DeserializeOwned + Serialize>(value: &Value, field: &str) -> Result<T, Invalid> {
    let invalid = |reason: String| Invalid { field: field.to_owned(), reason };
    let read: T = serde_json::from_value(value.clone()).map_err(|e| invalid(e.to_string()))?;
    let back = serde_json::to_value(&read).map_err(|e| invalid(e.to_string()))?;
    match lost(value, &back) {
        Some(path) => Err(Invalid {
            field: format!("{field}{path}"),
            reason: "there is no such field in Kubernetes 1.34: check its spelling, or remove it".to_owned(),
        }),
        None => Ok(read),
    }
}

/// The path of the first thing that is in `before` and not in `after`.
fn lost(before: &Value, after: &Value) -> Option<String> {
    match (before, after) {
        (Value::Object(before), _) => before.iter().find_map(|(name, value)| {
            let nothing = value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
            match after.get(name) {
                Some(found) => lost(value, found).map(|path| format!(".{name}{path}")),
                None if nothing || value.as_array().is_some_and(Vec::is_empty) => None,
                None => Some(format!(".{name}")),
            }
        }),
        (Value::Array(before), Value::Array(after)) => before
            .iter()
            .zip(after)
            .enumerate()
            .find_map(|(i, (before, after))| lost(before, after).map(|path| format!("[{i}]{path}"))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_a_tag_gets_the_version() {
        for (image, full) in [
            ("gochat", "gochat:1.2"),
            ("registry:5000/a/gochat", "registry:5000/a/gochat:1.2"),
            ("a/gochat:edge", "a/gochat:edge"),
            ("a/gochat@sha256:12", "a/gochat@sha256:12"),
        ] {
            assert_eq!(with_tag(image, "1.2"), full);
        }
    }

    #[test]
    fn a_misspelt_field_of_an_override_is_named() {
        let value = serde_json::json!({ "spec": { "containers": [{ "name": "gateway", "enw": [] , "env": [{ "name": "A", "valeu": "1" }] }] } });
        let error = typed::<PodTemplateSpec>(&value, "spec.gateway.pod.overrides").unwrap_err();
        assert_eq!(error.field, "spec.gateway.pod.overrides.spec.containers[0].env[0].valeu");
        let value = serde_json::json!({ "spec": { "containers": "none" } });
        let error = typed::<PodTemplateSpec>(&value, "spec.gateway.pod.overrides").unwrap_err();
        assert_eq!(error.field, "spec.gateway.pod.overrides");
    }
}
