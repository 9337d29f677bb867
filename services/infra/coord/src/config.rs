//! The `coord` section of the settings.

use std::path::PathBuf;
use std::time::Duration;

/// Where coordination lives.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CoordConfig {
    /// etcd's addresses; empty, and no Kubernetes API either: in process (dev only).
    pub etcd: Vec<String>,
    /// All keys in etcd start with it.
    pub prefix: String,
    /// The Kubernetes API in place of an etcd.
    pub kubernetes: KubernetesConfig,
    /// After which a member that says nothing counts as dead, and its claims are free. At least 1 s; etcd counts in
    /// whole seconds and has a minimum of its own, one and a half election timeouts. The Kubernetes API counts in
    /// whole seconds too, and has a write to do every third of it, for every process.
    #[serde(with = "humantime_serde")]
    pub lease_ttl: Duration,
    /// How long a new owner waits for the old one's release of a slot. Above `lease_ttl`, so that the slots of a dead
    /// owner are free before they are taken by force.
    #[serde(with = "humantime_serde")]
    pub handover_timeout: Duration,
}

/// Coordination by objects of the Kubernetes API, as pods have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KubernetesConfig {
    /// Whether to use it.
    pub enabled: bool,
    /// The `GoChatCluster` that this process is part of: a lower-case DNS label.
    pub cluster: String,
    /// Where its objects are; empty: the pod's own namespace, or that of the kubeconfig.
    pub namespace: String,
    /// The file that says how to reach the API; empty: what `KUBECONFIG` names, and in a pod its ServiceAccount.
    pub kubeconfig: PathBuf,
}

impl KubernetesConfig {
    /// Names of objects are made from it with dots between, so that it must have none.
    pub(crate) fn check(&self) -> Result<(), String> {
        let label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let inner = !self.cluster.starts_with('-') && !self.cluster.ends_with('-');
        if (1..=63).contains(&self.cluster.len()) && inner && self.cluster.chars().all(label) {
            return Ok(());
        }
        Err(format!(
            "coord.kubernetes.cluster is {:?}: must be a lower-case DNS label, such as chat",
            self.cluster
        ))
    }
}

impl CoordConfig {
    /// Refuses what can't work, by name.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Self { lease_ttl, handover_timeout, .. } = self;
        if *lease_ttl < Duration::from_secs(1) {
            return Err(format!("coord.lease_ttl is {lease_ttl:?}: must be at least 1s"));
        }
        if handover_timeout <= lease_ttl {
            return Err(format!(
                "coord.handover_timeout is {handover_timeout:?}: must be above coord.lease_ttl, which is {lease_ttl:?}"
            ));
        }
        if !self.etcd.is_empty() && self.kubernetes.enabled {
            return Err("coord.etcd and coord.kubernetes.enabled are both set: leave one of them out".into());
        }
        Ok(())
    }
}

impl Default for CoordConfig {
    fn default() -> Self {
        Self {
            etcd: Vec::new(),
            prefix: "gochat".into(),
            kubernetes: KubernetesConfig::default(),
            lease_ttl: Duration::from_secs(2),
            handover_timeout: Duration::from_secs(3),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_can_not_work_is_refused_by_name() {
        let default = CoordConfig::default;
        let kubernetes = KubernetesConfig { enabled: true, ..KubernetesConfig::default() };
        for (config, said) in [
            (
                CoordConfig { lease_ttl: Duration::ZERO, ..default() },
                "coord.lease_ttl is 0ns: must be at least 1s",
            ),
            (
                CoordConfig { handover_timeout: Duration::from_secs(2), ..default() },
                "coord.handover_timeout is 2s: must be above coord.lease_ttl",
            ),
            (
                CoordConfig { etcd: vec!["http://nowhere".into()], kubernetes, ..default() },
                "coord.etcd and coord.kubernetes.enabled are both set",
            ),
        ] {
            let error = crate::Coord::connect(&config).await.err().map(|error| error.to_string());
            assert!(error.as_ref().is_some_and(|error| error.contains(said)), "{error:?}");
        }
    }
}
