//! What the live part has found out, for the controller of clusters to read: one writer, no lock across an await.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::cluster::ClusterKey;
use crate::live::LiveView;
use crate::wakeups::Wakeups;

/// One view a cluster. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Views {
    views: Arc<RwLock<HashMap<ClusterKey, LiveView>>>,
    wakeups: Wakeups,
}

impl Views {
    /// None yet.
    pub fn new(wakeups: Wakeups) -> Self {
        Self { views: Arc::default(), wakeups }
    }

    /// As it is now; `None` before there is one.
    pub fn get(&self, cluster: &ClusterKey) -> Option<LiveView> {
        self.views.read().get(cluster).cloned()
    }

    /// Publishes one; what is new has the cluster looked at.
    pub fn set(&self, cluster: &ClusterKey, view: LiveView) {
        let mut views = self.views.write();
        if views.get(cluster) == Some(&view) {
            return;
        }
        views.insert(cluster.clone(), view);
        drop(views);
        self.wakeups.wake(cluster);
    }

    /// Over all clusters: the highest load of a member over its share, and how many clusters are outside of their band.
    /// `None` where no cluster has reported.
    pub fn imbalance(&self) -> Option<(f64, usize)> {
        let views = self.views.read();
        let balances = || views.values().filter_map(|view| view.balance.as_ref());
        let hottest = balances().map(|balance| balance.hottest).reduce(f64::max)?;
        Some((hottest, balances().filter(|balance| balance.hottest > balance.band).count()))
    }

    /// Of a cluster that is gone.
    pub fn forget(&self, cluster: &ClusterKey) {
        self.views.write().remove(cluster);
    }
}
