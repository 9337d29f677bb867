//! Who wants a cluster looked at again: children that changed, Kafka, the live part.
//!
//! A set rather than a queue: however often a cluster is woken before its turn, it is looked at once, so that what waits is
//! bounded by the number of clusters.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::Stream;
use futures::stream;
use gochat_crds::GoChatCluster;
use kube::runtime::reflector::ObjectRef;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::cluster::ClusterKey;
use crate::scope::Scope;

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Wakeups(Arc<BTreeMap<Scope, Due>>);

#[derive(Debug, Default)]
struct Due {
    clusters: Mutex<BTreeSet<ClusterKey>>,
    changed: Notify,
}

impl Wakeups {
    /// For controllers of these scopes.
    pub fn new(scopes: &[Scope]) -> Self {
        Self(Arc::new(scopes.iter().map(|scope| (scope.clone(), Due::default())).collect()))
    }

    /// Has a cluster looked at soon. One that is in no scope is nobody's.
    pub fn wake(&self, cluster: &ClusterKey) {
        let own = Scope::Namespace(cluster.namespace.clone());
        let Some(due) = self.0.get(&own).or_else(|| self.0.get(&Scope::All)) else { return };
        if due.clusters.lock().insert(cluster.clone()) {
            due.changed.notify_one();
        }
    }

    /// What is woken in a scope, for the one controller of it.
    pub fn stream(&self, scope: &Scope) -> impl Stream<Item = ObjectRef<GoChatCluster>> + Send + 'static {
        let state = (Arc::clone(&self.0), scope.clone());
        stream::unfold(state, |(all, scope)| async move {
            loop {
                let due = all.get(&scope)?;
                let next = due.clusters.lock().pop_first();
                if let Some(key) = next {
                    return Some((ObjectRef::from(&key), (all, scope)));
                }
                due.changed.notified().await;
            }
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::pin::pin;

    use futures::{FutureExt as _, StreamExt as _};

    use super::*;

    fn key(namespace: &str, name: &str) -> ClusterKey {
        ClusterKey { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    #[tokio::test]
    async fn a_cluster_that_is_woken_many_times_is_looked_at_once() {
        let wakeups = Wakeups::new(&[Scope::All]);
        for _ in 0..100 {
            wakeups.wake(&key("a", "one"));
        }
        wakeups.wake(&key("a", "two"));
        let mut stream = pin!(wakeups.stream(&Scope::All));
        let names = [stream.next().await.unwrap().name, stream.next().await.unwrap().name];
        assert_eq!(names, ["one", "two"]);
        assert!(stream.next().now_or_never().is_none());
        wakeups.wake(&key("a", "one"));
        assert_eq!(stream.next().await.unwrap().name, "one");
    }

    #[tokio::test]
    async fn each_controller_hears_of_its_own_namespace() {
        let scopes = ["a", "b"].map(|name| Scope::Namespace(name.to_owned()));
        let wakeups = Wakeups::new(&scopes);
        wakeups.wake(&key("b", "one"));
        wakeups.wake(&key("c", "one"));
        let [mut a, mut b] = scopes.each_ref().map(|scope| Box::pin(wakeups.stream(scope)));
        assert!(a.next().now_or_never().is_none());
        assert_eq!(b.next().await.unwrap().namespace.as_deref(), Some("b"));
        assert!(b.next().now_or_never().is_none());
    }
}
