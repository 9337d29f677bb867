//! What there is of placements and rebalances: what the watch keeps of them, and the newer one of that and of our own writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use gochat_crds::{GoChatPlacement, GoChatRebalance};
use kube::ResourceExt as _;

use super::super::watch::Kept;
use super::super::write;
use super::Placed;
use crate::cluster::ClusterKey;

impl Placed {
    /// The workload's map as it is known last.
    pub(super) fn current(
        &mut self,
        placements: &BTreeMap<String, Arc<GoChatPlacement>>,
    ) -> Option<Arc<GoChatPlacement>> {
        let stored = placements.values().find(|placement| placement.spec.workload == self.workload).cloned();
        let current = write::newest(stored.clone(), self.answered.as_ref());
        if let (Some(stored), Some(answered)) = (&stored, &self.answered)
            && !current.as_ref().is_some_and(|current| Arc::ptr_eq(current, answered))
        {
            tracing::trace!(epoch = stored.spec.epoch, "the watch has it");
            self.answered = None;
        }
        current
    }

    /// Those of this workload, as they are known last; the oldest first.
    pub(super) fn rebalances(
        &mut self,
        stored: &BTreeMap<String, Arc<GoChatRebalance>>,
    ) -> Vec<Arc<GoChatRebalance>> {
        let ours = stored.iter().filter(|(_, rebalance)| rebalance.spec.workload == self.workload);
        let same = |a: &GoChatRebalance, b: &GoChatRebalance| a.metadata.uid == b.metadata.uid;
        self.rebalances
            .retain(|name, answered| stored.get(name).is_some_and(|stored| same(stored, answered)));
        let newest = ours.filter_map(|(name, rebalance)| {
            let rebalance = write::newest(Some(Arc::clone(rebalance)), self.rebalances.get(name))?;
            // One that is being deleted begins nothing.
            rebalance.metadata.deletion_timestamp.is_none().then_some(rebalance)
        });
        let mut rebalances: Vec<_> = newest.collect();
        rebalances.sort_by_key(|rebalance| (rebalance.creation_timestamp(), rebalance.name_any()));
        rebalances
    }
}

/// What is kept of a placement.
pub(in crate::live) fn keep_placement(placement: GoChatPlacement) -> Option<Kept<Arc<GoChatPlacement>>> {
    let name = placement.metadata.name.clone()?;
    let key =
        ClusterKey { namespace: placement.metadata.namespace.clone()?, name: placement.spec.cluster.clone() };
    // Another name is nobody's: no pod reads it.
    let ours = name == crate::names::placement(&key.name, placement.spec.workload);
    Some((key, name, ours.then(|| Arc::new(write::trimmed(placement)))))
}

/// What is kept of a rebalance.
pub(in crate::live) fn keep_rebalance(rebalance: GoChatRebalance) -> Option<Kept<Arc<GoChatRebalance>>> {
    let name = rebalance.metadata.name.clone()?;
    let key =
        ClusterKey { namespace: rebalance.metadata.namespace.clone()?, name: rebalance.spec.cluster.clone() };
    Some((key, name, Some(Arc::new(write::trimmed(rebalance)))))
}
