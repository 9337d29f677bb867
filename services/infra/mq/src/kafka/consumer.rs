//! Reads partitions of Kafka: assigned one by one, committed by hand, no group membership.

use std::collections::HashSet;
use std::sync::Arc;

use futures::{FutureExt, StreamExt};
use parking_lot::Mutex;
use rdkafka::admin::AdminClient;
use rdkafka::consumer::{CommitMode, Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};

use super::call::{self, WITHIN};
use super::context::Context;
use super::{admin, refused, settings};
use crate::{Consumed, MqConfig, MqError};

/// A broker answers the requests of one connection in their order, and a fetch waits there for records: a question on
/// that connection would wait with it. So the cluster is asked through the admin client; commits have a connection of
/// their own, to the group's coordinator.
struct Clients {
    reading: StreamConsumer<Context>,
    asking: Arc<AdminClient<Context>>,
}

/// One consumer.
pub(crate) struct KafkaConsumer {
    /// Taken on drop only.
    clients: Option<Arc<Clients>>,
    topic: Arc<str>,
    assigned: Mutex<HashSet<u32>>,
    /// One assignment or commit at a time: librdkafka's calls have no time limit of their own, so without this a
    /// broker that is away would gather blocked threads.
    assigning: tokio::sync::Mutex<()>,
    committing: Arc<tokio::sync::Mutex<()>>,
}

impl KafkaConsumer {
    pub(super) fn new(
        config: &MqConfig,
        asking: Arc<AdminClient<Context>>,
        group: &str,
        topic: &str,
    ) -> Result<Self, MqError> {
        let defaults = [
            // How long a fetch waits at the broker for records. A record that comes ends the wait at once; but a
            // partition that is assigned meanwhile waits for the fetch in flight.
            ("fetch.wait.max.ms", "50"),
            // A full queue is looked at again after this; librdkafka's second would stand in every burst.
            ("fetch.queue.backoff.ms", "5"),
            ("fetch.error.backoff.ms", "50"),
            // A consumer that is not polled holds about so much, and one fetch more.
            ("queued.max.messages.kbytes", "16384"),
            ("fetch.max.bytes", "8388608"),
            ("auto.offset.reset", "earliest"),
        ];
        let fixed = [
            ("group.id", group),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("enable.partition.eof", "false"),
            ("allow.auto.create.topics", "false"),
        ];
        let reading = settings(config, &defaults, &fixed)
            .create_with_context(Context::new("consumer"))
            .map_err(|error| refused(&error))?;
        Ok(Self {
            clients: Some(Arc::new(Clients { reading, asking })),
            topic: topic.into(),
            assigned: Mutex::default(),
            assigning: tokio::sync::Mutex::default(),
            committing: Arc::default(),
        })
    }

    fn clients(&self) -> Result<&Arc<Clients>, MqError> {
        self.clients.as_ref().ok_or_else(|| MqError::unavailable("read", "the consumer ended"))
    }

    /// Makes a blocking call to the cluster about one partition.
    async fn ask<T: Send + 'static>(
        &self,
        what: &str,
        partition: u32,
        question: impl Fn(&Clients, &str, i32) -> KafkaResult<T> + Clone + Send + 'static,
    ) -> Result<T, MqError> {
        let (clients, topic) = (Arc::clone(self.clients()?), Arc::clone(&self.topic));
        let number = i32::try_from(partition).map_err(|_| MqError::no_partition(&topic, partition))?;
        let what = format!("{what} {topic}/{partition}");
        call::call(&what, move || question(&clients, &topic, number)).await
    }

    pub(crate) async fn assign(&self, partition: u32) -> Result<u64, MqError> {
        let _turn = self.assigning.lock().await;
        let count = self
            .ask("look up", partition, |clients, topic, _| admin::count(clients.asking.inner(), topic))
            .await?;
        if count.is_none_or(|count| partition >= count) {
            return Err(MqError::no_partition(&self.topic, partition));
        }
        let from = match self.ask("read the committed offset of", partition, committed).await? {
            Some(committed) => committed,
            None => self.ask("read the offsets of", partition, watermarks).await?.0,
        };
        self.detach(partition).await?;
        self.assigned.lock().insert(partition);
        let offset = Offset::Offset(i64::try_from(from).unwrap_or(i64::MAX));
        self.ask("assign", partition, move |clients, topic, number| {
            clients.reading.incremental_assign(&one(topic, number, offset)?)
        })
        .await?;
        Ok(from)
    }

    pub(crate) async fn unassign(&self, partition: u32) -> Result<(), MqError> {
        let _turn = self.assigning.lock().await;
        self.detach(partition).await
    }

    /// librdkafka drops what it fetched ahead of a partition that is removed, by the assignment's version.
    async fn detach(&self, partition: u32) -> Result<(), MqError> {
        if !self.assigned.lock().remove(&partition) {
            return Ok(());
        }
        self.ask("unassign", partition, |clients, topic, number| {
            let held = clients.reading.assignment()?;
            if held.find_partition(topic, number).is_none() {
                return Ok(());
            }
            clients.reading.incremental_unassign(&one(topic, number, Offset::Invalid)?)
        })
        .await
    }

    /// Nothing is awaited after the first record is taken, so a dropped poll has taken none.
    pub(crate) async fn poll(&self, max: usize) -> Result<Vec<Consumed>, MqError> {
        let client = &self.clients()?.reading;
        let mut stream = client.stream();
        loop {
            let Some(first) = stream.next().await else {
                return Err(MqError::unavailable(format!("read {}", self.topic), "the client ended"));
            };
            let mut records = Vec::new();
            let assigned = self.assigned.lock();
            self.take(client, first, &assigned, &mut records)?;
            while records.len() < max {
                let Some(Some(next)) = stream.next().now_or_never() else { break };
                if self.take(client, next, &assigned, &mut records).is_err() {
                    break;
                }
            }
            drop(assigned);
            if !records.is_empty() {
                return Ok(records);
            }
        }
    }

    /// Errors that librdkafka recovers from by itself are told and not returned.
    fn take(
        &self,
        client: &StreamConsumer<Context>,
        next: KafkaResult<BorrowedMessage<'_>>,
        assigned: &HashSet<u32>,
        records: &mut Vec<Consumed>,
    ) -> Result<(), MqError> {
        match next {
            Ok(message) => records.extend(consumed(&message).filter(|r| assigned.contains(&r.partition))),
            Err(error @ KafkaError::MessageConsumptionFatal(_)) => {
                return Err(MqError::unavailable(format!("read {}", self.topic), error));
            }
            Err(error) => client.context().warn(&error, &self.topic),
        }
        Ok(())
    }

    pub(crate) async fn commit(&self, offsets: &[(u32, u64)]) -> Result<(), MqError> {
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for &(partition, next) in offsets {
            let (number, next) = (i32::try_from(partition), i64::try_from(next));
            let (Ok(number), Ok(next)) = (number, next) else {
                return Err(MqError::no_partition(&self.topic, partition));
            };
            list.add_partition_offset(&self.topic, number, Offset::Offset(next))
                .map_err(|error| MqError::unavailable("commit", error))?;
        }
        if offsets.is_empty() {
            return Ok(());
        }
        let what = format!("commit to {}", self.topic);
        let turn = tokio::time::timeout(WITHIN, Arc::clone(&self.committing).lock_owned()).await;
        let turn = Arc::new(turn.map_err(|_| MqError::unavailable(&what, "an earlier commit hangs"))?);
        let (clients, list) = (Arc::clone(self.clients()?), Arc::new(list));
        call::call(&what, move || {
            let _turn = &turn;
            clients.reading.commit(&list, CommitMode::Sync)
        })
        .await
    }

    pub(crate) async fn lag(&self, partition: u32) -> Result<u64, MqError> {
        let (earliest, end) = self.ask("read the offsets of", partition, watermarks).await?;
        let committed = self.ask("read the committed offset of", partition, committed).await?;
        Ok(end.saturating_sub(committed.unwrap_or(0).max(earliest)))
    }

    pub(crate) async fn lags(&self, partitions: u32) -> Result<Vec<u64>, MqError> {
        let (clients, topic) = (Arc::clone(self.clients()?), Arc::clone(&self.topic));
        let what = format!("read the lags of {topic}");
        call::call(&what, move || lags(&clients.reading, &topic, partitions)).await
    }
}

impl Drop for KafkaConsumer {
    /// Closing a librdkafka consumer blocks.
    fn drop(&mut self) {
        let clients = self.clients.take();
        if let Err(error) = std::thread::Builder::new().name("mq-consumer-end".into()).spawn(|| drop(clients))
        {
            tracing::warn!(%error, "end the kafka consumer");
        }
    }
}

fn one(topic: &str, partition: i32, offset: Offset) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition_offset(topic, partition, offset)?;
    Ok(list)
}

/// The group's committed offset, if it has one.
fn committed(clients: &Clients, topic: &str, partition: i32) -> KafkaResult<Option<u64>> {
    let list = clients.reading.committed_offsets(one(topic, partition, Offset::Invalid)?, WITHIN)?;
    let found = list.find_partition(topic, partition);
    let Some(found) = found else { return Ok(None) };
    found.error()?;
    Ok(found.offset().to_raw().and_then(|offset| u64::try_from(offset).ok()))
}

/// The earliest offset and the one after the last.
fn watermarks(clients: &Clients, topic: &str, partition: i32) -> KafkaResult<(u64, u64)> {
    let (low, high) = clients.asking.inner().fetch_watermarks(topic, partition, WITHIN)?;
    Ok((u64::try_from(low).unwrap_or(0), u64::try_from(high).unwrap_or(0)))
}

fn consumed(message: &BorrowedMessage<'_>) -> Option<Consumed> {
    let headers = message.headers();
    let headers = (0..headers.map_or(0, Headers::count)).filter_map(|index| headers?.try_get(index));
    Some(Consumed::compact(
        u32::try_from(message.partition()).ok()?,
        u64::try_from(message.offset()).ok()?,
        message.key().unwrap_or_default(),
        message.payload().unwrap_or_default(),
        headers.map(|header| (header.key, header.value.unwrap_or_default())),
    ))
}

fn lags(client: &StreamConsumer<Context>, topic: &str, partitions: u32) -> KafkaResult<Vec<u64>> {
    let mut asked = TopicPartitionList::new();
    asked.add_partition_range(topic, 0, i32::try_from(partitions).unwrap_or(i32::MAX) - 1);
    let committed = client.committed_offsets(asked.clone(), WITHIN)?;
    // In place of a time: the end, as in the protocol.
    asked.set_all_offsets(Offset::End)?;
    let ends = client.offsets_for_times(asked, WITHIN)?;
    let of = |list: &TopicPartitionList, number: i32| match list.find_partition(topic, number) {
        Some(found) => found.error().map(|()| found.offset().to_raw().and_then(|o| u64::try_from(o).ok())),
        None => Ok(None),
    };
    (0..partitions.cast_signed())
        .map(|number| {
            let (end, committed) = (of(&ends, number)?, of(&committed, number)?);
            Ok(end.unwrap_or(0).saturating_sub(committed.unwrap_or(0)))
        })
        .collect()
}
