//! Who may call whom. A policy that selects pods denies them all else that comes in.
//!
//! | port | of | from |
//! | --- | --- | --- |
//! | http | gateway | anywhere |
//! | grpc | gateway | gateway (relay), operator |
//! | grpc | logic | gateway, operator |
//! | grpc | repo | logic, task, operator |
//! | grpc | task | operator |
//! | admin | all | pods of this Kubernetes (Prometheus); a node's kubelet may always call its pods |

use gochat_crds::ScaledWorkload;
use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::objects::{Objects, named};
use crate::cluster::validate::ValidCluster;
use crate::names;

pub(super) fn add(objects: &mut Objects, cluster: &ValidCluster) {
    for workload in ScaledWorkload::ALL {
        let policy = policy(cluster, workload.as_str(), rules(cluster, workload));
        objects.add(workload.as_str(), policy);
    }
    // It calls, and nobody calls it.
    objects.add(names::MIGRATE, policy(cluster, names::MIGRATE, Vec::new()));
}

fn policy(cluster: &ValidCluster, component: &str, rules: Vec<NetworkPolicyIngressRule>) -> NetworkPolicy {
    NetworkPolicy {
        metadata: named(format!("{}-{component}", cluster.name)),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(component_selector(cluster, component)),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: (!rules.is_empty()).then_some(rules),
            egress: None,
        }),
    }
}

fn rules(cluster: &ValidCluster, workload: ScaledWorkload) -> Vec<NetworkPolicyIngressRule> {
    use ScaledWorkload::{Gateway, Logic, Repo, Task};
    let callers: &[ScaledWorkload] = match workload {
        Gateway | Logic => &[Gateway],
        Repo => &[Logic, Task],
        Task => &[],
    };
    let mut callers: Vec<_> = callers
        .iter()
        .map(|caller| NetworkPolicyPeer {
            pod_selector: Some(component_selector(cluster, caller.as_str())),
            ..NetworkPolicyPeer::default()
        })
        .collect();
    callers.extend(cluster.operator_namespace.as_deref().map(operator));
    let mut rules = Vec::new();
    if workload == Gateway {
        rules.push(rule(names::HTTP, None));
    }
    // An empty list of callers would mean anybody.
    if !callers.is_empty() {
        rules.push(rule(names::GRPC, Some(callers)));
    }
    let pods = NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector::default()),
        ..NetworkPolicyPeer::default()
    };
    rules.push(rule(names::ADMIN, Some(vec![pods])));
    rules
}

fn rule(port: &str, from: Option<Vec<NetworkPolicyPeer>>) -> NetworkPolicyIngressRule {
    NetworkPolicyIngressRule {
        from,
        ports: Some(vec![NetworkPolicyPort {
            port: Some(IntOrString::String(port.to_owned())),
            protocol: Some("TCP".to_owned()),
            end_port: None,
        }]),
    }
}

fn component_selector(cluster: &ValidCluster, component: &str) -> LabelSelector {
    LabelSelector { match_labels: Some(names::selector(&cluster.name, component)), match_expressions: None }
}

fn operator(namespace: &str) -> NetworkPolicyPeer {
    let one = |key: &str, value: &str| LabelSelector {
        match_labels: Some([(key.to_owned(), value.to_owned())].into()),
        match_expressions: None,
    };
    NetworkPolicyPeer {
        namespace_selector: Some(one("kubernetes.io/metadata.name", namespace)),
        pod_selector: Some(one(names::APP_NAME, names::OPERATOR)),
        ip_block: None,
    }
}
