//! Which record goes to which topic and partition.

use std::sync::Arc;

use bytes::Bytes;
use gochat_core::{ConversationId, Slot, Slots, Topics};
use gochat_mq::Record;
use gochat_pipeline::Writer;
use gochat_proto::events;
use prost::Message as _;

/// A header of few bytes.
pub(crate) type Header = (&'static str, Bytes);

/// Makes records; cheap to clone.
#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) writer: Writer,
    pub(crate) slots: Slots,
    downstream: Arc<str>,
    task: Arc<str>,
    dead_letter: Arc<str>,
}

impl Log {
    pub(crate) fn new(writer: Writer, topics: &Topics, slots: Slots) -> Self {
        Self {
            writer,
            slots,
            downstream: topics.downstream.as_str().into(),
            task: topics.task.as_str().into(),
            dead_letter: topics.dead_letter.as_str().into(),
        }
    }

    /// For the home of a shard. `key` is the conversation or the user.
    pub(crate) fn downstream(
        &self,
        shard: Slot,
        key: u64,
        event: &events::Downstream,
        headers: Vec<Header>,
    ) -> Record {
        Record {
            topic: self.downstream.clone(),
            partition: shard.0,
            key: key_bytes(key),
            payload: event.encode_to_vec().into(),
            headers,
        }
    }

    /// For the task that owns the conversation's partition.
    pub(crate) fn task(
        &self,
        conversation: ConversationId,
        task: &events::Task,
        headers: Vec<Header>,
    ) -> Record {
        Record {
            topic: self.task.clone(),
            partition: self.slots.task.of_conversation(conversation).0,
            key: key_bytes(conversation.get()),
            payload: task.encode_to_vec().into(),
            headers,
        }
    }

    /// For people: what could not be processed.
    pub(crate) fn dead_letter(&self, letter: &events::DeadLetter) -> Record {
        Record {
            topic: self.dead_letter.clone(),
            partition: 0,
            key: letter.key.clone(),
            payload: letter.encode_to_vec().into(),
            headers: Vec::new(),
        }
    }
}

fn key_bytes(id: u64) -> Bytes {
    Bytes::copy_from_slice(&id.to_be_bytes())
}
