//! The first step: reads all that the decision needs, and computes nothing. The only step that may read.

use std::collections::{BTreeMap, BTreeSet};

use gochat_crds::{GoChatScaler, ScaledWorkload};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Service;

use crate::live::LiveView;

/// What was read. `Facts::default()` is a namespace in which nothing is there yet.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The secrets that the spec refers to and that are there, by name.
    pub secrets: BTreeMap<String, SecretFacts>,
    /// The generated signing keys, when there.
    pub signing_keys: Option<SecretFacts>,
    /// What runs.
    pub deployments: BTreeMap<ScaledWorkload, Deployment>,
    /// The migration Jobs of this cluster, by name: usually one at most.
    pub migrations: BTreeMap<String, Job>,
    /// Who scales.
    pub scalers: BTreeMap<ScaledWorkload, GoChatScaler>,
    /// The Service that clients reach, when there: it has the load balancer's address.
    pub gateway_service: Option<Service>,
    /// What the API server knows besides what every one does.
    pub capabilities: Capabilities,
    /// As the Kafka task saw it last.
    pub kafka: KafkaFacts,
    /// As the live part sees it.
    pub live: LiveView,
}

/// What may be known of a secret: never a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretFacts {
    /// The keys that are there.
    pub keys: BTreeSet<String>,
    /// 32 bits of SHA-256 of each value that the spec refers to, and of the cluster's uid: another one where it has changed.
    pub digests: BTreeMap<String, u32>,
}

/// Kinds that not every API server has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// `monitoring.coreos.com/v1` PodMonitor.
    pub pod_monitor: bool,
    /// `monitoring.coreos.com/v1` PrometheusRule.
    pub prometheus_rule: bool,
    /// `gateway.networking.k8s.io/v1` HTTPRoute.
    pub http_route: bool,
}

/// Kafka, as it was seen last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KafkaFacts {
    /// Not asked yet.
    #[default]
    Unknown,
    /// It does not answer, or does not let us in.
    Away {
        /// What it said. Since when is not here: an operator that was just started does not know, and the condition does.
        why: String,
    },
    /// It answered.
    Seen {
        /// The cluster's topics that are there, by name.
        topics: BTreeMap<String, TopicFacts>,
        /// What could not be done, by topic: the broker's own words.
        refused: BTreeMap<String, String>,
    },
}

/// A topic that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicFacts {
    /// So many.
    pub partitions: u32,
    /// The least over its partitions.
    pub replication: u32,
}
