//! What the API server has of the kinds that the live part reads, by cluster: one watch a kind and scope.
//!
//! Of each object only what is read is kept. Nothing is decided before every watch has listed once: pods that are not listed
//! yet would look like pods that are gone.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt as _;
use kube::api::Api;
use kube::core::NamespaceResourceScope;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch_objects};
use kube::{Client, Resource};
use parking_lot::RwLock;
use serde::de::DeserializeOwned;

use crate::cluster::ClusterKey;
use crate::scope::Scope;

type ByCluster<T> = HashMap<ClusterKey, BTreeMap<String, T>>;

/// Objects of one kind, by cluster and name.
#[derive(Debug)]
pub(super) struct Index<T>(RwLock<ByCluster<T>>);

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

/// What is kept of an object: whose it is, its name, and what is read of it; `None` where it counts as not there.
pub(super) type Kept<T> = (ClusterKey, String, Option<T>);

impl<T: Clone> Index<T> {
    /// Those of a cluster.
    pub(super) fn of(&self, cluster: &ClusterKey) -> BTreeMap<String, T> {
        self.0.read().get(cluster).cloned().unwrap_or_default()
    }

    fn put(&self, (cluster, name, object): Kept<T>) {
        let mut all = self.0.write();
        if let Some(object) = object {
            all.entry(cluster).or_default().insert(name, object);
        } else if let Some(objects) = all.get_mut(&cluster) {
            objects.remove(&name);
            if objects.is_empty() {
                all.remove(&cluster);
            }
        }
    }

    /// Takes a whole list in; says which clusters have or had some.
    fn replace(&self, scope: &Scope, listed: ByCluster<T>) -> Vec<ClusterKey> {
        let mut all = self.0.write();
        let mut touched: Vec<_> = all.keys().filter(|key| scope.has(&key.namespace)).cloned().collect();
        all.retain(|key, _| !scope.has(&key.namespace));
        touched.extend(listed.keys().cloned());
        all.extend(listed);
        touched
    }
}

/// One watch.
pub(super) struct Watch<K, T> {
    pub(super) scope: Scope,
    pub(super) config: watcher::Config,
    pub(super) index: Arc<Index<T>>,
    pub(super) keep: fn(K) -> Option<Kept<T>>,
}

impl<K, T> Watch<K, T>
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Send + 'static,
    K::DynamicType: Default,
    T: Clone,
{
    /// Goes on until it is dropped; says which clusters changed, and when the first list is complete.
    pub(super) async fn run(self, client: Client, changed: impl Fn(&ClusterKey), listed: impl Fn()) {
        let api: Api<K> = self.scope.api(client);
        let mut events = pin!(watch_objects(api, self.config).default_backoff());
        let mut list = ByCluster::default();
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => list.clear(),
                Ok(Event::InitApply(object)) => {
                    if let Some((cluster, name, Some(object))) = (self.keep)(object) {
                        list.entry(cluster).or_default().insert(name, object);
                    }
                }
                Ok(Event::InitDone) => {
                    let touched = self.index.replace(&self.scope, std::mem::take(&mut list));
                    listed();
                    touched.iter().for_each(&changed);
                }
                Ok(Event::Apply(object)) => {
                    let Some(kept) = (self.keep)(object) else { continue };
                    let cluster = kept.0.clone();
                    self.index.put(kept);
                    changed(&cluster);
                }
                Ok(Event::Delete(object)) => {
                    let Some((cluster, name, _)) = (self.keep)(object) else { continue };
                    self.index.put((cluster.clone(), name, None));
                    changed(&cluster);
                }
                Err(error) => {
                    tracing::debug!(kind = %std::any::type_name::<K>(), %error, "a watch was interrupted");
                }
            }
        }
    }
}
