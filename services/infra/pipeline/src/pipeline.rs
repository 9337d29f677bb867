//! Which partitions are worked on, and the loop that keeps both stages busy.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::{FuturesUnordered, StreamExt};
use gochat_chassis::Shutdown;
use gochat_coord::{Change, Ownership};
use gochat_core::Slot;
use gochat_member::{LagOf, SlotMeter};
use gochat_mq::{Consumed, Consumer, MqError, Record};
use tokio::sync::{mpsc, oneshot};

use crate::committer::{self, Step, undeliverable};
use crate::patience::Stopped;
use crate::writer::Writer;

/// Batches whose records may be on their way while the next one is appended.
const IN_FLIGHT: usize = 2;
/// Before a failed assignment or poll is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// Stage one.
pub trait Process: Send + Sync + 'static {
    /// The records to make durable before the batch's offsets may be committed, in order. `batch` is never empty.
    ///
    /// # Errors
    /// [`Stopped`] only: the batch stays uncommitted.
    fn process(&self, batch: &[Consumed]) -> impl Future<Output = Result<Vec<Record>, Stopped>> + Send;
}

/// The consumer of one member.
pub struct Pipeline<P> {
    /// What is done.
    pub process: P,
    /// Records polled at a time: bounds what is in memory.
    pub poll: usize,
    /// Where the records go.
    pub writer: Writer,
    /// What is polled.
    pub consumer: Arc<Consumer>,
    /// Which partitions.
    pub ownership: Ownership,
    /// Counts what each does.
    pub meter: SlotMeter,
    /// Ends it.
    pub shutdown: Shutdown,
}

/// What waits in a slot, for the member's load report: what this consumer has not committed yet.
pub fn lag_of(consumer: &Arc<Consumer>) -> LagOf {
    let consumer = Arc::clone(consumer);
    Arc::new(move |slot| {
        let consumer = Arc::clone(&consumer);
        Box::pin(async move { consumer.lag(slot.0).await.ok() })
    })
}

enum Next {
    Change(Change),
    Drained(Slot),
    Assign,
    Batch(Result<Vec<Consumed>, MqError>),
    Stop,
}

impl<P: Process> Pipeline<P> {
    /// Works until shutdown begins; returns when what was in hand is durable and committed, and all slots are released.
    pub async fn run(mut self) {
        let (steps, received) = mpsc::channel(IN_FLIGHT);
        let committer = tokio::spawn(committer::run(self.writer.clone(), self.consumer.clone(), received));
        // Owned, but not yet assigned: the log did not answer.
        let mut waiting = BTreeSet::new();
        let mut draining = FuturesUnordered::<oneshot::Receiver<Slot>>::new();
        loop {
            let next = tokio::select! {
                biased;
                () = self.shutdown.wait() => Next::Stop,
                change = self.ownership.next() => Next::Change(change),
                Some(drained) = draining.next() => match drained {
                    Ok(slot) => Next::Drained(slot),
                    Err(_) => continue,
                },
                () = tokio::time::sleep(TRY_AGAIN), if !waiting.is_empty() => Next::Assign,
                polled = self.consumer.poll(self.poll) => Next::Batch(polled),
            };
            match next {
                Next::Stop => break,
                Next::Change(Change::Acquire(slot, epoch)) => {
                    tracing::info!(%slot, epoch = epoch.0, "partition acquired");
                    waiting.insert(slot);
                    self.assign(&mut waiting).await;
                }
                Next::Change(Change::Release(slot, epoch)) => {
                    tracing::info!(%slot, epoch = epoch.0, "partition to be released");
                    waiting.remove(&slot);
                    self.unassign(slot).await;
                    let (done, drained) = oneshot::channel();
                    draining.push(drained);
                    if steps.send(Step::Drained { slot, done }).await.is_err() {
                        break;
                    }
                }
                Next::Drained(slot) => self.release(slot).await,
                Next::Assign => self.assign(&mut waiting).await,
                Next::Batch(Ok(batch)) => match self.pass(&batch, &steps).await {
                    Ok(()) => {}
                    Err(Stopped) => break,
                },
                Next::Batch(Err(error)) => {
                    tracing::warn!(%error, "partitions not polled");
                    tokio::time::sleep(TRY_AGAIN.mul_f64(rand::random_range(0.2..1.0))).await;
                }
            }
        }
        drop(steps);
        if committer.await.is_err() {
            tracing::error!("the committer ended early");
        }
        for slot in self.meter.owned() {
            self.unassign(slot).await;
            self.release(slot).await;
        }
    }

    async fn pass(&self, batch: &[Consumed], steps: &mpsc::Sender<Step>) -> Result<(), Stopped> {
        if batch.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        let records = self.process.process(batch).await?;
        let mut written = Vec::with_capacity(records.len());
        for record in records {
            match self.writer.queue(&record).await {
                Ok(delivery) => written.push((record, delivery)),
                Err(error) => undeliverable(&record, &error),
            }
        }
        let mut offsets = BTreeMap::new();
        for record in batch {
            offsets.insert(record.partition, record.offset + 1);
            self.meter.count(Slot(record.partition), 1, record.payload.len() as u64);
        }
        metrics::histogram!("gochat_pipeline_batch_seconds").record(began.elapsed());
        metrics::histogram!("gochat_pipeline_batch_records").record(batch.len() as f64);
        let step = Step::Batch { written, offsets: offsets.into_iter().collect() };
        steps.send(step).await.map_err(|_| Stopped)
    }

    async fn assign(&self, waiting: &mut BTreeSet<Slot>) {
        for slot in std::mem::take(waiting) {
            match self.consumer.assign(slot.0).await {
                Ok(offset) => {
                    self.meter.own(slot);
                    tracing::debug!(%slot, offset, "partition assigned");
                }
                Err(error) => {
                    tracing::warn!(%slot, %error, "partition not assigned; trying again");
                    waiting.insert(slot);
                }
            }
        }
    }

    async fn unassign(&self, slot: Slot) {
        if let Err(error) = self.consumer.unassign(slot.0).await {
            tracing::warn!(%slot, %error, "partition not unassigned");
        }
    }

    async fn release(&mut self, slot: Slot) {
        self.meter.disown(slot);
        self.ownership.released(slot).await;
    }
}
