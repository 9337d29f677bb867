//! The pod template of a workload.
//!
//! Everything in it restarts pods when it changes, also when only a new version of the operator changes it: the golden
//! files of `tests/render.rs` say so when that happens.

use std::collections::BTreeMap;

use gochat_crds::{ImagePullPolicy, ScaledWorkload};
use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapProjection, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction,
    KeyToPath, Lifecycle, LifecycleHandler, LocalObjectReference, ObjectFieldSelector, PodAffinityTerm,
    PodAntiAffinity, PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ProjectedVolumeSource,
    SeccompProfile, SecretProjection, SecurityContext, SleepAction, TopologySpreadConstraint, Volume,
    VolumeMount, VolumeProjection, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::config::{self, Of};
use super::{Template, hash, overrides, secrets};
use crate::cluster::validate::{Invalid, ValidCluster};
use crate::names;

/// Where the settings and the secrets are, and nothing else.
const ROOT: &str = "/etc/gochat";
const BINARY: &str = "/usr/bin/gochat";
/// The image's own user.
const USER: i64 = 65_532;
/// How long load balancers may take to learn that a gateway goes, before it tells its clients.
const ENDPOINTS: i64 = 5;
/// Beside the window of its clients: what a gateway takes at most to hand on its slots, to hang up and to flush, and some.
const GATEWAY_GRACE: i64 = ENDPOINTS + 25;
/// What the others take at most to finish what they work on, and some.
const GRACE: i64 = 30;

/// The label by which a ReplicaSet knows its pods.
const HASH: &str = "pod-template-hash";

/// Where a file of the settings is in a pod.
pub(super) fn path(file: &str) -> String {
    format!("{ROOT}/{file}")
}

/// Where a key of a secret is in a pod.
pub(super) fn secret_path(folder: &str, key: &str) -> String {
    format!("{ROOT}/secrets/{folder}/{key}")
}

/// The wanted template of a workload.
pub(super) fn template(cluster: &ValidCluster, workload: ScaledWorkload) -> Result<Template, Invalid> {
    let shape = &cluster.workloads.get(workload).pod;
    let component = workload.as_str();
    let labels = names::component_labels(&cluster.name, component);
    let mut annotations: BTreeMap<_, _> =
        [("kubectl.kubernetes.io/default-container", component), (names::VERSION, cluster.version.as_str())]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
    annotations
        .extend(secrets::known_by(cluster, workload).map(|hash| (names::SECRETS_HASH.to_owned(), hash)));
    let mut affinity = shape.affinity.clone().unwrap_or_default();
    affinity.pod_anti_affinity.get_or_insert_with(|| apart(cluster, component));
    let generated = PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            containers: vec![container(cluster, workload)],
            service_account_name: Some(names::workload(&cluster.name, workload)),
            // Members find each other through the API.
            automount_service_account_token: Some(true),
            termination_grace_period_seconds: Some(grace(cluster, workload)),
            node_selector: some_map(&shape.node_selector),
            tolerations: some_list(&shape.tolerations),
            affinity: Some(affinity),
            topology_spread_constraints: some_list(
                &shape.topology_spread.clone().unwrap_or_else(|| even(cluster, component)),
            ),
            priority_class_name: shape.priority_class.clone(),
            ..base(cluster, Of::Workload(workload))
        }),
    };
    let mut spec = overrides::merge(generated, shape.overrides.clone(), cluster, workload)?;
    let hash = hash::hash(&spec);
    let annotations = spec.metadata.get_or_insert_default().annotations.get_or_insert_default();
    annotations.insert(names::TEMPLATE_HASH.to_owned(), hash.clone());
    Ok(Template { spec, hash })
}

/// What the pods of all workloads and of the migration have alike.
pub(super) fn base(cluster: &ValidCluster, of: Of) -> PodSpec {
    let secrets = &cluster.spec.image_pull_secrets;
    PodSpec {
        // Variables for every Service of the namespace: nobody reads them, and some would look like settings.
        enable_service_links: Some(false),
        image_pull_secrets: some_list(
            &secrets
                .iter()
                .map(|secret| LocalObjectReference { name: secret.name.clone() })
                .collect::<Vec<_>>(),
        ),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            // Lets that group read the secrets.
            fs_group: Some(USER),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..PodSecurityContext::default()
        }),
        volumes: Some(vec![volume(cluster, of)]),
        ..PodSpec::default()
    }
}

/// What the containers of all workloads and of the migration have alike.
pub(super) fn base_container(cluster: &ValidCluster, of: Of) -> Container {
    let component = of.component();
    Container {
        name: component.to_owned(),
        image: Some(cluster.image.clone()),
        image_pull_policy: cluster.spec.image_pull_policy.map(|policy| {
            match policy {
                ImagePullPolicy::Always => "Always",
                ImagePullPolicy::IfNotPresent => "IfNotPresent",
                ImagePullPolicy::Never => "Never",
            }
            .to_owned()
        }),
        command: Some(vec![BINARY.to_owned()]),
        args: Some(vec![component.to_owned(), "--config".to_owned(), path(config::FILE)]),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities { add: None, drop: Some(vec!["ALL".to_owned()]) }),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(vec![VolumeMount {
            name: "gochat".to_owned(),
            mount_path: ROOT.to_owned(),
            read_only: Some(true),
            ..VolumeMount::default()
        }]),
        ..Container::default()
    }
}

fn container(cluster: &ValidCluster, workload: ScaledWorkload) -> Container {
    let port = |name: &str, port: u16| ContainerPort {
        name: Some(name.to_owned()),
        container_port: port.into(),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    };
    let mut ports =
        vec![port(names::GRPC, names::grpc_port(workload)), port(names::ADMIN, names::ADMIN_PORT)];
    if workload == ScaledWorkload::Gateway {
        ports.insert(0, port(names::HTTP, names::HTTP_PORT));
    }
    Container {
        ports: Some(ports),
        // The operator knows a member by the name of its pod.
        env: Some(vec![EnvVar {
            name: format!("GOCHAT_{}__MEMBER", workload.as_str().to_uppercase()),
            value_from: Some(EnvVarSource {
                field_ref: Some(ObjectFieldSelector {
                    api_version: Some("v1".to_owned()),
                    field_path: "metadata.name".to_owned(),
                }),
                ..EnvVarSource::default()
            }),
            value: None,
        }]),
        resources: Some(cluster.workloads.get(workload).pod.resources.clone()),
        liveness_probe: Some(probe("/livez", 10, 3)),
        readiness_probe: Some(probe("/readyz", 2, 2)),
        lifecycle: (workload == ScaledWorkload::Gateway).then(|| Lifecycle {
            pre_stop: Some(LifecycleHandler {
                sleep: Some(SleepAction { seconds: ENDPOINTS }),
                ..LifecycleHandler::default()
            }),
            ..Lifecycle::default()
        }),
        ..base_container(cluster, Of::Workload(workload))
    }
}

fn probe(path: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(names::ADMIN.to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(2),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

fn grace(cluster: &ValidCluster, workload: ScaledWorkload) -> i64 {
    if workload != ScaledWorkload::Gateway {
        return GRACE;
    }
    let window = cluster.spec.gateway.drain.window.0;
    GATEWAY_GRACE + i64::try_from(window.as_millis().div_ceil(1_000)).unwrap_or(3_600)
}

/// Over nodes, where that can be: a cluster of one node has to do too. Not over zones in the same way: the scheduler
/// ignores all of a pod's soft constraints on nodes that lack one of their keys, and not every cluster has zones.
fn even(cluster: &ValidCluster, component: &str) -> Vec<TopologySpreadConstraint> {
    vec![TopologySpreadConstraint {
        max_skew: 1,
        topology_key: "kubernetes.io/hostname".to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(alike(cluster, component)),
        // Pods of the old template must not count, or a change would leave the new ones in one heap.
        match_label_keys: Some(vec![HASH.to_owned()]),
        ..TopologySpreadConstraint::default()
    }]
}

/// In other zones, where there are any; less weighty than other nodes.
fn apart(cluster: &ValidCluster, component: &str) -> PodAntiAffinity {
    PodAntiAffinity {
        preferred_during_scheduling_ignored_during_execution: Some(vec![WeightedPodAffinityTerm {
            weight: 50,
            pod_affinity_term: PodAffinityTerm {
                topology_key: "topology.kubernetes.io/zone".to_owned(),
                label_selector: Some(alike(cluster, component)),
                match_label_keys: Some(vec![HASH.to_owned()]),
                ..PodAffinityTerm::default()
            },
        }]),
        ..PodAntiAffinity::default()
    }
}

fn alike(cluster: &ValidCluster, component: &str) -> LabelSelector {
    LabelSelector { match_labels: Some(names::selector(&cluster.name, component)), match_expressions: None }
}

/// One volume with the settings and the secrets: one mount, replaced as a whole by the kubelet when a secret changes.
fn volume(cluster: &ValidCluster, of: Of) -> Volume {
    let mut sources = vec![VolumeProjection {
        config_map: Some(ConfigMapProjection {
            name: config::config(cluster, of).name,
            ..ConfigMapProjection::default()
        }),
        ..VolumeProjection::default()
    }];
    for mount in secrets::mounts(cluster, of) {
        let item = |key: &String| KeyToPath {
            key: key.clone(),
            path: format!("secrets/{}/{key}", mount.folder),
            mode: None,
        };
        sources.push(VolumeProjection {
            secret: Some(SecretProjection {
                items: Some(mount.keys.iter().map(item).collect()),
                name: mount.secret,
                optional: None,
            }),
            ..VolumeProjection::default()
        });
    }
    Volume {
        name: "gochat".to_owned(),
        projected: Some(ProjectedVolumeSource { sources: Some(sources), default_mode: Some(0o440) }),
        ..Volume::default()
    }
}

fn some_map(map: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    (!map.is_empty()).then(|| map.clone())
}

fn some_list<T: Clone>(list: &[T]) -> Option<Vec<T>> {
    (!list.is_empty()).then(|| list.to_vec())
}
