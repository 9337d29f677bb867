//! The calls to a broker, in bounded time and off the runtime's threads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::{ClientConfig, ClientContext};

use super::configs;
use super::wanted::{Change, Topic};
use crate::cluster::dereference::TopicFacts;

/// How long a question may take; a broker that is there answers within milliseconds.
pub(super) const WITHIN: Duration = Duration::from_secs(8);

/// A client of one Kafka.
#[derive(Clone)]
pub(super) struct Admin {
    client: Arc<AdminClient<LastError>>,
    bootstrap: Arc<str>,
}

impl Admin {
    /// Makes one; nothing is connected yet.
    pub(super) async fn new(settings: ClientConfig, bootstrap: &str) -> Result<Self, String> {
        let made =
            tokio::task::spawn_blocking(move || settings.create_with_context(LastError::default())).await;
        let client = made.map_err(|error| error.to_string())?.map_err(|error| refused(&error))?;
        Ok(Self { client: Arc::new(client), bootstrap: bootstrap.into() })
    }

    pub(super) fn client(&self) -> &AdminClient<LastError> {
        &self.client
    }

    /// The topics that there are, by name.
    pub(super) async fn topics(&self) -> Result<BTreeMap<String, TopicFacts>, String> {
        let client = Arc::clone(&self.client);
        let asked = tokio::task::spawn_blocking(move || {
            let metadata = client.inner().fetch_metadata(None, WITHIN)?;
            let facts = metadata.topics().iter().map(|topic| {
                let replicas = topic.partitions().iter().map(|partition| partition.replicas().len()).min();
                let facts = TopicFacts {
                    partitions: count(topic.partitions().len()),
                    replication: count(replicas.unwrap_or_default()),
                };
                (topic.name().to_owned(), facts)
            });
            Ok::<_, KafkaError>(facts.filter(|(_, facts)| facts.partitions > 0).collect())
        });
        asked.await.map_err(|error| error.to_string())?.map_err(|error| self.away(&error))
    }

    /// Does one thing; the error is the broker's own words.
    pub(super) async fn apply(&self, change: &Change) -> Result<(), String> {
        match change {
            Change::Create(topic) => self.create(topic).await,
            Change::Grow { name, to, .. } => self.grow(name, *to).await,
            Change::Configure { name, own, .. } => self.configure(name, own).await,
        }
    }

    async fn create(&self, topic: &Topic) -> Result<(), String> {
        let settings = configs::wanted(topic, topic.replication);
        let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
        let replication = TopicReplication::Fixed(number(topic.replication));
        let mut new = NewTopic::new(&topic.name, number(topic.partitions), replication);
        for (key, value) in &settings {
            new = new.set(key, value);
        }
        let results =
            self.client.create_topics([&new], &options(WITHIN)).await.map_err(|error| self.away(&error))?;
        match results.into_iter().next() {
            Some(Err((_, code))) if code != Code::TopicAlreadyExists => Err(words(code)),
            _ => Ok(()),
        }
    }

    async fn grow(&self, name: &str, to: u32) -> Result<(), String> {
        let new = NewPartitions::new(name, usize::try_from(to).unwrap_or(usize::MAX));
        let results = self
            .client
            .create_partitions([&new], &options(WITHIN))
            .await
            .map_err(|error| self.away(&error))?;
        match results.into_iter().next() {
            Some(Err((_, code))) => Err(words(code)),
            _ => Ok(()),
        }
    }

    /// Deletes topics; says which there were.
    pub(super) async fn delete(&self, names: &[String], within: Duration) -> Result<Vec<String>, String> {
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        let results =
            self.client.delete_topics(&all, &options(within)).await.map_err(|error| self.away(&error))?;
        let mut deleted = Vec::new();
        for result in results {
            match result {
                Ok(name) => deleted.push(name),
                Err((_, Code::UnknownTopicOrPartition | Code::UnknownTopic)) => {}
                Err((name, code)) => return Err(format!("{name}: {}", words(code))),
            }
        }
        Ok(deleted)
    }

    /// Ends it. librdkafka waits for its threads, so not on ours.
    pub(super) fn close(self) {
        tokio::task::spawn_blocking(move || drop(self));
    }

    /// Why there was no answer: the last that librdkafka told by itself says more than the call's "timed out".
    pub(super) fn away(&self, error: &KafkaError) -> String {
        let last = self.client.inner().context().0.lock().clone();
        format!("{}: {}", self.bootstrap, last.unwrap_or_else(|| error.to_string()))
    }
}

pub(super) fn options(within: Duration) -> AdminOptions {
    AdminOptions::new().request_timeout(Some(within)).operation_timeout(Some(within))
}

/// `Broker: Invalid replication factor`.
pub(super) fn words(code: Code) -> String {
    let text = code.to_string();
    let inner = text.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.map_or_else(|| text.clone(), str::to_owned)
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Settings that librdkafka does not take. It repeats the value, which may be a password.
fn refused(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, reason, name, value) if value.is_empty() => format!("{name}: {reason}"),
        KafkaError::ClientConfig(_, reason, name, value) => {
            format!("{name}: {}", reason.replace(value, "(value)"))
        }
        other => other.to_string(),
    }
}

/// What librdkafka told last: a wrong password or a closed port fails no call, it only shows here.
#[derive(Default)]
pub(super) struct LastError(Mutex<Option<String>>);

impl ClientContext for LastError {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // "All brokers are down" says nothing that the line before it did not.
        if error.rdkafka_error_code() != Some(Code::AllBrokersDown) {
            *self.0.lock() = Some(plain(reason));
        }
    }
}

/// Without what differs each time, such as `(after 0ms in state CONNECT, 3 identical error(s) suppressed)`: a condition's
/// message that changes by itself would be written again and again.
fn plain(reason: &str) -> String {
    reason.split(" (after ").next().unwrap_or(reason).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_trouble_is_told_in_the_same_words() {
        assert_eq!(words(Code::InvalidReplicationFactor), "Broker: Invalid replication factor");
        let told = "localhost:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT, 2 identical error(s) suppressed)";
        assert_eq!(
            plain(told),
            "localhost:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused"
        );
    }
}
