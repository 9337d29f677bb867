//! What a person merges over a generated pod template.

use gochat_crds::ScaledWorkload;
use k8s_openapi::DeepMerge as _;
use k8s_openapi::api::core::v1::PodTemplateSpec;

use crate::cluster::validate::{Invalid, ValidCluster};
use crate::names;

/// Merges as Kubernetes does strategically: maps key by key, containers, volumes and variables by `name`, mounts by
/// `mountPath`, ports by number; other lists are replaced. What would make pods that nobody finds again is refused.
pub(super) fn merge(
    mut template: PodTemplateSpec,
    overrides: PodTemplateSpec,
    cluster: &ValidCluster,
    workload: ScaledWorkload,
) -> Result<PodTemplateSpec, Invalid> {
    template.merge_from(overrides);
    let field = |rest: &str| format!("spec.{}.pod.overrides.{rest}", workload.as_str());
    let labels = template.metadata.as_ref().and_then(|meta| meta.labels.clone()).unwrap_or_default();
    for (key, value) in names::component_labels(&cluster.name, workload.as_str()) {
        if labels.get(&key) != Some(&value) {
            return Err(Invalid {
                field: field(&format!("metadata.labels[{key}]")),
                reason: format!("has to stay {value}: the pods are found by it; remove it"),
            });
        }
    }
    let containers = template.spec.iter().flat_map(|spec| &spec.containers);
    match containers.clone().find(|container| container.image.as_ref().is_none_or(String::is_empty)) {
        Some(container) => Err(Invalid {
            field: field(&format!("spec.containers[{}]", container.name)),
            reason: format!(
                "is another container without an image: give it one, or name it {} to change the one that there is",
                workload.as_str()
            ),
        }),
        None => Ok(template),
    }
}
