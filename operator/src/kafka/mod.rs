//! Topics: created, grown, checked, and deleted where a cluster's policy says so.
//!
//! ```text
//! mod          who wants what, and what was seen: the handle that reconciles use
//! task         looks at what is due, one connection at a time, a few connections at once
//! wanted       topics of a cluster; what to do about those that are there: pure
//! connection   address and credentials, out of the spec and its secrets
//! admin        the calls to a broker, in bounded time
//! configs      the topics' settings: read and corrected
//! lag          what waits in them, by the broker's offsets
//! ```
//!
//! A reconcile never waits for a broker: it says what it wants and takes what was seen last. What is new wakes it.
//!
//! # Guarantees
//! - One client a distinct connection, however many clusters share it, and a few at most at a time.
//! - Nothing shrinks. Nothing is deleted but by [`Kafka::delete_topics`].
//! - Everything that is done to a broker is an Event, and needs the lease as any write does.
//! - A broker that is away costs a question now and then, ever more rarely up to once a minute.

mod admin;
mod configs;
mod connection;
mod lag;
mod task;
mod wanted;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gochat_crds::{GoChatCluster, ScaledWorkload};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Client, Resource as _};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::cluster::ClusterKey;
use crate::cluster::dereference::KafkaFacts;
use crate::cluster::reasons::Reason;
use crate::events::Events;
use crate::leader::Term;
use crate::wakeups::Wakeups;
use admin::Admin;
use connection::Connection;
pub use lag::Lag;
use lag::Lags;
use wanted::Topic;

/// The handle. Cheap to clone.
#[derive(Clone)]
pub struct Kafka {
    shared: Arc<Shared>,
}

struct Shared {
    clusters: Mutex<BTreeMap<ClusterKey, Interest>>,
    changed: Notify,
    /// Held by whoever makes or deletes topics.
    changing: tokio::sync::Mutex<()>,
    client: Client,
    term: Term,
    events: Events,
    wakeups: Wakeups,
}

/// What is known of one cluster's topics.
#[derive(Clone, Debug)]
struct Interest {
    connection: Connection,
    topics: Vec<Topic>,
    /// Only looks.
    paused: bool,
    about: ObjectReference,
    facts: KafkaFacts,
    /// An Event has said that it is away.
    told_away: bool,
    /// When to look again.
    due: Instant,
    failures: u32,
    /// When the topics' settings were last found, or made, as they should be.
    configured: Option<Instant>,
    lags: Lags,
}

/// Whether the cluster's status says that its Kafka is away.
fn was_away(cluster: &GoChatCluster) -> bool {
    let conditions = cluster.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().any(|condition| condition.reason == Reason::KafkaAway.name())
}

impl Interest {
    fn wants_as(&self, other: &Self) -> bool {
        (&self.connection, &self.topics, self.paused) == (&other.connection, &other.topics, other.paused)
    }
}

impl Kafka {
    /// Begins to look after whoever will want something, for as long as the tasks are not dropped.
    pub fn start(
        client: Client,
        term: Term,
        events: Events,
        wakeups: Wakeups,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let shared = Shared {
            clusters: Mutex::default(),
            changed: Notify::new(),
            changing: tokio::sync::Mutex::default(),
            client,
            term,
            events,
            wakeups,
        };
        let kafka = Self { shared: Arc::new(shared) };
        tasks.spawn(task::run(Arc::clone(&kafka.shared)));
        tasks.spawn(lag::run(Arc::clone(&kafka.shared)));
        kafka
    }

    /// Says what a cluster wants; gives what was seen last.
    pub fn want(&self, key: &ClusterKey, cluster: &GoChatCluster, paused: bool) -> KafkaFacts {
        let connection = Connection::of(key, &cluster.spec.kafka);
        let topics = wanted::topics(key, &cluster.spec);
        let mut interest = Interest {
            facts: KafkaFacts::Unknown,
            // An operator that was just started has the cluster's status to know it from.
            told_away: was_away(cluster),
            connection,
            topics,
            paused,
            about: cluster.object_ref(&()),
            due: Instant::now(),
            failures: 0,
            configured: None,
            lags: Lags::default(),
        };
        let mut clusters = self.shared.clusters.lock();
        if let Some(before) = clusters.get(key) {
            if before.wants_as(&interest) {
                return before.facts.clone();
            }
            interest.told_away = before.told_away;
            if before.connection == interest.connection {
                interest.facts = before.facts.clone();
                interest.lags = before.lags.clone();
            }
        }
        let facts = interest.facts.clone();
        clusters.insert(key.clone(), interest);
        drop(clusters);
        self.shared.changed.notify_one();
        facts
    }

    /// What waits for each workload, as it was seen last. Whoever asks has it looked at every few seconds from then on, for
    /// half a minute; the first answer may be a minute old, or none.
    pub fn lag(&self, key: &ClusterKey) -> BTreeMap<ScaledWorkload, Lag> {
        let mut clusters = self.shared.clusters.lock();
        let Some(interest) = clusters.get_mut(key) else { return BTreeMap::new() };
        interest.lags.wait_for(Instant::now());
        interest.lags.read()
    }

    /// A cluster that is gone wants nothing.
    pub fn forget(&self, key: &ClusterKey) {
        if let Some(interest) = self.shared.clusters.lock().remove(key) {
            interest.lags.forget(key);
        }
    }

    /// Forgets all but these.
    pub fn keep_only(&self, there: impl Fn(&ClusterKey) -> bool) {
        self.shared.clusters.lock().retain(|key, interest| {
            let stays = there(key);
            if !stays {
                interest.lags.forget(key);
            }
            stays
        });
    }

    /// Deletes a cluster's topics; says which there were.
    pub async fn delete_topics(
        &self,
        key: &ClusterKey,
        cluster: &GoChatCluster,
        within: Duration,
    ) -> Result<Vec<String>, String> {
        // Nobody makes them again meanwhile.
        self.forget(key);
        let _changing = self.shared.changing.lock().await;
        if self.shared.term.left().is_none() {
            return Err("this operator does not lead".to_owned());
        }
        let connection = Connection::of(key, &cluster.spec.kafka);
        let names: Vec<String> =
            wanted::topics(key, &cluster.spec).into_iter().map(|topic| topic.name).collect();
        let within = within.clamp(Duration::from_secs(1), Duration::from_secs(10));
        let settings = connection.settings(&self.shared.client).await?;
        let admin = Admin::new(settings, &connection.bootstrap).await?;
        let deleted = admin.delete(&names, within).await;
        admin.close();
        deleted
    }
}
