//! The `coord` section of the settings.

use std::time::Duration;

/// Where coordination lives.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CoordConfig {
    /// etcd's addresses; empty: in process (dev only).
    pub etcd: Vec<String>,
    /// All keys start with it.
    pub prefix: String,
    /// After which a member that says nothing counts as dead, and its claims are free. At least 1 s; etcd counts in
    /// whole seconds and has a minimum of its own, one and a half election timeouts.
    #[serde(with = "humantime_serde")]
    pub lease_ttl: Duration,
    /// How long a new owner waits for the old one's release of a slot. Above `lease_ttl`, so that the slots of a dead
    /// owner are free before they are taken by force.
    #[serde(with = "humantime_serde")]
    pub handover_timeout: Duration,
}

impl Default for CoordConfig {
    fn default() -> Self {
        Self {
            etcd: Vec::new(),
            prefix: "gochat".into(),
            lease_ttl: Duration::from_secs(2),
            handover_timeout: Duration::from_secs(3),
        }
    }
}
