//! What is done with the records of `task`: fan out, hand pushes over, or set aside what can't be read.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use gochat_chassis::trace;
use gochat_core::{SlotCount, Topics};
use gochat_mq::{Consumed, Record};
use gochat_pipeline::{Patience, Process, Stopped};
use gochat_proto::events::task::Task as Asked;
use gochat_proto::events::{DeadLetter, FanOut, Task};
use prost::Message as _;
use tracing::Span;

use crate::clock::now_ms;
use crate::fan_out;
use crate::members::Members;
use crate::push::Pusher;

/// Processes batches, one at a time.
pub(crate) struct Worker {
    topics: Topics,
    downstream: Arc<str>,
    shards: SlotCount,
    members: Members,
    patience: Patience,
    /// `None` where push is off.
    pusher: Option<Pusher>,
}

impl Worker {
    pub(crate) fn new(
        topics: Topics,
        shards: SlotCount,
        members: Members,
        patience: Patience,
        pusher: Option<Pusher>,
    ) -> Self {
        let downstream = topics.downstream.as_str().into();
        Self { topics, downstream, shards, members, patience, pusher }
    }

    async fn fan_out(&self, event: &FanOut, record: &Consumed) -> Result<Vec<Record>, Stopped> {
        let began = Instant::now();
        let span = span(record);
        let asked = self
            .patience
            .ask("members", || self.members.at_least(event.conversation_id, event.members_version))
            .await?;
        let members = match asked {
            Ok(members) => members,
            Err(status) => return Ok(vec![self.dead_letter(record, status.message().to_owned())]),
        };
        let records =
            fan_out::records(&self.downstream, self.shards, event, &members, &headers(record, &span));
        metrics::counter!("gochat_task_fan_outs_total").increment(1);
        metrics::counter!("gochat_task_recipients_total").increment(members.len() as u64);
        metrics::histogram!("gochat_task_fan_out_seconds").record(began.elapsed());
        Ok(records)
    }

    fn dead_letter(&self, record: &Consumed, reason: String) -> Record {
        metrics::counter!("gochat_task_dead_letters_total").increment(1);
        tracing::warn!(
            partition = record.partition,
            offset = record.offset,
            reason,
            "record goes to the dead-letter topic"
        );
        let letter = DeadLetter {
            topic: self.topics.task.clone(),
            partition: record.partition,
            offset: record.offset,
            reason,
            key: record.key.clone(),
            payload: record.payload.clone(),
            at_ms: now_ms(),
            headers: record.headers.iter().cloned().collect(),
        };
        Record {
            topic: self.topics.dead_letter.as_str().into(),
            partition: 0,
            key: record.key.clone(),
            payload: letter.encode_to_vec().into(),
            headers: Vec::new(),
        }
    }
}

impl Process for Worker {
    async fn process(&self, batch: &[Consumed]) -> Result<Vec<Record>, Stopped> {
        let mut records = Vec::new();
        for record in batch {
            match Task::decode(record.payload.clone()).map(|task| task.task) {
                Ok(Some(Asked::FanOut(event))) => records.extend(self.fan_out(&event, record).await?),
                Ok(Some(Asked::Push(push))) => {
                    if let Some(pusher) = &self.pusher {
                        pusher.offer(push);
                    }
                }
                Ok(None) => records.push(self.dead_letter(record, "no task that this version knows".into())),
                Err(error) => records.push(self.dead_letter(record, format!("not a Task: {error}"))),
            }
        }
        Ok(records)
    }
}

/// Of the fan-out, where the message's trace is sampled.
fn span(record: &Consumed) -> Span {
    let (partition, offset) = (record.partition, record.offset);
    trace::continue_from(
        header(record, "traceparent").map(|value| &**value),
        || tracing::info_span!(target: trace::TARGET, "task.fan_out", otel.kind = "consumer", partition, offset),
    )
}

/// The message's id as it came, and its trace continued.
fn headers(record: &Consumed, span: &Span) -> Vec<(&'static str, Bytes)> {
    let id = header(record, "message-id").map(|id| ("message-id", id.clone()));
    id.into_iter().chain(trace::inject(span).map(|context| ("traceparent", context))).collect()
}

fn header<'a>(record: &'a Consumed, wanted: &str) -> Option<&'a Bytes> {
    record.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value)
}
