//! Topics of Kafka.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication, TopicResult};
use rdkafka::client::Client;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::MetadataTopic;

use super::call::{self, Retries, WITHIN, is_final, is_no_partition};
use super::{Context, Kafka};
use crate::{MqError, TopicSpec};

/// A readiness probe should not wait longer.
const PING_WITHIN: Duration = Duration::from_secs(2);

impl Kafka {
    /// Creates what is missing, and waits until every partition of it has a leader.
    pub(crate) async fn ensure_topics(&self, topics: &[TopicSpec]) -> Result<(), MqError> {
        let mut missing = Vec::new();
        for spec in topics {
            match self.partitions(&spec.name).await {
                Ok(_) => {}
                Err(MqError::NoPartition { .. }) => missing.push(spec),
                Err(error) => return Err(error),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let new = missing.iter().map(|spec| new_topic(spec)).collect::<Result<Vec<_>, _>>()?;
        self.create(&new).await?;
        for spec in missing {
            self.led(&spec.name).await?;
        }
        Ok(())
    }

    /// Tries again when the connection broke meanwhile: what was created by then exists, which is as good.
    async fn create(&self, new: &[NewTopic<'_>]) -> Result<(), MqError> {
        let mut retries = Retries::new();
        loop {
            let options = AdminOptions::new().request_timeout(Some(WITHIN)).operation_timeout(Some(WITHIN));
            let failed = match self.admin.create_topics(new, &options).await {
                Ok(results) => results.into_iter().find_map(not_created),
                Err(error) => Some(("topics".to_owned(), error)),
            };
            let Some((topic, error)) = failed else { return Ok(()) };
            if is_final(&error) || !retries.pause().await {
                return Err(MqError::unavailable(format!("create {topic}"), error));
            }
        }
    }

    /// How many partitions a topic has.
    pub(crate) async fn partitions(&self, topic: &str) -> Result<u32, MqError> {
        let (admin, name) = (Arc::clone(&self.admin), topic.to_owned());
        let found = call::call(&format!("look up {topic}"), move || count(admin.inner(), &name)).await?;
        found.ok_or_else(|| MqError::no_partition(topic, 0))
    }

    async fn led(&self, topic: &str) -> Result<(), MqError> {
        let (admin, name) = (Arc::clone(&self.admin), topic.to_owned());
        call::call(&format!("wait for leaders of {topic}"), move || {
            let metadata = admin.inner().fetch_metadata(Some(&name), WITHIN)?;
            let mut partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions).peekable();
            if partitions.peek().is_none() || partitions.any(|partition| partition.leader() < 0) {
                return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::LeaderNotAvailable));
            }
            Ok(())
        })
        .await
    }

    /// A broker answers; whether the topic exists does not matter.
    pub(crate) async fn ping(&self) -> Result<(), MqError> {
        let (admin, topic) = (Arc::clone(&self.admin), format!("{}.upstream", self.config.prefix));
        let ask = move || admin.inner().fetch_metadata(Some(&topic), PING_WITHIN).map(|_| ());
        let answer = tokio::task::spawn_blocking(ask).await;
        let failed = |error: String| MqError::unavailable(format!("ping {}", self.config.bootstrap), error);
        answer.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
    }
}

fn not_created(result: TopicResult) -> Option<(String, KafkaError)> {
    match result {
        Ok(topic) => {
            tracing::info!(topic, "topic created");
            None
        }
        // Another member was faster.
        Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => None,
        Err((topic, code)) => Some((topic, KafkaError::AdminOp(code))),
    }
}

/// How many partitions a topic has; `None` if it does not exist.
pub(super) fn count(client: &Client<Context>, topic: &str) -> KafkaResult<Option<u32>> {
    let metadata = client.fetch_metadata(Some(topic), WITHIN)?;
    let Some(found) = metadata.topics().first() else { return Ok(None) };
    match found.error().map(RDKafkaErrorCode::from) {
        Some(code) if is_no_partition(code) => Ok(None),
        Some(code) => Err(KafkaError::MetadataFetch(code)),
        None => Ok(u32::try_from(found.partitions().len()).ok()),
    }
}

fn new_topic(spec: &TopicSpec) -> Result<NewTopic<'_>, MqError> {
    let invalid = |what: &str| MqError::Config(format!("topic {}: {what}", spec.name));
    let partitions = i32::try_from(spec.partitions).map_err(|_| invalid("too many partitions"))?;
    let replication = i32::from(i16::try_from(spec.replication).map_err(|_| invalid("too many replicas"))?);
    let topic = NewTopic::new(&spec.name, partitions, TopicReplication::Fixed(replication));
    // acks=all means all that are in sync, which may be the leader alone: with three replicas, ask for two.
    Ok(if spec.replication >= 3 { topic.set("min.insync.replicas", "2") } else { topic })
}
