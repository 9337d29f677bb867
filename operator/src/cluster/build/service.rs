//! The Service that clients reach, and headless ones for people: members find each other without.

use gochat_crds::{ScaledWorkload, ServiceType, TrafficPolicy};
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::objects::{Objects, named};
use crate::cluster::validate::ValidCluster;
use crate::names;

pub(super) fn add(objects: &mut Objects, cluster: &ValidCluster) {
    for workload in ScaledWorkload::ALL {
        let service = match workload {
            ScaledWorkload::Gateway => gateway(cluster),
            _ => headless(cluster, workload),
        };
        objects.add(workload.as_str(), service);
    }
}

fn port(name: &str, port: u16) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port: port.into(),
        target_port: Some(IntOrString::String(name.to_owned())),
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    }
}

fn gateway(cluster: &ValidCluster) -> Service {
    let wanted = &cluster.spec.gateway.service;
    let mut metadata = named(names::workload(&cluster.name, ScaledWorkload::Gateway));
    metadata.annotations = (!wanted.annotations.is_empty()).then(|| wanted.annotations.clone());
    let mut http = port(names::HTTP, names::SERVICE_PORT);
    http.node_port = wanted.node_port.and_then(|port| i32::try_from(port).ok());
    let type_ = match wanted.type_ {
        ServiceType::ClusterIP => "ClusterIP",
        ServiceType::NodePort => "NodePort",
        ServiceType::LoadBalancer => "LoadBalancer",
    };
    let policy = wanted.external_traffic_policy.map(|policy| match policy {
        TrafficPolicy::Cluster => "Cluster",
        TrafficPolicy::Local => "Local",
    });
    Service {
        metadata,
        spec: Some(ServiceSpec {
            type_: Some(type_.to_owned()),
            load_balancer_class: wanted.load_balancer_class.clone(),
            external_traffic_policy: policy.map(str::to_owned),
            selector: Some(names::selector(&cluster.name, ScaledWorkload::Gateway.as_str())),
            ports: Some(vec![http]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

fn headless(cluster: &ValidCluster, workload: ScaledWorkload) -> Service {
    Service {
        metadata: named(names::workload(&cluster.name, workload)),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            selector: Some(names::selector(&cluster.name, workload.as_str())),
            ports: Some(vec![port(names::GRPC, names::grpc_port(workload))]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}
