//! What the operator owns, as the API server has it.
//!
//! ```text
//! kinds    which kinds there are, and how much of each is kept
//! meta     what is kept of an object's metadata
//! watch    one watch a kind and scope, by the label `managed-by`
//! digest   whether an object still is as it was applied
//! ```
//!
//! Of most objects a number is kept and nothing else ([`digest`]): a thousand clusters have 33,000 objects, and all that
//! anybody wants to know of them is whether they need a write. What a decision reads (Deployments, Jobs, scalers, the
//! gateway's Service) is kept as text, without what no decision reads.

mod digest;
mod kinds;
mod meta;
mod watch;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use kube::api::{DynamicObject, ObjectMeta};
use parking_lot::RwLock;
use serde::de::DeserializeOwned;

pub use digest::rendered;
pub use kinds::{KINDS, Kind};
pub use meta::Meta;
pub use watch::Watches;

use crate::cluster::ClusterKey;
use crate::scope::Scope;

/// Names a child within its cluster: kind and name.
pub type ChildKey = (&'static str, String);

/// One object of a cluster.
#[derive(Clone, Debug)]
pub struct Child {
    /// As far as somebody reads it.
    pub meta: Meta,
    /// What the operator has said of it, as far as it still stands.
    pub digest: u64,
    /// What somebody reads, as JSON: parsed it would be five times as large, and it is read rarely.
    body: Option<Arc<str>>,
    /// `(rendered, live)` right after an apply where the API server wrote something in another way than it was sent.
    settled: Option<(u64, u64)>,
}

impl Child {
    /// Whether an apply of what has this digest would change nothing.
    pub fn is(&self, rendered: u64) -> bool {
        self.digest == rendered || self.settled == Some((rendered, self.digest))
    }

    /// The object, where its kind is one that is read.
    pub fn parse<K: DeserializeOwned>(&self) -> Option<K> {
        let parsed = serde_json::from_str(self.body.as_deref()?);
        parsed
            .inspect_err(
                |error| tracing::warn!(kind = std::any::type_name::<K>(), %error, "an object can't be read"),
            )
            .ok()
    }
}

/// All children of all clusters. Cheap to clone; no lock is held across an await.
#[derive(Clone, Debug, Default)]
pub struct Children(Arc<RwLock<HashMap<ClusterKey, BTreeMap<ChildKey, Child>>>>);

impl Children {
    /// Those of a cluster.
    pub fn of(&self, cluster: &ClusterKey) -> BTreeMap<ChildKey, Child> {
        self.0.read().get(cluster).cloned().unwrap_or_default()
    }

    /// The clusters that have any.
    pub fn clusters(&self) -> Vec<ClusterKey> {
        self.0.read().keys().cloned().collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.read().values().map(BTreeMap::len).sum()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.0.read().is_empty()
    }

    /// Notes the answer to an apply, so that the next look need not wait for the watch.
    pub fn applied(&self, kind: &'static Kind, rendered: u64, object: DynamicObject) {
        let Some((cluster, key, mut child)) = kept(kind, object) else { return };
        if child.digest != rendered {
            child.settled = Some((rendered, child.digest));
        }
        self.put(cluster, key, child);
    }

    /// Notes what a watch saw; says whose it is, and whether it is news: what an apply was answered with is none.
    fn seen(&self, kind: &'static Kind, object: DynamicObject) -> Option<(ClusterKey, ChildKey, bool)> {
        let (cluster, key, child) = kept(kind, object)?;
        let news = self.put(cluster.clone(), key.clone(), child);
        Some((cluster, key, news))
    }

    fn put(&self, cluster: ClusterKey, key: ChildKey, mut child: Child) -> bool {
        let mut all = self.0.write();
        let children = all.entry(cluster).or_default();
        let mut news = true;
        if let Some(there) = children.get(&key).filter(|there| there.meta.is_same(&child.meta)) {
            // The answer to an apply overtakes the watch.
            if there.meta.version > child.meta.version {
                return false;
            }
            news = there.meta.version < child.meta.version;
            child.settled = child.settled.or(there.settled);
        }
        children.insert(key, child);
        news
    }

    /// Notes that one is gone; says whose it was.
    fn gone(&self, kind: &'static Kind, meta: &ObjectMeta) -> Option<ClusterKey> {
        let (cluster, name) = (ClusterKey::of_labels(meta)?, meta.name.clone()?);
        self.remove(&cluster, &(kind.kind, name));
        Some(cluster)
    }

    fn remove(&self, cluster: &ClusterKey, key: &ChildKey) {
        let mut all = self.0.write();
        let Some(children) = all.get_mut(cluster) else { return };
        children.remove(key);
        if children.is_empty() {
            all.remove(cluster);
        }
    }

    /// Those of a kind and scope, for a watch that begins anew.
    fn all_of(&self, kind: &'static Kind, scope: &Scope) -> Vec<(ClusterKey, ChildKey)> {
        let all = self.0.read();
        let in_scope = all.iter().filter(|(cluster, _)| scope.has(&cluster.namespace));
        in_scope
            .flat_map(|(cluster, children)| {
                let ours = children.keys().filter(|(of, _)| *of == kind.kind);
                ours.map(|key| (cluster.clone(), key.clone()))
            })
            .collect()
    }
}

fn kept(kind: &'static Kind, object: DynamicObject) -> Option<(ClusterKey, ChildKey, Child)> {
    let cluster = ClusterKey::of_labels(&object.metadata)?;
    let name = object.metadata.name.clone()?;
    let digest = digest::live(&object);
    let meta = Meta::of(&object.metadata);
    let child = Child { meta, digest, body: kind.keep(object), settled: None };
    Some((cluster, (kind.kind, name), child))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn config_map(version: u64) -> DynamicObject {
        let meta = json!({
            "name": "a", "namespace": "b", "uid": "1", "resourceVersion": version.to_string(),
            "labels": { "gochat.io/cluster": "chat" },
        });
        serde_json::from_value(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": meta })).unwrap()
    }

    fn kind() -> &'static Kind {
        KINDS.iter().find(|kind| kind.kind == "ConfigMap").unwrap()
    }

    #[test]
    fn what_the_api_server_writes_in_its_own_way_is_applied_once() {
        let children = Children::default();
        children.applied(kind(), 42, config_map(2));
        let key = ClusterKey { namespace: "b".into(), name: "chat".into() };
        let child = |children: &Children| children.of(&key).into_values().next().unwrap();
        assert!(child(&children).is(42));
        assert!(!child(&children).is(43));
        let is_news = |version| children.seen(kind(), config_map(version)).unwrap().2;
        assert!(!is_news(1) && !is_news(2));
        assert_eq!(child(&children).meta.version, 2, "the watch comes later than the answer");
        assert!(is_news(3));
        assert!(child(&children).is(42));
    }
}
