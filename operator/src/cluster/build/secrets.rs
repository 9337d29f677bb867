//! What pods read of secrets: files in the one volume, and, where a process reads them once at its start, a hash that makes
//! the pods anew when a value changes.
//!
//! The hash is made of 32 bits of SHA-256 a value ([`crate::cluster::dereference::SecretFacts`]): enough to see a change, too
//! few to find the value of a password by.

use std::collections::BTreeMap;

use gochat_crds::ScaledWorkload;

use super::config::Of;
use super::hash;
use crate::cluster::validate::ValidCluster;
use crate::names;

// Folders of secrets.
pub(super) const MYSQL: &str = "mysql";
pub(super) const REDIS: &str = "redis";
pub(super) const KAFKA_CA: &str = "kafka-ca";
pub(super) const KAFKA_SASL: &str = "kafka-sasl";
pub(super) const SIGNING_KEYS: &str = "signing-keys";

/// Some keys of a secret, as files in a folder.
pub(super) struct Mount {
    pub(super) folder: &'static str,
    pub(super) secret: String,
    pub(super) keys: Vec<String>,
}

/// Those of a component.
pub(super) fn mounts(cluster: &ValidCluster, of: Of) -> Vec<Mount> {
    let spec = &cluster.spec;
    let mut all = Vec::new();
    let mut mount = |folder, secret: &str, keys: &[&str]| {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        all.push(Mount { folder, secret: secret.to_owned(), keys });
    };
    if of.uses_database() {
        mount(MYSQL, &spec.mysql.secret.name, &[&spec.mysql.secret.key]);
    }
    if of.is_logic() {
        if let Some(redis) = &spec.redis {
            mount(REDIS, &redis.secret.name, &[&redis.secret.key]);
        }
        let generated = names::signing_keys(&cluster.name);
        let keys = spec.auth.keys_secret.as_ref().map_or(&generated, |secret| &secret.name);
        mount(SIGNING_KEYS, keys, &[names::KEYS]);
    }
    if of.uses_log() {
        if let Some(ca) = spec.kafka.tls.as_ref().and_then(|tls| tls.ca.as_ref()?.secret.as_ref()) {
            mount(KAFKA_CA, &ca.name, &[&ca.key]);
        }
        if let Some(sasl) = &spec.kafka.sasl {
            mount(KAFKA_SASL, &sasl.secret.name, &["username", "password"]);
        }
    }
    all
}

/// What the values that a workload's processes read at their start are known by. While one is missing it is what it was: pods
/// that are made anew then could not start.
pub(super) fn known_by(cluster: &ValidCluster, workload: ScaledWorkload) -> Option<String> {
    let mut values: BTreeMap<String, u32> = BTreeMap::new();
    // The signing keys are read again while a pod runs.
    let mounts = mounts(cluster, Of::Workload(workload)).into_iter();
    for mount in mounts.filter(|mount| mount.folder != SIGNING_KEYS) {
        for key in &mount.keys {
            let digest = cluster.secrets.get(&mount.secret).and_then(|secret| secret.digests.get(key));
            let Some(digest) = digest else { return cluster.workloads.get(workload).secrets.clone() };
            values.insert(format!("{}/{key}", mount.folder), *digest);
        }
    }
    (!values.is_empty()).then(|| hash::hash(&values))
}
