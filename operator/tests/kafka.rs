//! Topics on a real Kafka: there, away, and of the wrong size.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::time::Duration;

use gochat_crds::{GoChatCluster, GoChatScaler};
use gochat_engines::{Engine, Kafka};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::{Value, json};
use support::kubelet::Kubelet;
use support::{World, eventually};
use tokio::task::JoinHandle;

struct Broker {
    kafka: Kafka,
    admin: AdminClient<DefaultClientContext>,
}

impl Broker {
    async fn start() -> Self {
        let kafka = Kafka::start().await.unwrap();
        let admin = clients(&kafka).create().unwrap();
        Self { kafka, admin }
    }

    fn partitions(&self, topic: &str) -> usize {
        let metadata = self.admin.inner().fetch_metadata(Some(topic), Duration::from_secs(10)).unwrap();
        metadata.topics()[0].partitions().len()
    }

    async fn create(&self, topic: &str, partitions: i32) {
        self.create_with(NewTopic::new(topic, partitions, TopicReplication::Fixed(1))).await;
    }

    async fn create_with(&self, new: NewTopic<'_>) {
        let made = self.admin.create_topics([&new], &AdminOptions::new()).await.unwrap();
        assert!(made[0].is_ok(), "{made:?}");
    }

    /// Fills the first partition.
    async fn produce(&self, topic: &str, records: usize) {
        let producer: FutureProducer = clients(&self.kafka).create().unwrap();
        let sent = (0..records).map(|_| {
            let record = FutureRecord::<(), _>::to(topic).partition(0).payload("a");
            producer.send_result(record).unwrap()
        });
        for sent in sent.collect::<Vec<_>>() {
            sent.await.unwrap().unwrap();
        }
    }

    /// Commits so many records a second of the first partition, until it is aborted.
    fn consume(&self, topic: &str, group: &str, a_second: i64) -> JoinHandle<()> {
        let consumer: BaseConsumer = clients(&self.kafka).set("group.id", group).create().unwrap();
        let topic = topic.to_owned();
        tokio::spawn(async move {
            for second in 1.. {
                let mut offsets = TopicPartitionList::new();
                offsets.add_partition_offset(&topic, 0, Offset::Offset(second * a_second)).unwrap();
                consumer.commit(&offsets, CommitMode::Async).unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        })
    }

    /// Some settings of a topic.
    async fn settings<const N: usize>(&self, topic: &str, keys: [&str; N]) -> [String; N] {
        let topic = ResourceSpecifier::Topic(topic);
        let found =
            self.admin.describe_configs([&topic], &AdminOptions::new()).await.unwrap().remove(0).unwrap();
        keys.map(|key| found.get(key).unwrap().value.clone().unwrap())
    }
}

fn clients(kafka: &Kafka) -> ClientConfig {
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", kafka.address()).set("allow.auto.create.topics", "false");
    settings
}

async fn start(test: &str) -> Option<(World, Broker)> {
    if gochat_engines::missing(test, &[Engine::Kafka]) {
        return None;
    }
    let world = World::new(test).await?;
    Some((world, Broker::start().await))
}

fn alone(value: &mut Value) {
    value["spec"]["kafka"]["topics"] = json!({ "replication": 1 });
}

async fn event(world: &World, reason: &str) -> Vec<String> {
    eventually(&format!("an Event {reason}"), || async {
        let all = world.api::<Event>().list(&ListParams::default()).await.unwrap().items;
        let notes: Vec<_> =
            all.into_iter().filter(|e| e.reason.as_deref() == Some(reason)).filter_map(|e| e.note).collect();
        if notes.is_empty() { Err(()) } else { Ok(notes) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kafka_that_is_away_is_a_condition_and_its_topics_come_when_it_does() {
    let Some((world, broker)) = start("kafka-away").await else { return };
    broker.kafka.kill().unwrap();
    let operator = world.operator().await;
    world.stores("sample").await;
    let bootstrap = broker.kafka.address();
    world.apply("sample", &bootstrap, alone).await;
    world.there::<Deployment>("sample-gateway").await;
    let found = world.condition("sample", "DependenciesReady", "False", Some("KafkaAway")).await;
    let message =
        &found.status.unwrap().conditions.into_iter().find(|c| c.reason == "KafkaAway").unwrap().message;
    assert!(message.contains(&bootstrap), "{message}");
    event(&world, "KafkaAway").await;

    broker.kafka.restart().await.unwrap();
    world.condition("sample", "DependenciesReady", "True", None).await;
    for (topic, partitions) in [("upstream", 16), ("downstream", 16), ("task", 16), ("dead-letter", 1)] {
        assert_eq!(broker.partitions(&format!("kafka-away.sample.{topic}")), partitions, "{topic}");
    }
    let notes = event(&world, "TopicCreated").await;
    assert!(
        notes.iter().any(|note| note.contains("kafka-away.sample.upstream with 16 partitions")),
        "{notes:?}"
    );
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_too_small_grows_and_one_that_is_larger_stays() {
    let Some((world, broker)) = start("kafka-sizes").await else { return };
    broker.create("chat.upstream", 4).await;
    broker.create("chat.task", 32).await;
    let operator = world.operator().await;
    world.stores("sample").await;
    let bootstrap = broker.kafka.address();
    let named =
        |value: &mut Value| value["spec"]["kafka"]["topics"] = json!({ "replication": 1, "prefix": "chat" });
    world.apply("sample", &bootstrap, named).await;
    world.condition("sample", "DependenciesReady", "True", None).await;
    eventually("upstream has grown", || async {
        let partitions = broker.partitions("chat.upstream");
        if partitions == 16 { Ok(()) } else { Err(partitions) }
    })
    .await;
    assert_eq!(event(&world, "TopicGrown").await, ["chat.upstream: 4 → 16 partitions"]);
    assert_eq!(broker.partitions("chat.task"), 32);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_a_topic_follow_the_spec_and_those_of_others_stay() {
    let Some((world, broker)) = start("kafka-settings").await else { return };
    let small = NewTopic::new("chat.upstream", 16, TopicReplication::Fixed(1));
    broker.create_with(small.set("retention.ms", "1000").set("compression.type", "lz4")).await;
    let operator = world.operator().await;
    world.stores("sample").await;
    let bootstrap = broker.kafka.address();
    let keep = |retention: &'static str| {
        move |value: &mut Value| {
            value["spec"]["kafka"]["topics"] =
                json!({ "replication": 1, "prefix": "chat", "retention": retention });
        }
    };
    let becomes = async |millis: &str| {
        eventually(&format!("retention.ms is {millis}"), || async {
            let keys = ["retention.ms", "compression.type", "min.insync.replicas"];
            let found = broker.settings("chat.upstream", keys).await;
            if found == [millis, "lz4", "1"] { Ok(()) } else { Err(found) }
        })
        .await;
    };
    world.apply("sample", &bootstrap, keep("2h")).await;
    becomes("7200000").await;
    let notes = event(&world, "TopicConfigured").await;
    assert!(notes.contains(&"chat.upstream: retention.ms 1000 → 7200000".to_owned()), "{notes:?}");
    world.condition("sample", "DependenciesReady", "True", None).await;

    world.apply("sample", &bootstrap, keep("3h")).await;
    becomes("10800000").await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_broker_refuses_is_told_in_its_own_words() {
    let Some((world, broker)) = start("kafka-refuses").await else { return };
    let operator = world.operator().await;
    world.stores("sample").await;
    // Three replicas on one broker.
    world.apply("sample", &broker.kafka.address(), |_| {}).await;
    let found = world.condition("sample", "DependenciesReady", "False", Some("TopicsRefused")).await;
    let conditions = found.status.unwrap().conditions;
    let message = &conditions.iter().find(|c| c.reason == "TopicsRefused").unwrap().message;
    assert!(message.contains("replication factor"), "{message}");
    operator.stop().await;
}

/// The pods are ready and answer nobody; their group commits 100 records a second of 20,000.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_that_no_pod_reports_is_read_from_the_broker_and_asks_for_more_pods() {
    let Some((world, broker)) = start("kafka-backlog").await else { return };
    let _kubelet = Kubelet::start(world.client.clone(), &world.namespace);
    let operator = world.operator().await;
    world.stores("sample").await;
    let scaled = |value: &mut Value| {
        value["spec"]["kafka"]["topics"] =
            json!({ "replication": 1, "prefix": "chat", "upstream": { "partitions": { "min": 4 } } });
        value["spec"]["logic"] =
            json!({ "autoscaling": { "min": 1, "max": 4, "targets": { "drainTime": "10s" } } });
    };
    world.apply("sample", &broker.kafka.address(), scaled).await;
    world.condition("sample", "Ready", "True", None).await;

    broker.produce("chat.upstream", 20_000).await;
    let working = broker.consume("chat.upstream", "logic", 100);
    let scaler = world.api::<GoChatScaler>();
    eventually("four pods of logic are asked for", || async {
        let scaler = scaler.get("sample-logic").await.map_err(|error| error.to_string())?;
        if scaler.spec.replicas == Some(4) { Ok(()) } else { Err(format!("{:?}", scaler.spec)) }
    })
    .await;
    working.abort();
    let notes = event(&world, "Scaled").await;
    assert!(
        notes.iter().any(|note| note.starts_with("logic 1 → 4: ") && note.contains("waiting")),
        "{notes:?}"
    );
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_go_with_the_cluster_or_stay_as_its_policy_says() {
    let Some((world, broker)) = start("kafka-deletion").await else { return };
    let operator = world.operator().await;
    let api = world.api::<GoChatCluster>();
    for (name, policy) in [("goes", "Delete"), ("stays", "Retain")] {
        world.stores(name).await;
        let change = |value: &mut Value| {
            alone(value);
            value["spec"]["deletion"] = json!({ "topics": policy });
        };
        world.apply(name, &broker.kafka.address(), change).await;
        world.condition(name, "DependenciesReady", "True", None).await;
        api.delete(name, &DeleteParams::default()).await.unwrap();
        gone(&world, name).await;
    }
    eventually("the topics are gone", || async {
        let left = broker.partitions("kafka-deletion.goes.upstream");
        if left == 0 { Ok(()) } else { Err(left) }
    })
    .await;
    assert_eq!(broker.partitions("kafka-deletion.stays.upstream"), 16);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kafka_that_is_away_does_not_hold_a_deletion_for_ever() {
    let Some((world, broker)) = start("kafka-hangs").await else { return };
    let operator = world.operator_with(|s| s.deletion_deadline = Duration::from_secs(6)).await;
    world.stores("sample").await;
    let change = |value: &mut Value| {
        alone(value);
        value["spec"]["deletion"] = json!({ "topics": "Delete" });
    };
    world.apply("sample", &broker.kafka.address(), change).await;
    world.condition("sample", "DependenciesReady", "True", None).await;
    broker.kafka.kill().unwrap();
    world.api::<GoChatCluster>().delete("sample", &DeleteParams::default()).await.unwrap();
    gone(&world, "sample").await;
    let notes = event(&world, "TopicsLeft").await;
    assert!(notes[0].starts_with("after 6s the topics are still there, and stay"), "{notes:?}");
    operator.stop().await;
}

async fn gone(world: &World, name: &str) {
    eventually(&format!("{name} is gone"), || async {
        match world.api::<GoChatCluster>().get_opt(name).await.unwrap() {
            None => Ok(()),
            Some(left) => Err(left.metadata.finalizers),
        }
    })
    .await;
}
