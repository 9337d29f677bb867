//! Clusters from YAML, and what is read of a new one.

use std::collections::BTreeMap;

use gochat_crds::GoChatCluster;
use gochat_operator::cluster::build::Objects;
use gochat_operator::cluster::dereference::{Capabilities, Facts, KafkaFacts, SecretFacts, TopicFacts};
use gochat_operator::cluster::validate::{Defaults, Invalid};
use gochat_operator::cluster::{Desired, desired, secrets};
use gochat_operator::names;
use kube::ResourceExt as _;
use kube::api::DynamicObject;

pub(crate) const MINIMAL: &str = gochat_crds::SAMPLE;
pub(crate) const FULL: &str = include_str!("../../../crds/samples/full.yaml");

/// As the API server has it: checked, with a namespace, a uid and a generation.
pub(crate) fn cluster(yaml: &str) -> GoChatCluster {
    let mut cluster: GoChatCluster = gochat_crds::file::read(yaml, "test").unwrap();
    cluster.metadata.namespace.get_or_insert_with(|| "shop".to_owned());
    cluster.metadata.uid = Some("11111111-2222-3333-4444-555555555555".to_owned());
    cluster.metadata.generation = Some(1);
    cluster
}

/// The minimal sample with a spec merged over it, written as a YAML flow map.
pub(crate) fn with(spec: &str) -> GoChatCluster {
    let kafka = if spec.contains("kafka:") { "" } else { "kafka: { bootstrap: 'kafka:9092' }, " };
    let rest = if spec.is_empty() { String::new() } else { format!(", {spec}") };
    let yaml = format!(
        "apiVersion: gochat.io/v1alpha1\nkind: GoChatCluster\nmetadata: {{ name: chat }}\nspec: {{ {kafka}\
         mysql: {{ secret: {{ name: chat-mysql }} }}{rest} }}\n",
    );
    cluster(&yaml)
}

pub(crate) fn defaults() -> Defaults {
    Defaults {
        image: "registry.example.com/gochat".to_owned(),
        version: "0.1.0".to_owned(),
        namespace: Some("gochat-system".to_owned()),
    }
}

/// A namespace with the secrets that a cluster needs, and an API server that knows everything.
pub(crate) fn facts(cluster: &GoChatCluster) -> Facts {
    let secrets = secrets::referred(&cluster.spec);
    let by_name: BTreeMap<_, _> = secrets
        .into_iter()
        .map(|secret| {
            let digests = secret.keys.iter().map(|key| (key.clone(), 7)).collect();
            (secret.name, SecretFacts { keys: secret.keys.into_iter().collect(), digests })
        })
        .collect();
    Facts {
        secrets: by_name,
        signing_keys: Some(SecretFacts { keys: [names::KEYS.to_owned()].into(), ..SecretFacts::default() }),
        capabilities: Capabilities { pod_monitor: true, prometheus_rule: true, http_route: true },
        kafka: topics(cluster),
        ..Facts::default()
    }
}

/// A Kafka with all topics as they should be.
pub(crate) fn topics(cluster: &GoChatCluster) -> KafkaFacts {
    let (namespace, name) = (cluster.namespace().unwrap(), cluster.name_any());
    let sizes = &cluster.spec.kafka.topics;
    let prefix = sizes.prefix.clone().unwrap_or_else(|| format!("{namespace}.{name}"));
    let topics = [
        ("upstream", sizes.upstream.partitions.min),
        ("downstream", cluster.spec.gateway.shards),
        ("task", sizes.task.partitions.min),
        ("dead-letter", 1),
    ];
    let topics = topics.map(|(topic, partitions)| {
        (format!("{prefix}.{topic}"), TopicFacts { partitions, replication: sizes.replication })
    });
    KafkaFacts::Seen { topics: topics.into(), refused: BTreeMap::new() }
}

pub(crate) fn decided(cluster: &GoChatCluster) -> Desired {
    desired(cluster, &facts(cluster), &defaults()).unwrap()
}

pub(crate) fn refused(cluster: &GoChatCluster) -> Invalid {
    desired(cluster, &facts(cluster), &defaults()).unwrap_err()
}

/// An object, by kind and name.
pub(crate) fn object<'a>(objects: &'a Objects, kind: &str, name: &str) -> Option<&'a DynamicObject> {
    objects
        .in_order()
        .iter()
        .find(|object| object.types.as_ref().unwrap().kind == kind && object.name_any() == name)
}
