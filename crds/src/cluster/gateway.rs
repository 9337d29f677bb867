//! What is particular to the gateway: its shards, how clients reach it, how it lets go of them.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::workload::cpu_percent;
use super::{Autoscaling, Pod};
use crate::Span;

/// Edge and home of connections.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("!(has(self.replicas) && has(self.autoscaling))")
        .message("gateway.replicas and gateway.autoscaling exclude each other: remove one of them"),
    validation = Rule::new("!(has(self.ingress) && has(self.httpRoute))")
        .message("gateway.ingress and gateway.httpRoute exclude each other: remove one of them")
)]
#[serde(rename_all = "camelCase")]
pub struct Gateway {
    /// How many pods; 2 by default, 0 stops the workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1000))]
    pub replicas: Option<u32>,
    /// Or: as many as load needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self.min <= self.max")
        .message("gateway.autoscaling.min is more than gateway.autoscaling.max: raise max or lower min"))]
    pub autoscaling: Option<Autoscaling<GatewayTargets>>,
    /// Slots of the gateway: a power of two, 1 to 4,096. Never changed in a cluster's life.
    #[serde(default = "Gateway::default_shards")]
    #[schemars(range(min = 1, max = 4096))]
    #[x_kube(
        validation = Rule::new("self in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096]")
            .message("gateway.shards must be a power of two, such as 64"),
        validation = Rule::new("self == oldSelf")
            .message("gateway.shards can't be changed: users are at home in their shard; make a new GoChatCluster for another number")
    )]
    pub shards: u32,
    /// The Service that clients reach.
    #[serde(default)]
    pub service: Service,
    /// An Ingress in front of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Ingress>,
    /// Or an HTTPRoute of the Gateway API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_route: Option<HttpRoute>,
    /// How a pod that goes lets go of its clients.
    #[serde(default)]
    pub drain: Drain,
    /// How the pods are made.
    #[serde(default)]
    pub pod: Pod,
}

impl Gateway {
    fn default_shards() -> u32 {
        64
    }

    /// How many pods to begin with, before load is known.
    pub fn initial_replicas(&self) -> u32 {
        super::workload::initial_replicas(self.replicas, self.autoscaling.as_ref())
    }
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            replicas: None,
            autoscaling: None,
            shards: Self::default_shards(),
            service: Service::default(),
            ingress: None,
            http_route: None,
            drain: Drain::default(),
            pod: Pod::default(),
        }
    }
}

/// What one gateway should carry.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayTargets {
    /// Open connections, 1 to 1,000,000.
    #[serde(default = "GatewayTargets::connections")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections: u32,
    /// Messages delivered to clients in a second, 1 to 1,000,000.
    #[serde(default = "GatewayTargets::deliveries_per_second")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub deliveries_per_second: u32,
    /// Per cent of the CPU that a pod requests, 1 to 100.
    #[serde(default = "cpu_percent")]
    #[schemars(range(min = 1, max = 100))]
    pub cpu_percent: u32,
}

impl GatewayTargets {
    fn connections() -> u32 {
        20_000
    }
    fn deliveries_per_second() -> u32 {
        10_000
    }
}

impl Default for GatewayTargets {
    fn default() -> Self {
        Self {
            connections: Self::connections(),
            deliveries_per_second: Self::deliveries_per_second(),
            cpu_percent: cpu_percent(),
        }
    }
}

/// The Service that clients reach.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("!has(self.nodePort) || self.type != 'ClusterIP'")
        .message("gateway.service.nodePort needs gateway.service.type NodePort or LoadBalancer"),
    validation = Rule::new("!has(self.loadBalancerClass) || self.type == 'LoadBalancer'")
        .message("gateway.service.loadBalancerClass needs gateway.service.type LoadBalancer"),
    validation = Rule::new("!has(self.externalTrafficPolicy) || self.type != 'ClusterIP'")
        .message("gateway.service.externalTrafficPolicy needs gateway.service.type NodePort or LoadBalancer")
)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// `ClusterIP`, `NodePort` or `LoadBalancer`.
    #[serde(default)]
    #[serde(rename = "type")]
    pub type_: ServiceType,
    /// For the load balancer's controller.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Which load balancer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_balancer_class: Option<String>,
    /// A fixed port on every node, 1 to 65,535 (30,000 to 32,767 on most clusters).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub node_port: Option<u32>,
    /// `Local` keeps the client's address and skips a hop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_traffic_policy: Option<TrafficPolicy>,
}

/// How a Service is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "Kubernetes's own words")]
pub enum ServiceType {
    #[default]
    ClusterIP,
    NodePort,
    LoadBalancer,
}

/// Where traffic from outside is routed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "Kubernetes's own words")]
pub enum TrafficPolicy {
    Cluster,
    Local,
}

/// An Ingress in front of the gateway.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ingress {
    /// Host name of the chat.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// Which controller; the cluster's default otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_name: Option<String>,
    /// For the controller, such as its WebSocket timeouts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Secret with the host's certificate; without it the Ingress speaks HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_secret: Option<String>,
}

/// An HTTPRoute of the Gateway API.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRoute {
    /// Host names of the chat, at most 16.
    #[schemars(length(min = 1, max = 16))]
    pub hostnames: Vec<String>,
    /// The Gateways (of the Gateway API) it attaches to, 1 to 8.
    #[schemars(length(min = 1, max = 8))]
    pub parent_refs: Vec<ParentReference>,
}

/// A Gateway of the Gateway API.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParentReference {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace; this one's otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its listener; all otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
}

/// How a pod that goes lets go of its clients: each is told to reconnect at a moment of its own.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("duration(self.window) >= duration('1s') && duration(self.window) <= duration('1h')")
    .message("gateway.drain.window must be 1s to 1h"))]
#[serde(rename_all = "camelCase")]
pub struct Drain {
    /// Most clients told to go in a second by one pod, 1 to 100,000: what the others can take on.
    #[serde(default = "Drain::rate")]
    #[schemars(range(min = 1, max = 100_000))]
    pub rate: u32,
    /// The longest a drain may take; past it the rest is told at once. 1s to 1h.
    #[serde(default = "Drain::window")]
    pub window: Span,
}

impl Drain {
    fn rate() -> u32 {
        500
    }
    fn window() -> Span {
        Span::seconds(30)
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self { rate: Self::rate(), window: Self::window() }
    }
}
