//! The writer thread: takes all that waits, writes it at once, syncs once, then keeps the promises.
//!
//! Group commit without a timer: while one batch syncs, the next one gathers.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Shared;
use super::frame::{self, Kind, Stored};
use super::journal::{Journal, Place};
use super::partition::Partition;
use super::queue::Job;
use crate::delivery::Resolver;
use crate::{Consumed, MqError};

/// Runs until the queue is closed and empty.
pub(super) fn run(shared: &Shared, mut journal: Journal) {
    let mut jobs = Vec::new();
    let mut buffer = Vec::new();
    shared.held.store(journal.bytes(), Ordering::Relaxed);
    while shared.queue.take(&mut jobs) {
        if let Err(error) = batch(shared, &mut journal, &mut jobs, &mut buffer) {
            tracing::error!(%error, records = jobs.len(), "write to the log");
        }
        // Jobs that are left resolve as failed here.
        jobs.clear();
        buffer.clear();
        buffer.shrink_to(1 << 20);
    }
}

/// A record that is in the buffer, for when it is durable.
struct Written {
    partition: Arc<Partition>,
    record: Consumed,
    place: Place,
    resolver: Resolver,
}

/// What waits for the sync.
#[derive(Default)]
struct Unsynced {
    records: Vec<Written>,
    /// Topics and barriers.
    others: Vec<Resolver>,
}

impl Unsynced {
    fn fail(self, shared: &Shared, error: &io::Error) {
        let error = MqError::unavailable("write to the log", error);
        for written in self.records {
            written.partition.unreserve();
            shared.meters.delivered(written.resolver.since(), false);
            written.resolver.resolve(Err(error.clone()));
        }
        self.others.into_iter().for_each(|resolver| resolver.resolve(Err(error.clone())));
    }
}

fn batch(
    shared: &Shared,
    journal: &mut Journal,
    jobs: &mut Vec<Job>,
    buffer: &mut Vec<u8>,
) -> io::Result<()> {
    if shared.broken.load(Ordering::Acquire) {
        return Err(io::Error::other("an earlier write failed"));
    }
    if journal.is_full() {
        journal.roll(shared.catalog.snapshot())?;
    }
    let mut unsynced = Unsynced::default();
    let mut commits = Vec::new();
    for job in jobs.drain(..) {
        match job {
            Job::Append { partition, mut record, resolver } => {
                record.offset = partition.reserve();
                let at = buffer.len();
                let length = frame::write(Kind::Record(Stored::of(partition.topic, &record)), buffer);
                let place = journal.place(at, length);
                unsynced.records.push(Written { partition, record, place, resolver });
            }
            Job::Commit { group, offsets, resolver } => {
                for (partition, next) in &offsets {
                    let commit = frame::Commit {
                        topic: partition.topic,
                        partition: partition.number,
                        group: group.to_string(),
                        next: *next,
                    };
                    frame::write(Kind::Commit(commit), buffer);
                }
                commits.push((group, offsets, resolver));
            }
            Job::Create { name, partitions, resolver } => {
                let topic = shared.catalog.create(name, partitions);
                let partitions = u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX);
                let entry = frame::Topic { id: topic.id, name: topic.name.to_string(), partitions };
                frame::write(Kind::Topic(entry), buffer);
                unsynced.others.push(resolver);
            }
            Job::Barrier { resolver } => unsynced.others.push(resolver),
        }
    }
    if let Err(error) = journal.write(buffer) {
        unsynced.fail(shared, &error);
        return Err(error);
    }
    // A commit survives the end of the process without a sync; after a power cut, records come again, as they may.
    for (group, offsets, resolver) in commits {
        for (partition, next) in &offsets {
            partition.commit(&group, *next);
        }
        resolver.resolve(Ok(0));
    }
    if !(unsynced.records.is_empty() && unsynced.others.is_empty())
        && let Err(error) = journal.sync()
    {
        // After a failed fsync the kernel may have dropped the dirty pages (fsyncgate): trying again would lie.
        shared.broken.store(true, Ordering::Release);
        unsynced.fail(shared, &error);
        return Err(error);
    }
    publish(shared, journal, unsynced);
    retire(shared, journal)
}

fn publish(shared: &Shared, journal: &mut Journal, unsynced: Unsynced) {
    let mut touched = Vec::new();
    let mut promises = Vec::with_capacity(unsynced.records.len());
    for Written { partition, record, place, resolver } in unsynced.records {
        let offset = record.offset;
        journal.note(partition.topic, partition.number, offset + 1);
        promises.push((resolver, offset));
        if partition.publish(record, place) {
            touched.push(partition);
        }
    }
    for partition in touched {
        partition.wake();
    }
    for (resolver, offset) in promises {
        shared.meters.delivered(resolver.since(), true);
        resolver.resolve(Ok(offset));
    }
    unsynced.others.into_iter().for_each(|resolver| resolver.resolve(Ok(0)));
}

/// Deletes what is past the retention and done with.
fn retire(shared: &Shared, journal: &mut Journal) -> io::Result<()> {
    while journal.bytes() > shared.retention {
        let done = |(topic, partition), end| {
            shared.catalog.by_id(topic, partition).is_none_or(|partition| partition.is_done_below(end))
        };
        let Some(segment) = journal.retire(done)? else { break };
        shared.catalog.each_partition(|partition| partition.retire(segment));
    }
    shared.held.store(journal.bytes(), Ordering::Relaxed);
    Ok(())
}
