//! What waits in the topics, by the broker: the ends of the partitions, less what the groups have committed.
//!
//! Members report their own lag; this one is there also when nobody reports, and is the same whoever is asked: it is a
//! metric, and what the autoscaler of logic and task falls back to.
//!
//! # Caveats
//! - A client is made for each group and look, and closed: kept ones would cost threads for every Kafka.
//! - A broker that forbids it (the ACL `Describe` on the group) leaves the lag unknown, and nothing else.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use gochat_crds::ScaledWorkload;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::time::Instant;

use super::connection::Connection;
use super::{Interest, Shared};
use crate::cluster::ClusterKey;
use crate::cluster::dereference::KafkaFacts;

/// How often somebody is asked after whose lag is waited for; and how often anybody may be.
const OFTEN: Duration = Duration::from_secs(5);
/// How often otherwise.
const SELDOM: Duration = Duration::from_secs(60);
/// For so long after the last question the lag counts as waited for.
const WAITED_FOR: Duration = Duration::from_secs(30);
/// Connections that are looked at at once.
const AT_ONCE: usize = 2;
/// For one question.
const WITHIN: Duration = Duration::from_secs(5);

/// What waits for one workload.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lag {
    /// Records between the committed offsets and the ends of the partitions.
    pub records: u64,
    /// Records a second that were committed since the look before; 0 at the first.
    pub worked_off: f64,
    /// When it was seen.
    pub at: Instant,
}

/// Of one cluster, by the broker.
#[derive(Clone, Debug, Default)]
pub(super) struct Lags {
    seen: BTreeMap<ScaledWorkload, (Offsets, Lag)>,
    asked: Option<Instant>,
    waited_for: Option<Instant>,
}

impl Lags {
    /// All that is known.
    pub(super) fn read(&self) -> BTreeMap<ScaledWorkload, Lag> {
        self.seen.iter().map(|(workload, (_, lag))| (*workload, *lag)).collect()
    }

    /// Somebody waits for it.
    pub(super) fn wait_for(&mut self, now: Instant) {
        self.waited_for = Some(now);
    }

    /// The metrics of a cluster that is gone.
    pub(super) fn forget(&self, key: &ClusterKey) {
        for workload in self.seen.keys() {
            gauge(key, *workload).set(0.0);
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        let since = |at: Option<Instant>| at.map(|at| now.duration_since(at));
        let waited_for = since(self.waited_for).is_some_and(|ago| ago < WAITED_FOR);
        waited_for || since(self.asked).is_none_or(|ago| ago >= SELDOM)
    }

    fn note(&mut self, key: &ClusterKey, workload: ScaledWorkload, offsets: Offsets, now: Instant) {
        let before = self.seen.get(&workload).map(|(offsets, lag)| (offsets.committed, lag.at));
        let worked_off = before.map_or(0.0, |(committed, at)| {
            let records = offsets.committed.saturating_sub(committed);
            records as f64 / now.duration_since(at).as_secs_f64().max(1.0)
        });
        let lag = Lag { records: offsets.records, worked_off, at: now };
        gauge(key, workload).set(lag.records as f64);
        self.seen.insert(workload, (offsets, lag));
    }
}

fn gauge(key: &ClusterKey, workload: ScaledWorkload) -> metrics::Gauge {
    let labels = [
        ("namespace", key.namespace.clone()),
        ("cluster", key.name.clone()),
        ("workload", workload.as_str().to_owned()),
    ];
    metrics::gauge!("gochat_operator_lag_records", &labels)
}

/// Over all partitions of a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Offsets {
    committed: u64,
    records: u64,
}

/// Of one cluster: whose topic, its name and its partitions.
type Asked = Vec<(ScaledWorkload, String, u32)>;

/// Until dropped.
pub(super) async fn run(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(OFTEN).await;
        let groups = due(&shared, Instant::now());
        let looks = groups.into_iter().map(|(connection, clusters)| look(&shared, connection, clusters));
        stream::iter(looks).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    }
}

fn due(shared: &Shared, now: Instant) -> BTreeMap<Connection, Vec<(ClusterKey, Asked)>> {
    let mut groups: BTreeMap<Connection, Vec<(ClusterKey, Asked)>> = BTreeMap::new();
    for (key, interest) in shared.clusters.lock().iter_mut() {
        let asked = asked(interest);
        if asked.is_empty() || !interest.lags.is_due(now) {
            continue;
        }
        interest.lags.asked = Some(now);
        groups.entry(interest.connection.clone()).or_default().push((key.clone(), asked));
    }
    groups
}

/// Topics that are known to be there.
fn asked(interest: &Interest) -> Asked {
    let KafkaFacts::Seen { topics, .. } = &interest.facts else { return Vec::new() };
    let asked = interest
        .topics
        .iter()
        .filter_map(|topic| Some((topic.consumer?, topic.name.clone(), topics.get(&topic.name)?.partitions)));
    asked.collect()
}

async fn look(shared: &Shared, connection: Connection, clusters: Vec<(ClusterKey, Asked)>) {
    let mut by_group: BTreeMap<ScaledWorkload, Vec<(String, u32)>> = BTreeMap::new();
    for (workload, topic, partitions) in clusters.iter().flat_map(|(_, asked)| asked) {
        by_group.entry(*workload).or_default().push((topic.clone(), *partitions));
    }
    let settings = match connection.settings(&shared.client).await {
        Ok(settings) => settings,
        Err(why) => return tracing::debug!(bootstrap = connection.bootstrap, why, "no lag"),
    };
    for (workload, topics) in by_group {
        let settings = settings.clone();
        // A group is named after its workload.
        let asked = tokio::task::spawn_blocking(move || offsets(settings, workload.as_str(), &topics)).await;
        let offsets =
            match asked.map_err(|error| error.to_string()).and_then(|o| o.map_err(|e| e.to_string())) {
                Ok(offsets) => offsets,
                Err(why) => return tracing::debug!(bootstrap = connection.bootstrap, why, "no lag"),
            };
        let now = Instant::now();
        let mut interests = shared.clusters.lock();
        for (key, asked) in &clusters {
            let topic = asked.iter().find(|(of, _, _)| *of == workload);
            let seen = topic.and_then(|(_, topic, _)| offsets.get(topic));
            if let (Some(seen), Some(interest)) = (seen, interests.get_mut(key)) {
                interest.lags.note(key, workload, *seen, now);
            }
        }
    }
}

/// Blocks.
fn offsets(
    mut settings: ClientConfig,
    group: &str,
    topics: &[(String, u32)],
) -> KafkaResult<HashMap<String, Offsets>> {
    settings.set("group.id", group).set("enable.auto.commit", "false");
    let consumer: BaseConsumer = settings.create()?;
    let list = |offset: Offset| -> KafkaResult<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        for (topic, partitions) in topics {
            for partition in 0..i32::try_from(*partitions).unwrap_or(i32::MAX) {
                list.add_partition_offset(topic, partition, offset)?;
            }
        }
        Ok(list)
    };
    let committed = consumer.committed_offsets(list(Offset::Invalid)?, WITHIN)?;
    // Of these two "times" the offsets are the ends, by the protocol.
    let ends = consumer.offsets_for_times(list(Offset::End)?, WITHIN)?;
    let begins = consumer.offsets_for_times(list(Offset::Beginning)?, WITHIN)?;
    let number = |list: &TopicPartitionList, topic: &str, partition: i32| {
        let Offset::Offset(offset) = list.find_partition(topic, partition)?.offset() else { return None };
        u64::try_from(offset).ok()
    };
    let mut found: HashMap<String, Offsets> = HashMap::new();
    for (topic, partitions) in topics {
        let sum = found.entry(topic.clone()).or_default();
        for partition in 0..i32::try_from(*partitions).unwrap_or(i32::MAX) {
            // What nobody has committed is read from the beginning, and what is gone is not waited for.
            let begin = number(&begins, topic, partition).unwrap_or(0);
            let committed = number(&committed, topic, partition).unwrap_or(0).max(begin);
            let end = number(&ends, topic, partition).unwrap_or(committed);
            sum.committed += committed;
            sum.records += end.saturating_sub(committed);
        }
    }
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use gochat_engines::{Engine, Kafka};
    use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
    use rdkafka::client::DefaultClientContext;
    use rdkafka::consumer::CommitMode;
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_waits_is_what_was_written_and_not_committed() {
        if gochat_engines::missing("kafka-offsets", &[Engine::Kafka]) {
            return;
        }
        let kafka = Kafka::start().await.unwrap();
        let mut settings = ClientConfig::new();
        settings.set("bootstrap.servers", kafka.address());
        let admin: AdminClient<DefaultClientContext> = settings.create().unwrap();
        let new = NewTopic::new("a.upstream", 3, TopicReplication::Fixed(1));
        admin.create_topics([&new], &AdminOptions::new()).await.unwrap();
        let read = move || {
            let producer: BaseProducer = settings.create().unwrap();
            for number in 0..50 {
                let record = BaseRecord::<(), [u8]>::to("a.upstream").partition(number % 2).payload(b"x");
                producer.send(record).unwrap();
            }
            producer.flush(Duration::from_secs(30)).unwrap();
            let mut group = settings.clone();
            let consumer: BaseConsumer = group.set("group.id", "logic").create().unwrap();
            let mut list = TopicPartitionList::new();
            list.add_partition_offset("a.upstream", 1, Offset::Offset(10)).unwrap();
            consumer.commit(&list, CommitMode::Sync).unwrap();
            offsets(settings, "logic", &[("a.upstream".to_owned(), 3)]).unwrap()
        };
        let seen = tokio::task::spawn_blocking(read).await.unwrap().remove("a.upstream");
        assert_eq!(seen, Some(Offsets { committed: 10, records: 40 }));
    }

    #[test]
    fn what_was_committed_between_two_looks_is_the_rate() {
        let key = ClusterKey { namespace: "a".into(), name: "chat".into() };
        let (mut lags, begin) = (Lags::default(), Instant::now());
        lags.note(&key, ScaledWorkload::Logic, Offsets { committed: 1_000, records: 50 }, begin);
        lags.note(
            &key,
            ScaledWorkload::Logic,
            Offsets { committed: 6_000, records: 700 },
            begin + Duration::from_secs(5),
        );
        let lag = lags.read().remove(&ScaledWorkload::Logic);
        assert_eq!(lag.map(|lag| (lag.records, lag.worked_off)), Some((700, 1_000.0)));
    }

    #[test]
    fn what_is_waited_for_is_asked_for_often() {
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let mut lags = Lags::default();
        assert!(lags.is_due(begin));
        lags.asked = Some(begin);
        assert!(!lags.is_due(after(10)));
        lags.wait_for(after(10));
        assert!(lags.is_due(after(15)));
        assert!(!lags.is_due(after(45)));
        assert!(lags.is_due(after(61)));
    }
}
