//! The Leases by which the pods of a cluster knew each other (`gochat-coord`), once it is gone: bounds of worker ids have no
//! owner, so no garbage collector takes them.
//!
//! # Guarantees
//! - None is deleted while the cluster or a pod of it is there, nor while one was written lately: a process that nobody sees
//!   any more gives out ids until its bound passes.
//!
//! # Caveats
//! - Only those of clusters that this process has looked at. A Lease with the label of a cluster that it never saw may be that
//!   of a GoChat without an operator.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, DeleteParams, ListParams, Preconditions};
use kube::{Client, ResourceExt as _};
use parking_lot::Mutex;

use super::ClusterKey;
use crate::names;

/// A cluster whose Leases were written within this time may still work. Bounds are stored 60 s ahead, and raised every 20 s.
const ALIVE: Duration = Duration::from_secs(60);

/// The clusters that may leave something: those that are there, and those that are gone and were not cleared yet.
#[derive(Debug, Default)]
pub struct Leftovers(Mutex<BTreeSet<ClusterKey>>);

impl Leftovers {
    /// Notes that there is such a cluster.
    pub(super) fn note(&self, key: &ClusterKey) {
        let mut noted = self.0.lock();
        if !noted.contains(key) {
            noted.insert(key.clone());
        }
    }

    /// Deletes what those have left that are gone. What fails is tried again next time.
    pub async fn clear(&self, client: &Client, is_gone: impl Fn(&ClusterKey) -> bool) {
        let gone: Vec<_> = self.0.lock().iter().filter(|key| is_gone(key)).cloned().collect();
        for key in gone {
            match clear(client, &key).await {
                Ok(Some(deleted)) => {
                    tracing::info!(cluster = %key, deleted, "its Leases are gone with it");
                    self.0.lock().remove(&key);
                }
                Ok(None) => {}
                Err(error) => tracing::debug!(cluster = %key, %error, "its Leases are still there"),
            }
        }
    }
}

/// How many were deleted; `None` where somebody may still work.
async fn clear(client: &Client, key: &ClusterKey) -> kube::Result<Option<usize>> {
    let api: Api<Lease> = Api::namespaced(client.clone(), &key.namespace);
    let ours = ListParams::default().labels(&format!("{}={}", names::CLUSTER, key.name));
    let leases = api.list(&ours).await?.items;
    let now = Timestamp::now();
    if leases.iter().any(|lease| is_fresh(lease, now)) {
        return Ok(None);
    }
    for lease in &leases {
        // As it was seen: a cluster of the same name may have begun to work with it.
        let as_seen = Preconditions { uid: lease.uid(), resource_version: lease.resource_version() };
        let params = DeleteParams { preconditions: Some(as_seen), ..DeleteParams::default() };
        match api.delete(&lease.name_any(), &params).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(leases.len()))
}

/// Whether it was written lately.
fn is_fresh(lease: &Lease, now: Timestamp) -> bool {
    let writes = lease.managed_fields().iter().filter_map(|entry| entry.time.as_ref());
    let last = writes.chain(lease.metadata.creation_timestamp.as_ref()).map(|time| time.0).max();
    last.and_then(|last| last.saturating_add(ALIVE).ok()).is_some_and(|until| now < until)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta, Time};

    use super::*;

    #[test]
    fn a_lease_is_fresh_by_its_last_write() {
        let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).unwrap();
        let write = |seconds| ManagedFieldsEntry { time: Some(Time(at(seconds))), ..Default::default() };
        let metadata = ObjectMeta {
            creation_timestamp: Some(Time(at(0))),
            managed_fields: Some(vec![write(100), write(40)]),
            ..ObjectMeta::default()
        };
        let lease = Lease { metadata, ..Lease::default() };
        assert!(is_fresh(&lease, at(159)));
        assert!(!is_fresh(&lease, at(160)));
        assert!(is_fresh(&lease, at(50)), "another clock");
    }
}
