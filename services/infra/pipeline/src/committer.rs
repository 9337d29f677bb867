//! Stage two: once a batch's records are durable, its offsets are committed. Batches pass in order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gochat_core::Slot;
use gochat_mq::{Consumer, Delivery, MqError, Record};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::patience::BACKOFF;
use crate::writer::Writer;

/// What stage one hands over.
pub(crate) enum Step {
    /// Written records, not yet durable, and what may be committed after.
    Batch { written: Vec<(Record, Delivery)>, offsets: Vec<(u32, u64)> },
    /// Everything before it is committed when it is answered: the slot may be released.
    Drained { slot: Slot, done: oneshot::Sender<Slot> },
}

/// How long a commit may wait for more. Committing each batch cost a request to the broker and two task switches for every
/// message of a quiet system; what is not committed when a process dies is done again, which is harmless.
const COMMIT_EVERY: Duration = Duration::from_millis(200);

/// Runs until stage one is gone and all it handed over is committed.
pub(crate) async fn run(writer: Writer, consumer: Arc<Consumer>, mut steps: mpsc::Receiver<Step>) {
    let mut done: BTreeMap<u32, u64> = BTreeMap::new();
    // One at a time, and no batch waits for the broker's answer.
    let mut commits = JoinSet::new();
    let mut due = tokio::time::interval(COMMIT_EVERY);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let step = tokio::select! {
            step = steps.recv() => step,
            Some(_) = commits.join_next() => continue,
            _ = due.tick(), if !done.is_empty() && commits.is_empty() => {
                commits.spawn(commit(Arc::clone(&consumer), std::mem::take(&mut done)));
                continue;
            }
        };
        if let Some(Step::Batch { written, offsets }) = step {
            for (record, delivery) in written {
                durable(&writer, record, delivery).await;
            }
            done.extend(offsets);
            continue;
        }
        while commits.join_next().await.is_some() {}
        commit(Arc::clone(&consumer), std::mem::take(&mut done)).await;
        let Some(Step::Drained { slot, done: answer }) = step else { return };
        // The receiver may be gone at shutdown.
        let _ = answer.send(slot);
    }
}

/// A record that failed is written again: it may come twice or late, which clients mend by seq, but it comes.
async fn durable(writer: &Writer, record: Record, delivery: Delivery) {
    let mut outcome = delivery.await;
    let mut attempt = 0;
    while let Err(error) = outcome {
        if let MqError::TooLarge { .. } | MqError::NoPartition { .. } = error {
            // Trying again can't help, and waiting would stop the partition.
            undeliverable(&record, &error);
            return;
        }
        metrics::counter!("gochat_pipeline_log_retries_total").increment(1);
        tracing::warn!(%error, topic = %record.topic, partition = record.partition, "record not durable; written again");
        tokio::time::sleep(BACKOFF.delay(attempt)).await;
        attempt = attempt.saturating_add(1);
        outcome = match writer.queue(&record).await {
            Ok(delivery) => delivery.await,
            Err(error) => Err(error),
        };
    }
}

async fn commit(consumer: Arc<Consumer>, done: BTreeMap<u32, u64>) {
    let offsets: Vec<(u32, u64)> = done.into_iter().collect();
    let mut attempt = 0;
    while let Err(error) = consumer.commit(&offsets).await {
        tracing::warn!(%error, "offsets not committed; trying again");
        tokio::time::sleep(BACKOFF.delay(attempt)).await;
        attempt = attempt.saturating_add(1);
    }
}

/// Says that a record is given up.
pub(crate) fn undeliverable(record: &Record, error: &MqError) {
    metrics::counter!("gochat_pipeline_undeliverable_total").increment(1);
    tracing::error!(%error, topic = %record.topic, partition = record.partition, "record dropped");
}
