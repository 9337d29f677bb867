//! The embedded log: Kafka's semantics in one process, for dev and tests.
//!
//! ```text
//! append ──▶ queue (bounded) ──▶ writer thread: one write and one fsync for all that waits ──▶ partitions ──▶ consumers
//!                                   └─ journal: segments of CRC-framed entries, shared by all partitions
//! ```
//!
//! One journal for all partitions, as BookKeeper has it, because the fsync is what costs: a file per partition would
//! need as many of them as there are partitions in a batch. Topics and commits are entries of the same journal, and a
//! segment begins with a snapshot of both, so a segment can be deleted once nothing in it is needed.
//!
//! In memory there is neither queue nor thread: an append is in its partition when it returns.

mod catalog;
mod consumer;
mod frame;
mod journal;
mod partition;
mod queue;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use catalog::Catalog;
pub(crate) use consumer::EmbeddedConsumer;
use journal::{Files, Journal};
use queue::{Job, Queue};

use crate::delivery::Delivery;
use crate::meters::ProducerMeters;
use crate::{Consumed, MqConfig, MqError, Record, TopicSpec};

/// How much more than its retention the log holds for groups that lag, before it refuses.
const HARD_FACTOR: u64 = 4;

/// One log; the process shares it.
pub(crate) struct Log {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

/// What producers, consumers and the writer share.
struct Shared {
    catalog: Catalog,
    queue: Queue,
    /// Bytes held: of the journal, or of the records in memory.
    held: AtomicU64,
    retention: u64,
    files: Files,
    /// A sync failed: what the disk has is unknown until it is read again, so nothing more is promised.
    broken: AtomicBool,
    meters: ProducerMeters,
}

impl Log {
    /// Opens the folder, or memory if there is none.
    pub(crate) async fn open(config: &MqConfig) -> Result<Arc<Self>, MqError> {
        let config = config.clone();
        tokio::task::spawn_blocking(move || Self::open_blocking(&config))
            .await
            .map_err(|error| MqError::unavailable("open the log", error))?
            .map(Arc::new)
    }

    fn open_blocking(config: &MqConfig) -> Result<Self, MqError> {
        let shared = Arc::new(Shared {
            catalog: Catalog::default(),
            queue: Queue::new(config.queue_records, config.queue_bytes),
            held: AtomicU64::new(0),
            retention: config.retention_bytes,
            files: Files::default(),
            broken: AtomicBool::new(false),
            meters: ProducerMeters::new(),
        });
        if config.path.is_empty() {
            return Ok(Self { shared, writer: None });
        }
        let folder = PathBuf::from(&config.path);
        let failed = |error| MqError::unavailable(format!("open the log in {}", folder.display()), error);
        let journal = Journal::open(&folder, config.retention_bytes / 8, &shared.files, |place, entry| {
            shared.catalog.replay(place, entry);
        })
        .map_err(failed)?;
        let thread = std::thread::Builder::new().name("mq-writer".into());
        let for_writer = Arc::clone(&shared);
        let writer = thread.spawn(move || writer::run(&for_writer, journal)).map_err(failed)?;
        Ok(Self { shared, writer: Some(writer) })
    }

    fn in_memory(&self) -> bool {
        self.writer.is_none()
    }

    /// Queues a record of so many bytes; in memory it is there at once.
    pub(crate) fn append(&self, record: &Record, bytes: usize) -> Result<Delivery, MqError> {
        self.ping()?;
        let partition = self.shared.catalog.partition(&record.topic, record.partition)?;
        self.make_room()?;
        let since = Instant::now();
        let headers = record.headers.iter().map(|(name, value)| (*name, value.as_ref()));
        let record = Consumed::compact(record.partition, 0, &record.key, &record.payload, headers);
        if self.in_memory() {
            let offset = partition.append_in_memory(record, &self.shared.held, self.shared.retention);
            self.shared.meters.delivered(since, true);
            return Ok(Delivery::done(offset));
        }
        let (delivery, resolver) = Delivery::promise();
        self.shared.queue.push(Job::Append { partition, record, resolver }, bytes)?;
        Ok(delivery)
    }

    /// Refuses once groups lag so far that memory or the disk would be theirs.
    fn make_room(&self) -> Result<(), MqError> {
        let limit = self.shared.retention.saturating_mul(HARD_FACTOR);
        if self.shared.held.load(Ordering::Relaxed) <= limit {
            return Ok(());
        }
        if self.in_memory() {
            self.shared.catalog.each_partition(|partition| partition.evict_in_memory(&self.shared.held, 0));
            if self.shared.held.load(Ordering::Relaxed) <= limit {
                return Ok(());
            }
        }
        Err(MqError::QueueFull)
    }

    /// Returns when everything appended before is durable.
    pub(crate) async fn barrier(&self) -> Result<(), MqError> {
        if self.in_memory() {
            return Ok(());
        }
        self.control(|resolver| Job::Barrier { resolver }).await
    }

    async fn control(&self, job: impl FnOnce(crate::delivery::Resolver) -> Job) -> Result<(), MqError> {
        let (delivery, resolver) = Delivery::promise();
        self.shared.queue.push_control(job(resolver));
        delivery.await.map(|_| ())
    }

    /// Creates what is missing.
    pub(crate) async fn ensure_topics(&self, topics: &[TopicSpec]) -> Result<(), MqError> {
        for spec in topics {
            if spec.partitions == 0 {
                return Err(MqError::Config(format!("topic {} needs at least one partition", spec.name)));
            }
            if self.shared.catalog.topic(&spec.name).is_some() {
                continue;
            }
            let (name, partitions) = (Arc::from(spec.name.as_str()), spec.partitions);
            if self.in_memory() {
                self.shared.catalog.create(name, partitions);
            } else {
                self.control(|resolver| Job::Create { name, partitions, resolver }).await?;
            }
        }
        Ok(())
    }

    /// How many partitions a topic has.
    pub(crate) fn partitions(&self, topic: &str) -> Result<u32, MqError> {
        let found = self.shared.catalog.topic(topic).ok_or_else(|| MqError::no_partition(topic, 0))?;
        Ok(u32::try_from(found.partitions.len()).unwrap_or(u32::MAX))
    }

    /// Says if the disk failed.
    pub(crate) fn ping(&self) -> Result<(), MqError> {
        if self.shared.broken.load(Ordering::Acquire) {
            return Err(MqError::unavailable(
                "the log",
                "a write to disk failed; restart after fixing the disk",
            ));
        }
        Ok(())
    }

    /// Reads under a group.
    pub(crate) fn consumer(self: &Arc<Self>, group: &str, topic: &str) -> EmbeddedConsumer {
        EmbeddedConsumer::new(Arc::clone(self), group, topic)
    }
}

impl Drop for Log {
    /// Writes what is queued and lets go of the folder, so that it can be opened again at once.
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the log's writer died");
        }
    }
}
