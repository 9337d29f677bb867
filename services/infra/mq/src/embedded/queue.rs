//! What waits for the writer thread. Bounded in records and bytes; taken as a whole.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::partition::Partition;
use crate::delivery::Resolver;
use crate::{Consumed, MqError};

/// Something to be written.
pub(super) enum Job {
    /// A record; its offset is given by the writer.
    Append { partition: Arc<Partition>, record: Consumed, resolver: Resolver },
    /// Committed offsets of a group.
    Commit { group: Arc<str>, offsets: Vec<(Arc<Partition>, u64)>, resolver: Resolver },
    /// A topic.
    Create { name: Arc<str>, partitions: u32, resolver: Resolver },
    /// Resolved when all before it is durable.
    Barrier { resolver: Resolver },
}

/// The writer's queue.
pub(super) struct Queue {
    pending: Mutex<Pending>,
    wake: Condvar,
    max_records: usize,
    max_bytes: usize,
}

#[derive(Default)]
struct Pending {
    jobs: Vec<Job>,
    /// Of records that wait or are being written.
    records: usize,
    bytes: usize,
    /// Of those, the ones that are being written.
    taken: (usize, usize),
    closed: bool,
}

impl Queue {
    pub(super) fn new(max_records: u32, max_bytes: u64) -> Self {
        let limit = |value| usize::try_from(value).unwrap_or(usize::MAX);
        Self {
            pending: Mutex::default(),
            wake: Condvar::new(),
            max_records: limit(u64::from(max_records)),
            max_bytes: limit(max_bytes),
        }
    }

    /// Queues a record of so many bytes, or refuses.
    pub(super) fn push(&self, job: Job, bytes: usize) -> Result<(), MqError> {
        let mut pending = self.pending.lock();
        if pending.records >= self.max_records || pending.bytes + bytes > self.max_bytes {
            return Err(MqError::QueueFull);
        }
        pending.records += 1;
        pending.bytes += bytes;
        pending.jobs.push(job);
        drop(pending);
        self.wake.notify_one();
        Ok(())
    }

    /// Queues what is not a record. Each caller waits for its job, so their number is bounded by callers.
    pub(super) fn push_control(&self, job: Job) {
        self.pending.lock().jobs.push(job);
        self.wake.notify_one();
    }

    /// Swaps all that waits into `jobs` (empty before); blocks while there is nothing. False once closed and empty.
    /// What was taken before counts as written now.
    pub(super) fn take(&self, jobs: &mut Vec<Job>) -> bool {
        let mut pending = self.pending.lock();
        let (records, bytes) = pending.taken;
        pending.records -= records;
        pending.bytes -= bytes;
        pending.taken = (0, 0);
        while pending.jobs.is_empty() && !pending.closed {
            self.wake.wait(&mut pending);
        }
        std::mem::swap(&mut pending.jobs, jobs);
        pending.taken = (pending.records, pending.bytes);
        !jobs.is_empty()
    }

    /// The writer ends when all is written.
    pub(super) fn close(&self) {
        self.pending.lock().closed = true;
        self.wake.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Delivery;

    fn job() -> Job {
        let record = Consumed::compact(0, 0, b"", b"", std::iter::empty());
        let (_, resolver) = Delivery::promise();
        Job::Append { partition: Arc::new(Partition::new(0, 0)), record, resolver }
    }

    #[test]
    fn what_is_being_written_still_counts() {
        let queue = Queue::new(2, 100);
        queue.push(job(), 10).unwrap();
        queue.push(job(), 10).unwrap();
        assert_eq!(queue.push(job(), 10), Err(MqError::QueueFull));
        let mut jobs = Vec::new();
        assert!(queue.take(&mut jobs));
        assert_eq!(jobs.len(), 2);
        assert_eq!(queue.push(job(), 10), Err(MqError::QueueFull));
        jobs.clear();
        queue.close();
        assert!(!queue.take(&mut jobs));
        assert!(queue.push(job(), 10).is_ok());
    }

    #[test]
    fn bytes_bound_it_too() {
        let queue = Queue::new(10, 100);
        queue.push(job(), 60).unwrap();
        assert_eq!(queue.push(job(), 60), Err(MqError::QueueFull));
    }
}
