//! What is kept of an object's metadata: as little as somebody reads, since there are 33 objects a cluster.

use gochat_crds::GoChatCluster;
use kube::Resource as _;
use kube::api::{ObjectMeta, Preconditions};

use crate::names;

/// An object's metadata, as far as somebody reads it.
#[derive(Clone, Debug)]
pub struct Meta {
    uid: Box<str>,
    /// Versions are numbers that grow within a kind (KEP-5504).
    pub(super) version: u64,
    /// The uid of the GoChatCluster that owns it.
    owner: Option<Box<str>>,
    /// And that is its controller.
    controlled: bool,
    /// It was asked to go.
    pub leaving: bool,
    /// The part of the cluster: a workload, or `migrate`.
    pub component: Option<Box<str>>,
}

impl Meta {
    pub(super) fn of(meta: &ObjectMeta) -> Self {
        let kind = GoChatCluster::kind(&());
        let owner = meta.owner_references.iter().flatten().find(|owner| owner.kind == kind);
        let component = meta.labels.as_ref().and_then(|labels| labels.get(names::WORKLOAD));
        Self {
            uid: meta.uid.as_deref().unwrap_or_default().into(),
            version: meta.resource_version.as_ref().and_then(|text| text.parse().ok()).unwrap_or_default(),
            owner: owner.map(|owner| owner.uid.as_str().into()),
            controlled: owner.is_some_and(|owner| owner.controller == Some(true)),
            leaving: meta.deletion_timestamp.is_some(),
            component: component.map(|component| component.as_str().into()),
        }
    }

    /// Whether it is the same object, not another one of its name.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.uid == other.uid
    }

    /// Whether this very GoChatCluster is an owner.
    pub fn is_owned(&self, cluster: &str) -> bool {
        self.owner.as_deref() == Some(cluster)
    }

    /// Whether this very GoChatCluster is the controller.
    pub fn is_controlled(&self, cluster: &str) -> bool {
        self.controlled && self.is_owned(cluster)
    }

    /// For what is to be done to it as it was seen, and not otherwise.
    pub fn as_seen(&self) -> Preconditions {
        Preconditions {
            uid: Some(self.uid.clone().into_string()),
            resource_version: Some(self.version.to_string()),
        }
    }
}
