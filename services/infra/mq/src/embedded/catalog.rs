//! Which topics there are, by name.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

use super::frame::{self, Kind};
use super::journal::Place;
use super::partition::Partition;
use crate::MqError;

/// A topic and its partitions.
pub(super) struct Topic {
    pub(super) id: u32,
    pub(super) name: Arc<str>,
    pub(super) partitions: Vec<Arc<Partition>>,
}

/// All topics. Topics are only added.
#[derive(Default)]
pub(super) struct Catalog {
    by_name: RwLock<HashMap<Arc<str>, Arc<Topic>>>,
}

impl Catalog {
    pub(super) fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.by_name.read().get(name).cloned()
    }

    pub(super) fn partition(&self, topic: &str, number: u32) -> Result<Arc<Partition>, MqError> {
        let by_name = self.by_name.read();
        let found = by_name.get(topic).and_then(|topic| topic.partitions.get(usize::try_from(number).ok()?));
        found.cloned().ok_or_else(|| MqError::no_partition(topic, number))
    }

    /// The topic of that name, created if it is missing.
    pub(super) fn create(&self, name: Arc<str>, partitions: u32) -> Arc<Topic> {
        let mut by_name = self.by_name.write();
        let id = u32::try_from(by_name.len()).unwrap_or(u32::MAX);
        let topic = by_name.entry(Arc::clone(&name)).or_insert_with(|| {
            let partitions = (0..partitions).map(|number| Arc::new(Partition::new(id, number))).collect();
            Arc::new(Topic { id, name, partitions })
        });
        Arc::clone(topic)
    }

    pub(super) fn each_partition(&self, mut visit: impl FnMut(&Arc<Partition>)) {
        for topic in self.by_name.read().values() {
            topic.partitions.iter().for_each(&mut visit);
        }
    }

    pub(super) fn by_id(&self, topic: u32, partition: u32) -> Option<Arc<Partition>> {
        let by_name = self.by_name.read();
        let topic = by_name.values().find(|found| found.id == topic)?;
        topic.partitions.get(usize::try_from(partition).ok()?).cloned()
    }

    /// Takes in one entry of the journal, in its order. Snapshots repeat what is known: that is harmless.
    pub(super) fn replay(&self, place: Place, kind: Kind) {
        match kind {
            Kind::Topic(topic) => {
                self.create(topic.name.as_str().into(), topic.partitions);
            }
            Kind::Start(start) => {
                if let Some(partition) = self.by_id(start.topic, start.partition) {
                    partition.replay_start(start.offset);
                }
            }
            Kind::Commit(commit) => {
                if let Some(partition) = self.by_id(commit.topic, commit.partition) {
                    partition.commit(&commit.group.as_str().into(), commit.next);
                }
            }
            Kind::Record(stored) => {
                if let Some(partition) = self.by_id(stored.topic, stored.partition) {
                    partition.publish(stored.to_consumed(), place);
                    partition.wake();
                }
            }
            Kind::Ready(_) => {}
        }
    }

    /// Everything but the records, as entries that a new segment begins with. Topics in the order of their ids.
    pub(super) fn snapshot(&self) -> Vec<Kind> {
        let mut topics: Vec<_> = self.by_name.read().values().cloned().collect();
        topics.sort_unstable_by_key(|topic| topic.id);
        let mut entries = Vec::new();
        for topic in topics {
            let partitions = u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX);
            entries.push(Kind::Topic(frame::Topic {
                id: topic.id,
                name: topic.name.to_string(),
                partitions,
            }));
            topic.partitions.iter().for_each(|partition| partition.snapshot(&mut entries));
        }
        entries.push(Kind::Ready(true));
        entries
    }
}
