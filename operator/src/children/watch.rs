//! One watch a kind and scope. Kinds that not every API server has are looked for, and looked for again.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, ObjectMeta, PartialObjectMeta};
use kube::core::DynamicObject;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use parking_lot::RwLock;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Children, KINDS, Kind};
use crate::cluster::ClusterKey;
use crate::cluster::dereference::Capabilities;
use crate::names;
use crate::scope::Scope;
use crate::wakeups::Wakeups;

/// How soon a kind that was installed is used.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Objects that are listed at once: parsed, each takes tens of KiB for a moment, and all kinds are listed at the same time.
const PAGE: u32 = 100;

/// The watches, and what is known of them.
#[derive(Clone, Debug)]
pub struct Watches {
    children: Children,
    wakeups: Wakeups,
    capabilities: Arc<RwLock<Capabilities>>,
    /// The secrets that each cluster's spec refers to.
    referred: Arc<RwLock<BTreeMap<ClusterKey, BTreeSet<String>>>>,
    /// How many of them have not listed what there is.
    missing: watch::Sender<usize>,
}

impl Watches {
    /// Begins to watch, for as long as the tasks are not dropped.
    pub fn start(
        client: &Client,
        scopes: &[Scope],
        children: Children,
        wakeups: Wakeups,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let watches = Self {
            children,
            wakeups,
            capabilities: Arc::default(),
            referred: Arc::default(),
            missing: watch::Sender::new(KINDS.len() * scopes.len()),
        };
        for scope in scopes {
            for kind in KINDS.iter() {
                let (watches, client, scope) = (watches.clone(), client.clone(), scope.clone());
                if kind.optional {
                    tasks.spawn(async move { watches.optional(client, kind, scope).await });
                } else {
                    tasks.spawn(async move { watches.follow(client, kind, scope).await });
                }
            }
            let (watches, client, scope) = (watches.clone(), client.clone(), scope.clone());
            tasks.spawn(async move { watches.secrets(client, scope).await });
        }
        watches
    }

    /// What the API server knows besides what every one does.
    pub fn capabilities(&self) -> Capabilities {
        *self.capabilities.read()
    }

    /// From now on a change of one of these secrets of its namespace wakes a cluster.
    pub fn refer(&self, cluster: &ClusterKey, secrets: BTreeSet<String>) {
        let mut referred = self.referred.write();
        if referred.get(cluster) != Some(&secrets) {
            referred.insert(cluster.clone(), secrets);
        }
    }

    /// Forgets what clusters refer to, but for these.
    pub fn keep_only(&self, there: impl Fn(&ClusterKey) -> bool) {
        self.referred.write().retain(|cluster, _| there(cluster));
    }

    /// Until everything that there is has been seen once: before that, what is missing may only be unseen.
    pub async fn complete(&self) {
        let mut missing = self.missing.subscribe();
        // The sender is `self`'s.
        let _ = missing.wait_for(|missing| *missing == 0).await;
    }

    async fn follow(&self, client: Client, kind: &'static Kind, scope: Scope) {
        let api = scope.dynamic(client, &kind.resource);
        let mut events = pin!(watcher(api, ours()).default_backoff());
        let mut listing = HashSet::new();
        let mut complete = false;
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    let listed = matches!(event, Event::InitDone);
                    self.note(kind, &scope, event, &mut listing);
                    if listed && !std::mem::replace(&mut complete, true) {
                        self.done();
                    }
                }
                Err(error) => tracing::warn!(kind = kind.kind, %error, "watch"),
            }
        }
    }

    fn note(
        &self,
        kind: &'static Kind,
        scope: &Scope,
        event: Event<DynamicObject>,
        listing: &mut HashSet<(ClusterKey, super::ChildKey)>,
    ) {
        match event {
            Event::Init => listing.clear(),
            Event::InitApply(object) => listing.extend(self.seen(kind, object)),
            Event::Apply(object) => drop(self.seen(kind, object)),
            Event::Delete(object) => {
                if let Some(cluster) = self.children.gone(kind, &object.metadata) {
                    self.wakeups.wake(&cluster);
                }
            }
            Event::InitDone => {
                for (cluster, key) in self.children.all_of(kind, scope) {
                    if !listing.contains(&(cluster.clone(), key.clone())) {
                        self.children.remove(&cluster, &key);
                        self.wakeups.wake(&cluster);
                    }
                }
                listing.clear();
                listing.shrink_to_fit();
            }
        }
    }

    fn seen(&self, kind: &'static Kind, object: DynamicObject) -> Option<(ClusterKey, super::ChildKey)> {
        let (cluster, key, news) = self.children.seen(kind, object)?;
        if news {
            self.wakeups.wake(&cluster);
        }
        Some((cluster, key))
    }

    fn done(&self) {
        self.missing.send_modify(|missing| *missing = missing.saturating_sub(1));
    }

    /// Watches a kind while the API server has it.
    async fn optional(&self, client: Client, kind: &'static Kind, scope: Scope) {
        let mut looked = false;
        loop {
            let known = knows(&client, kind).await;
            self.set_capability(kind, known);
            if known {
                let gone = async {
                    loop {
                        tokio::time::sleep(LOOK_AGAIN).await;
                        if !knows(&client, kind).await {
                            return;
                        }
                    }
                };
                tokio::select! {
                    () = self.follow(client.clone(), kind, scope.clone()) => {}
                    () = gone => {}
                }
                looked = true;
                self.set_capability(kind, false);
                continue;
            }
            if !std::mem::replace(&mut looked, true) {
                self.done();
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn set_capability(&self, kind: &Kind, known: bool) {
        let mut capabilities = self.capabilities.write();
        let capability = match kind.kind {
            "PodMonitor" => &mut capabilities.pod_monitor,
            "PrometheusRule" => &mut capabilities.prometheus_rule,
            _ => &mut capabilities.http_route,
        };
        if std::mem::replace(capability, known) != known {
            tracing::info!(kind = kind.kind, known, "what the API server has");
            self.children.clusters().iter().for_each(|cluster| self.wakeups.wake(cluster));
        }
    }

    /// Secrets, by their metadata: a new password, or one that was missing. All of them, since those that a spec refers to are
    /// other people's and need no label; nothing of them is kept.
    async fn secrets(&self, client: Client, scope: Scope) {
        let api: Api<PartialObjectMeta<Secret>> = scope.api(client);
        let secrets = watcher(api, watcher::Config::default()).default_backoff().touched_objects();
        let mut changed = pin!(secrets.map_ok(|secret| self.concerned(&secret.metadata)));
        while let Some(change) = changed.next().await {
            match change {
                Ok(clusters) => clusters.iter().for_each(|cluster| self.wakeups.wake(cluster)),
                Err(error) => tracing::warn!(kind = "Secret", %error, "watch"),
            }
        }
    }

    /// Whose secret it is, and who refers to it.
    fn concerned(&self, secret: &ObjectMeta) -> Vec<ClusterKey> {
        let namespace = secret.namespace.clone().unwrap_or_default();
        let first = ClusterKey { namespace: namespace.clone(), name: String::new() };
        let referred = self.referred.read();
        let near = referred.range(first..).take_while(|(cluster, _)| cluster.namespace == namespace);
        let refers =
            |secrets: &BTreeSet<String>| secret.name.as_ref().is_some_and(|name| secrets.contains(name));
        let mut clusters: Vec<_> =
            near.filter(|(_, secrets)| refers(secrets)).map(|(cluster, _)| cluster.clone()).collect();
        clusters.extend(ClusterKey::of_labels(secret));
        clusters
    }
}

fn ours() -> watcher::Config {
    let ours = format!("{}={}", names::APP_MANAGED_BY, names::FIELD_MANAGER);
    watcher::Config::default().labels(&ours).page_size(PAGE)
}

/// Whether the API server has a kind. Where it can't be asked, it has not: nothing of that kind is built then.
async fn knows(client: &Client, kind: &Kind) -> bool {
    let resources = client.list_api_group_resources(&kind.resource.api_version).await;
    resources.is_ok_and(|list| list.resources.iter().any(|resource| resource.kind == kind.kind))
}
