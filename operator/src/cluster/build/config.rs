//! `gochat.yaml`: the settings of one workload, in a ConfigMap of their own.
//!
//! Each workload has its own, named by what is in it and never changed: so a pod of an older template that is made again
//! in the middle of a change still finds the settings that it was made for, and a change that concerns one workload makes
//! no other one's pods anew.

use std::collections::BTreeMap;

use gochat_crds::{LogFormat, ScaledWorkload};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Map, Value, json};

use super::objects::{Objects, named};
use super::{hash, pod, secrets};
use crate::cluster::rollout::{RolloutPlan, Turn};
use crate::cluster::validate::ValidCluster;
use crate::names;

/// The file with the settings.
pub(super) const FILE: &str = "gochat.yaml";
/// The file with the certificates that brokers are trusted by, where the spec has them in place.
pub(super) const KAFKA_CA: &str = "kafka-ca.crt";

/// Whose settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Workload(ScaledWorkload),
    Migration,
}

impl Of {
    pub(super) const fn component(self) -> &'static str {
        match self {
            Self::Workload(workload) => workload.as_str(),
            Self::Migration => names::MIGRATE,
        }
    }

    /// Only those that read and write messages know the log.
    pub(super) fn uses_log(self) -> bool {
        !self.uses_database()
    }

    pub(super) fn uses_database(self) -> bool {
        matches!(self, Self::Workload(ScaledWorkload::Repo) | Self::Migration)
    }

    /// Only logic has anything to cache that others may change, and to sign.
    pub(super) fn is_logic(self) -> bool {
        self == Self::Workload(ScaledWorkload::Logic)
    }
}

/// The files of a ConfigMap, and its name.
pub(super) struct Config {
    pub(super) name: String,
    data: BTreeMap<String, String>,
}

/// The settings of a workload.
pub(super) fn config(cluster: &ValidCluster, of: Of) -> Config {
    let settings = settings(cluster, of);
    let mut data = BTreeMap::new();
    if let Some(ca) = inline_ca(cluster).filter(|_| of.uses_log()) {
        data.insert(KAFKA_CA.to_owned(), ca.to_owned());
    }
    let known_by = hash::hash(&json!([settings, data]));
    data.insert(FILE.to_owned(), serde_saphyr::to_string(&settings).unwrap_or_default());
    Config { name: format!("{}-{}-{known_by}", cluster.name, of.component()), data }
}

/// The certificates that the spec has in place.
pub(super) fn inline_ca(cluster: &ValidCluster) -> Option<&str> {
    cluster.spec.kafka.tls.as_ref()?.ca.as_ref()?.inline.as_deref()
}

pub(super) fn add(objects: &mut Objects, cluster: &ValidCluster, rollout: &RolloutPlan) {
    // A workload that keeps its template keeps its settings: they are there, and are not deleted before it is settled.
    let workloads = rollout.turns.iter().filter(|(_, turn)| **turn == Turn::Wanted);
    let mut wanted: Vec<Of> = workloads.map(|(workload, _)| Of::Workload(workload)).collect();
    if rollout.migrate {
        wanted.push(Of::Migration);
    }
    for of in wanted {
        let Config { name, data } = config(cluster, of);
        let map = ConfigMap {
            metadata: named(name),
            data: Some(data),
            immutable: Some(true),
            ..ConfigMap::default()
        };
        objects.add(of.component(), map);
    }
}

fn settings(cluster: &ValidCluster, of: Of) -> Value {
    let spec = &cluster.spec;
    let mut sections = Map::new();
    let mut section = |name: &str, value: Value| {
        let value = without_nulls(value);
        if value.as_object().is_none_or(|map| !map.is_empty()) {
            sections.insert(name.to_owned(), value);
        }
    };
    section("telemetry", telemetry(cluster));
    if of != Of::Migration {
        section("coord", json!({ "kubernetes": { "enabled": true, "cluster": cluster.name } }));
        let topics = &spec.kafka.topics;
        if of.uses_log() {
            section(
                "topics",
                json!({
                    "shards": spec.gateway.shards,
                    "upstream_partitions": topics.upstream.partitions.min,
                    "task_partitions": topics.task.partitions.min,
                    "replication": topics.replication,
                }),
            );
            section("mq", mq(cluster));
        }
    }
    if of.uses_database() {
        section(
            "db",
            json!({
                "url_file": pod::secret_path(secrets::MYSQL, &spec.mysql.secret.key),
                "max_connections": spec.repo.max_connections,
            }),
        );
    }
    if of.is_logic() {
        let redis = spec.redis.as_ref().map(|redis| pod::secret_path(secrets::REDIS, &redis.secret.key));
        section("cache", json!({ "prefix": cluster.topic_prefix, "redis_file": redis }));
        section(
            "logic",
            json!({ "auth": {
                "keys_file": pod::secret_path(secrets::SIGNING_KEYS, names::KEYS),
                "access_lifetime": spec.auth.access_token_ttl,
                "session_lifetime": spec.auth.session_ttl,
            }}),
        );
    }
    if of == Of::Workload(ScaledWorkload::Gateway) {
        let (limits, drain) = (&spec.limits, &spec.gateway.drain);
        section(
            "gateway",
            json!({
                "drain_window": drain.window,
                "drain_rate": drain.rate,
                "limits": {
                    "connections": limits.connections,
                    "connections_per_user": limits.connections_per_user,
                    "frame_bytes": limits.frame_bytes,
                    "text_bytes": limits.text_bytes,
                    "messages_per_second": limits.messages_per_second,
                    "user_messages_per_second": limits.user_messages_per_second,
                },
            }),
        );
    }
    Value::Object(sections)
}

fn telemetry(cluster: &ValidCluster) -> Value {
    let observability = &cluster.spec.observability;
    let format = match observability.log_format {
        LogFormat::Json => "json",
        LogFormat::Pretty => "pretty",
    };
    json!({
        "filter": observability.log_filter,
        "format": format,
        "otlp": observability.tracing.as_ref().map(|tracing| &tracing.otlp),
        "sample_ratio": observability.tracing.as_ref().map(|tracing| 1.0 / f64::from(tracing.one_in.max(1))),
    })
}

fn mq(cluster: &ValidCluster) -> Value {
    let kafka = &cluster.spec.kafka;
    let ca = kafka.tls.as_ref().and_then(|tls| tls.ca.as_ref()).map(|ca| match &ca.secret {
        Some(secret) => pod::secret_path(secrets::KAFKA_CA, &secret.key),
        None => pod::path(KAFKA_CA),
    });
    let tls = kafka.tls.as_ref().map(|_| json!({ "enabled": true, "ca_file": ca }));
    let sasl = kafka.sasl.as_ref().map(|sasl| {
        json!({
            "mechanism": sasl.mechanism.as_str(),
            "username_file": pod::secret_path(secrets::KAFKA_SASL, "username"),
            "password_file": pod::secret_path(secrets::KAFKA_SASL, "password"),
        })
    });
    json!({ "bootstrap": kafka.bootstrap, "prefix": cluster.topic_prefix, "tls": tls, "sasl": sasl })
}

/// What is not given stays as the service has it.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (key, without_nulls(value)))
            .filter(|(_, value)| !value.is_null() && value.as_object().is_none_or(|map| !map.is_empty()))
            .collect(),
        value => value,
    }
}
