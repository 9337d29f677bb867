//! The way into the log: what clients ask for, by conversation.

use std::sync::Arc;

use bytes::Bytes;
use gochat_core::{ConversationId, SlotCount};
use gochat_mq::{Delivery, MqError, Producer, Record};
use gochat_proto::events::{Origin, Upstream, upstream};
use prost::Message as _;

use crate::backlog::Backlog;

/// Writes `events.Upstream`.
pub(crate) struct UpstreamWriter {
    pub(crate) producer: Producer,
    pub(crate) topic: Arc<str>,
    pub(crate) partitions: SlotCount,
    /// This edge's member id.
    pub(crate) edge: String,
    pub(crate) backlog: Arc<Backlog>,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct From {
    pub(crate) user: u64,
    pub(crate) connection: u64,
}

impl UpstreamWriter {
    /// Whoever stores the conversation's messages has more to do than a client should wait for.
    pub(crate) fn is_overloaded(&self, conversation: ConversationId) -> bool {
        self.backlog.is_over(self.partitions.of_conversation(conversation))
    }

    /// Queues an event, with headers for whoever follows it; records of a conversation keep their order.
    pub(crate) fn write(
        &self,
        from: From,
        conversation: ConversationId,
        headers: Vec<(&'static str, Bytes)>,
        event: upstream::Event,
    ) -> Result<Delivery, MqError> {
        let record = Upstream {
            user_id: from.user,
            origin: Some(Origin { edge: self.edge.clone(), connection: from.connection }),
            event: Some(event),
        };
        self.producer.send(Record {
            topic: Arc::clone(&self.topic),
            partition: self.partitions.of_conversation(conversation).0,
            key: Bytes::copy_from_slice(&conversation.get().to_be_bytes()),
            payload: record.encode_to_vec().into(),
            headers,
        })
    }
}
