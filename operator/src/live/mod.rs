//! What moves by the second: load reports, placement, scaling, rebalances.
//!
//! ```text
//! watch ──▶ pods ──▶ one gRPC stream a pod (senses)           moves    one GoChatRebalance, step by step    pure
//!             │         │                                       ▲
//!             ▼         ▼                                       │
//!           keeper: a task a cluster ──▶ placed: one workload's slots ──▶ GoChatPlacement, GoChatRebalance
//!             ▲         │                  picture of senses, planner of brain
//!           Brief       └──────────────▶ scaled: one cluster's autoscalers ──▶ LiveView, Events
//!        (reconcile)                       signals of senses, autoscaler of brain
//! ```
//!
//! The controller of clusters tells this part about each cluster at every reconcile ([`Live::follow`]), and reads what it
//! found out in a [`LiveView`]; neither waits for the other. This part alone writes GoChatPlacement and the status of
//! GoChatRebalance; and `victims` says on pods which of them go when a workload is about to shrink.

mod brief;
mod keeper;
mod moves;
mod placed;
mod pods;
mod scaled;
mod victims;
mod watch;
mod write;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt as _, future};
use gochat_crds::{GoChatPlacement, GoChatRebalance, ScaledWorkload};
use gochat_senses::Clock;
use kube::Client;
use kube::runtime::watcher;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch as tokio_watch};
use tokio::task::AbortHandle;

pub use brief::Brief;
use pods::Pod;
use victims::Candidate;
use watch::{Index, Watch};

use crate::cluster::ClusterKey;
use crate::events::Events;
use crate::kafka::Kafka;
use crate::names;
use crate::scope::Scope;
use crate::views::Views;

/// What the live part found out about one cluster, as the controller of clusters reads it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveView {
    /// How many pods the autoscaler wants; a workload without autoscaling, or without a decision yet, is not there.
    pub wanted: BTreeMap<ScaledWorkload, Wanted>,
    /// Whether the autoscaler can decide.
    pub scaling: Signal,
    /// How evenly load lies; `None` before there is a report.
    pub balance: Option<Balance>,
}

/// A decision of the autoscaler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// So many pods.
    pub replicas: u32,
    /// With the numbers behind it.
    pub reason: String,
}

/// Whether the autoscaler can decide.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Signal {
    /// No workload has autoscaling.
    #[default]
    Fixed,
    /// It decides.
    Active,
    /// It holds, since something is not known.
    Missing {
        /// What.
        why: String,
    },
}

/// How evenly load lies over the members.
#[derive(Clone, Debug, PartialEq)]
pub struct Balance {
    /// The hottest member's load over its share, over all placed workloads: 1.0 is even.
    pub hottest: f64,
    /// What that may be before slots are moved: `1.1` for `bandPercent: 10`.
    pub band: f64,
    /// For people, with the numbers.
    pub text: String,
    /// The first since the operator began: other words for what the status says already are no news.
    pub first: bool,
}

/// The live part of all clusters. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Live(Arc<Shared>);

struct Shared {
    client: Client,
    events: Events,
    views: Views,
    kafka: Kafka,
    clock: Clock,
    pods: Arc<Index<Pod>>,
    placements: Arc<Index<Arc<GoChatPlacement>>>,
    rebalances: Arc<Index<Arc<GoChatRebalance>>>,
    keepers: Mutex<HashMap<ClusterKey, Keeper>>,
    /// The pods that could go, as each keeper saw them last.
    candidates: Mutex<HashMap<ClusterKey, Arc<Vec<Candidate>>>>,
    /// Watches that have not listed yet.
    unlisted: tokio_watch::Sender<usize>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("clusters", &self.keepers.lock().len()).finish_non_exhaustive()
    }
}

/// The task of one cluster; ends when dropped.
struct Keeper {
    brief: tokio_watch::Sender<Arc<Brief>>,
    changed: Arc<Notify>,
    task: AbortHandle,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Live {
    /// Knows no cluster yet.
    pub fn new(client: Client, events: Events, views: Views, kafka: Kafka) -> Self {
        Self(Arc::new(Shared {
            client,
            events,
            views,
            kafka,
            clock: Clock::default(),
            pods: Arc::default(),
            placements: Arc::default(),
            rebalances: Arc::default(),
            keepers: Mutex::default(),
            candidates: Mutex::default(),
            // Nobody decides before `run` has begun to watch.
            unlisted: tokio_watch::Sender::new(usize::MAX),
        }))
    }

    /// Looks after a cluster from now on, or takes in what is new about it.
    pub fn follow(&self, brief: Brief) {
        let (key, brief) = (brief.key.clone(), Arc::new(brief));
        let mut keepers = self.0.keepers.lock();
        if let Some(keeper) = keepers.get(&key).filter(|keeper| keeper.brief.borrow().uid() == brief.uid()) {
            keeper.brief.send_replace(brief);
            keeper.changed.notify_one();
            return;
        }
        let (sender, receiver) = tokio_watch::channel(brief);
        let changed = Arc::new(Notify::new());
        let task = keeper::keep(Arc::clone(&self.0), receiver, Arc::clone(&changed));
        let task = tokio::spawn(task).abort_handle();
        keepers.insert(key, Keeper { brief: sender, changed, task });
    }

    /// Has the pods chosen that go where a workload is about to have so many fewer; to be called before it has.
    pub async fn choose(&self, key: &ClusterKey, workload: ScaledWorkload, fewer: u32) {
        let candidates = self.0.candidates.lock().get(key).cloned().unwrap_or_default();
        let of_it: Vec<_> = candidates.iter().filter(|one| one.pod.workload == workload).cloned().collect();
        victims::mark(&self.0.client, key, &of_it, usize::try_from(fewer).unwrap_or(usize::MAX)).await;
    }

    /// Whether pods of a cluster are there.
    pub fn has_pods(&self, key: &ClusterKey) -> bool {
        !self.0.pods.of(key).is_empty()
    }

    /// Looks no longer after a cluster: it is gone, or going.
    pub fn forget(&self, key: &ClusterKey) {
        self.0.keepers.lock().remove(key);
        self.0.candidates.lock().remove(key);
        self.0.views.forget(key);
    }

    /// Looks no longer after clusters that are not there: one that was deleted while it was paused says no good-bye.
    pub fn keep_only(&self, there: impl Fn(&ClusterKey) -> bool) {
        self.0.keepers.lock().retain(|key, _| there(key));
        self.0.candidates.lock().retain(|key, _| there(key));
    }

    /// Watches; goes on until it is dropped, and then nothing is looked after any more. Called once.
    pub async fn run(self, scopes: Vec<Scope>) {
        let _all = EndAll(Arc::clone(&self.0));
        let mut watches: Vec<BoxFuture<'static, ()>> = Vec::new();
        for scope in scopes {
            let pods = Watch {
                scope: scope.clone(),
                config: watcher::Config::default().labels(&format!("{},{}", names::CLUSTER, names::WORKLOAD)),
                index: Arc::clone(&self.0.pods),
                keep: pods::keep,
            };
            let placements = Watch {
                scope: scope.clone(),
                config: watcher::Config::default(),
                index: Arc::clone(&self.0.placements),
                keep: placed::keep_placement,
            };
            let rebalances = Watch {
                scope,
                config: watcher::Config::default(),
                index: Arc::clone(&self.0.rebalances),
                keep: placed::keep_rebalance,
            };
            watches.push(self.watch(pods));
            watches.push(self.watch(placements));
            watches.push(self.watch(rebalances));
        }
        self.0.unlisted.send_replace(watches.len());
        future::join_all(watches).await;
    }

    fn watch<K, T>(&self, watch: Watch<K, T>) -> BoxFuture<'static, ()>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
        K: Clone + fmt::Debug + serde::de::DeserializeOwned + Send + Sync + 'static,
        K::DynamicType: Default + Eq + std::hash::Hash + Clone + Send + Sync,
        T: Clone + Send + Sync + 'static,
    {
        let (live, first) = (self.clone(), std::sync::Once::new());
        let changed = self.clone();
        let changed = move |key: &ClusterKey| {
            if let Some(keeper) = changed.0.keepers.lock().get(key) {
                keeper.changed.notify_one();
            }
        };
        let listed = move || {
            first
                .call_once(|| live.0.unlisted.send_modify(|unlisted| *unlisted = unlisted.saturating_sub(1)));
        };
        watch.run(self.0.client.clone(), changed, listed).boxed()
    }
}

/// The tasks hold what holds them: somebody else has to end them.
struct EndAll(Arc<Shared>);

impl Drop for EndAll {
    fn drop(&mut self) {
        self.0.keepers.lock().clear();
    }
}
