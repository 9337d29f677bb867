//! Looks at what is due: one connection at a time for all clusters that share it, a few connections at once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use gochat_chassis::resilience::Backoff;
use rand::RngExt as _;
use tokio::time::{Instant, sleep_until};

use super::admin::Admin;
use super::connection::Connection;
use super::wanted::{Change, changes, corrections};
use super::{Interest, Shared};
use crate::cluster::ClusterKey;
use crate::cluster::dereference::{KafkaFacts, TopicFacts};

/// Clients that are kept; each has threads of its own.
pub(super) const CLIENTS: usize = 16;
/// Connections that are looked at at once.
const AT_ONCE: usize = 4;
/// Clusters that come within so long are looked at together.
const GATHER: Duration = Duration::from_millis(50);
/// How often a broker that answers is asked.
const WELL: Duration = Duration::from_secs(60);
/// How often the settings of topics that are as they should be are read.
const SETTINGS: Duration = Duration::from_secs(600);
/// How often one that does not is.
const AWAY: Backoff = Backoff { base: Duration::from_secs(2), cap: Duration::from_secs(60) };

type Group = (Connection, Vec<(ClusterKey, Interest)>);

/// Until dropped.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut clients: HashMap<Connection, Admin> = HashMap::new();
    loop {
        wait(&shared).await;
        let groups = due(&shared);
        let looks = groups.into_iter().map(|group| {
            let client = clients.get(&group.0).cloned();
            look(&shared, group, client)
        });
        let looked: Vec<_> = stream::iter(looks).buffer_unordered(AT_ONCE).collect().await;
        for (connection, client) in looked {
            // A client that got no answer is made anew, with what the secrets say then.
            let old = match client {
                Some(client) => clients.insert(connection, client),
                None => clients.remove(&connection),
            };
            drop(old);
        }
        forget_unused(&shared, &mut clients);
    }
}

/// Until something is due.
async fn wait(shared: &Shared) {
    loop {
        let next = shared.clusters.lock().values().map(|interest| interest.due).min();
        let far = Instant::now() + WELL;
        tokio::select! {
            () = sleep_until(next.unwrap_or(far)) => {
                if next.is_some() {
                    return;
                }
            }
            () = shared.changed.notified() => tokio::time::sleep(GATHER).await,
        }
    }
}

/// What is due, by connection; a cluster that shares one with a due cluster comes along where it has not long to wait.
fn due(shared: &Shared) -> Vec<Group> {
    let soon = Instant::now() + WELL / 4;
    let now = Instant::now();
    let clusters = shared.clusters.lock();
    let mut groups: BTreeMap<Connection, Vec<(ClusterKey, Interest)>> = BTreeMap::new();
    for (key, interest) in clusters.iter().filter(|(_, interest)| interest.due <= soon) {
        groups.entry(interest.connection.clone()).or_default().push((key.clone(), interest.clone()));
    }
    groups.into_iter().filter(|(_, group)| group.iter().any(|(_, interest)| interest.due <= now)).collect()
}

async fn look(
    shared: &Shared,
    (connection, group): Group,
    client: Option<Admin>,
) -> (Connection, Option<Admin>) {
    let asked = ask(shared, &connection, client).await;
    match asked {
        Err(why) => {
            for (key, interest) in group {
                if !interest.told_away {
                    shared.events.tell(interest.about.clone(), true, "KafkaAway", why.clone());
                }
                let wait = AWAY.ceiling(interest.failures).mul_f64(rand::rng().random_range(0.5..=1.0));
                let facts = KafkaFacts::Away { why: why.clone() };
                seen(shared, &key, &interest, facts, wait);
            }
            (connection, None)
        }
        Ok((admin, there)) => {
            for (key, interest) in group {
                if interest.told_away {
                    shared.events.tell(
                        interest.about.clone(),
                        false,
                        "KafkaBack",
                        connection.bootstrap.clone(),
                    );
                }
                let (facts, wait) = tend(shared, &admin, &key, &interest, &there).await;
                seen(shared, &key, &interest, facts, wait);
            }
            (connection, Some(admin))
        }
    }
}

async fn ask(
    shared: &Shared,
    connection: &Connection,
    client: Option<Admin>,
) -> Result<(Admin, BTreeMap<String, TopicFacts>), String> {
    let admin = match client {
        Some(admin) => admin,
        None => Admin::new(connection.settings(&shared.client).await?, &connection.bootstrap).await?,
    };
    match admin.topics().await {
        Ok(there) => Ok((admin, there)),
        Err(why) => {
            admin.close();
            Err(why)
        }
    }
}

/// Makes and grows what a cluster wants; gives what there is then.
async fn tend(
    shared: &Shared,
    admin: &Admin,
    key: &ClusterKey,
    interest: &Interest,
    there: &BTreeMap<String, TopicFacts>,
) -> (KafkaFacts, Duration) {
    let ours = |topics: &BTreeMap<String, TopicFacts>| -> BTreeMap<String, TopicFacts> {
        let names = interest.topics.iter().map(|topic| &topic.name);
        names.filter_map(|name| Some((name.clone(), *topics.get(name)?))).collect()
    };
    let mut topics = ours(there);
    let mut refused = BTreeMap::new();
    let mut changed = false;
    let todo = if interest.paused { Vec::new() } else { changes(&interest.topics, &topics) };
    carry_out(shared, admin, key, interest, todo, &mut changed, &mut refused).await;
    if changed && let Ok(now) = admin.topics().await {
        topics = ours(&now);
    }
    // A broker that has just made a topic may not list it yet.
    let settled = refused.is_empty() && (interest.paused || changes(&interest.topics, &topics).is_empty());
    let configured = settled && configure(shared, admin, key, interest, &topics, &mut refused).await;
    let wait = if configured { WELL } else { WELL / 12 };
    let facts = KafkaFacts::Seen { topics, refused };
    (facts, wait.mul_f64(rand::rng().random_range(0.8..=1.2)))
}

/// Corrects the topics' settings, now and then; whether they are as they should be, or nobody may know.
async fn configure(
    shared: &Shared,
    admin: &Admin,
    key: &ClusterKey,
    interest: &Interest,
    topics: &BTreeMap<String, TopicFacts>,
    refused: &mut BTreeMap<String, String>,
) -> bool {
    if interest.paused || interest.configured.is_some_and(|at| at.elapsed() < SETTINGS) {
        return true;
    }
    let names: Vec<&str> = topics.keys().map(String::as_str).collect();
    match admin.configs(&names).await {
        Ok(configs) => {
            let todo = corrections(&interest.topics, topics, &configs);
            carry_out(shared, admin, key, interest, todo, &mut false, refused).await;
        }
        // What worked without the right to look goes on without it.
        Err(why) => shared.events.tell(interest.about.clone(), true, "TopicSettingsUnknown", why),
    }
    if refused.is_empty()
        && let Some(interest) = shared.clusters.lock().get_mut(key).filter(|now| now.wants_as(interest))
    {
        interest.configured = Some(Instant::now());
    }
    refused.is_empty()
}

/// Does it, as long as this operator leads and the cluster is there; tells what was done and what was refused.
async fn carry_out(
    shared: &Shared,
    admin: &Admin,
    key: &ClusterKey,
    interest: &Interest,
    todo: Vec<Change>,
    changed: &mut bool,
    refused: &mut BTreeMap<String, String>,
) {
    // Not while the topics of some cluster are deleted: one that is made right after would stay.
    let _changing = shared.changing.lock().await;
    for change in todo {
        if shared.term.left().is_none() || !shared.clusters.lock().contains_key(key) {
            break;
        }
        let (name, done, note) = described(&change);
        match admin.apply(&change).await {
            Ok(()) => {
                *changed = true;
                metrics::counter!("gochat_operator_kafka_changes_total", "change" => done).increment(1);
                shared.events.tell(interest.about.clone(), false, done, note);
            }
            Err(why) => {
                shared.events.tell(interest.about.clone(), true, "TopicRefused", format!("{note}: {why}"));
                refused.insert(name, why);
            }
        }
    }
}

fn described(change: &Change) -> (String, &'static str, String) {
    match change {
        Change::Create(topic) => {
            let note = format!(
                "{} with {} partitions of {} replicas",
                topic.name, topic.partitions, topic.replication
            );
            (topic.name.clone(), "TopicCreated", note)
        }
        Change::Grow { name, from, to } => {
            (name.clone(), "TopicGrown", format!("{name}: {from} → {to} partitions"))
        }
        Change::Configure { name, told, .. } => (name.clone(), "TopicConfigured", told.clone()),
    }
}

/// Notes what was seen of a cluster's topics; what is new wakes it.
fn seen(shared: &Shared, key: &ClusterKey, asked: &Interest, facts: KafkaFacts, wait: Duration) {
    let mut clusters = shared.clusters.lock();
    // What wants something else by now is due already.
    let Some(interest) = clusters.get_mut(key).filter(|interest| interest.wants_as(asked)) else { return };
    let new = interest.facts != facts;
    let away = matches!(facts, KafkaFacts::Away { .. });
    interest.failures = if away { interest.failures.saturating_add(1) } else { 0 };
    interest.told_away = away;
    interest.facts = facts;
    interest.due = Instant::now() + wait;
    drop(clusters);
    if new {
        shared.wakeups.wake(key);
    }
}

/// Closes the clients that nobody wants, and those that are too many.
fn forget_unused(shared: &Shared, clients: &mut HashMap<Connection, Admin>) {
    let wanted: std::collections::HashSet<Connection> =
        shared.clusters.lock().values().map(|interest| interest.connection.clone()).collect();
    let excess = clients.len().saturating_sub(CLIENTS);
    let unwanted = clients.keys().filter(|connection| !wanted.contains(connection));
    let mut close: Vec<_> = unwanted.cloned().collect();
    close.extend(clients.keys().take(excess).cloned());
    for connection in close {
        if let Some(admin) = clients.remove(&connection) {
            admin.close();
        }
    }
}
