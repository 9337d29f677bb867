//! Reads partitions of the embedded log.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Log;
use super::journal::Place;
use super::partition::{Partition, Read};
use super::queue::Job;
use crate::{Consumed, MqError};

/// One consumer.
pub(crate) struct EmbeddedConsumer {
    log: Arc<Log>,
    group: Arc<str>,
    topic: Arc<str>,
    assigned: Mutex<Assigned>,
    /// Told by every assigned partition; keeps one permit, so that no news falls between two polls.
    news: Arc<Notify>,
}

#[derive(Default)]
struct Assigned {
    readings: Vec<Reading>,
    /// Where the next poll begins, so that a busy partition does not starve the others.
    turn: usize,
    /// Names an assignment: what a slow read of an earlier one found is not delivered.
    generation: u64,
}

struct Reading {
    partition: Arc<Partition>,
    next: u64,
    generation: u64,
}

/// A read that has to go to the disk.
struct Cold {
    partition: u32,
    generation: u64,
    next: u64,
    places: Vec<Place>,
}

impl EmbeddedConsumer {
    pub(super) fn new(log: Arc<Log>, group: &str, topic: &str) -> Self {
        let (group, topic) = (group.into(), topic.into());
        Self { log, group, topic, assigned: Mutex::default(), news: Arc::default() }
    }

    pub(crate) fn assign(&self, number: u32) -> Result<u64, MqError> {
        let partition = self.log.shared.catalog.partition(&self.topic, number)?;
        self.unassign(number);
        let mut assigned = self.assigned.lock();
        let next = partition.watch(&self.group, &self.news);
        assigned.generation += 1;
        let generation = assigned.generation;
        assigned.readings.push(Reading { partition, next, generation });
        // A poll that waits already has to look at this partition too.
        self.news.notify_one();
        Ok(next)
    }

    pub(crate) fn unassign(&self, number: u32) {
        self.assigned.lock().readings.retain(|reading| {
            let stays = reading.partition.number != number;
            if !stays {
                reading.partition.unwatch(&self.news);
            }
            stays
        });
    }

    pub(crate) async fn poll(&self, max: usize) -> Result<Vec<Consumed>, MqError> {
        loop {
            let (records, cold) = self.assigned.lock().collect(max.max(1));
            if !records.is_empty() {
                return Ok(records);
            }
            let Some(cold) = cold else {
                self.news.notified().await;
                continue;
            };
            let records = self.read(cold).await?;
            if !records.is_empty() {
                return Ok(records);
            }
        }
    }

    /// The position moves only after the read, so a poll that is dropped while it reads loses nothing.
    async fn read(&self, cold: Cold) -> Result<Vec<Consumed>, MqError> {
        let Cold { partition, generation, next, places } = cold;
        let failed = |error: String| MqError::unavailable(format!("read {}/{partition}", self.topic), error);
        let files = self.log.shared.files.clone();
        let read = tokio::task::spawn_blocking(move || files.read(&places)).await;
        let records = read.map_err(|e| failed(e.to_string()))?.map_err(|e| failed(e.to_string()))?;
        let mut assigned = self.assigned.lock();
        let same = |reading: &&mut Reading| reading.generation == generation && reading.next == next;
        let Some(reading) = assigned.readings.iter_mut().find(same) else { return Ok(Vec::new()) };
        reading.next = records.last().map_or(next, |record| record.offset + 1);
        Ok(records)
    }

    pub(crate) async fn commit(&self, offsets: &[(u32, u64)]) -> Result<(), MqError> {
        let shared = &self.log.shared;
        let of = |&(number, next): &(u32, u64)| Ok((shared.catalog.partition(&self.topic, number)?, next));
        let offsets = offsets.iter().map(of).collect::<Result<Vec<_>, MqError>>()?;
        let group = Arc::clone(&self.group);
        if !self.log.in_memory() {
            return self.log.control(|resolver| Job::Commit { group, offsets, resolver }).await;
        }
        for (partition, next) in offsets {
            partition.commit(&group, next);
        }
        Ok(())
    }

    pub(crate) fn lag(&self, number: u32) -> Result<u64, MqError> {
        Ok(self.log.shared.catalog.partition(&self.topic, number)?.lag(&self.group))
    }
}

impl Assigned {
    /// What is in memory; or, if the first partition that has anything has it on disk, that.
    fn collect(&mut self, max: usize) -> (Vec<Consumed>, Option<Cold>) {
        let mut records = Vec::new();
        let count = self.readings.len();
        self.turn = self.turn.wrapping_add(1);
        let begin = self.turn.checked_rem(count).unwrap_or(0);
        let (before, after) = self.readings.split_at_mut(begin);
        for reading in after.iter_mut().chain(before) {
            match reading.partition.read(reading.next, max.saturating_sub(records.len())) {
                Read::Hot(found) => {
                    reading.next = found.last().map_or(reading.next, |record| record.offset + 1);
                    records.extend(found);
                }
                Read::Cold(places) if records.is_empty() => {
                    let (partition, generation) = (reading.partition.number, reading.generation);
                    return (records, Some(Cold { partition, generation, next: reading.next, places }));
                }
                // On disk, and there are records to give: its turn comes.
                Read::Cold(_) | Read::Empty => {}
            }
        }
        (records, None)
    }
}

impl Drop for EmbeddedConsumer {
    fn drop(&mut self) {
        for reading in &self.assigned.lock().readings {
            reading.partition.unwatch(&self.news);
        }
    }
}
