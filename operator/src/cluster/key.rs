//! Which cluster.

use std::fmt;

use gochat_crds::GoChatCluster;
use kube::Resource;
use kube::api::ObjectMeta;
use kube::runtime::reflector::ObjectRef;

use crate::names;

/// Names a GoChatCluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterKey {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ClusterKey {
    /// That of a cluster.
    pub fn of(cluster: &GoChatCluster) -> Self {
        let meta = cluster.meta();
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
        }
    }

    /// Of the cluster that an object is labelled with.
    pub fn of_labels(meta: &ObjectMeta) -> Option<Self> {
        let name = meta.labels.as_ref()?.get(names::CLUSTER)?.clone();
        Some(Self { namespace: meta.namespace.clone()?, name })
    }
}

impl From<&ClusterKey> for ObjectRef<GoChatCluster> {
    fn from(key: &ClusterKey) -> Self {
        ObjectRef::new(&key.name).within(&key.namespace)
    }
}

impl fmt::Display for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
