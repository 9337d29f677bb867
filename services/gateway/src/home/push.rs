//! Push records: a recipient that nobody holds is told by other means.

use std::sync::Arc;

use bytes::Bytes;
use gochat_core::{ConversationId, SlotCount};
use gochat_mq::{Producer, Record};
use gochat_proto::events::{Push, PushHint, Task, task};
use prost::Message as _;

/// Writes them to the task topic.
pub(crate) struct Pusher {
    pub(crate) producer: Producer,
    pub(crate) topic: Arc<str>,
    pub(crate) partitions: SlotCount,
}

impl Pusher {
    /// Queues one record for users without a session. Best effort: a notification is a convenience, and a log that is
    /// full has better things to carry.
    pub(super) fn push(&self, hint: PushHint, mut users: Vec<u64>) {
        users.retain(|user| *user != hint.sender_id);
        let Some(conversation) = ConversationId::new(hint.conversation_id).filter(|_| !users.is_empty())
        else {
            return;
        };
        let task = Task { task: Some(task::Task::Push(Push { hint: Some(hint), user_ids: users })) };
        let sent = self.producer.send(Record {
            topic: Arc::clone(&self.topic),
            partition: self.partitions.of_conversation(conversation).0,
            key: Bytes::copy_from_slice(&conversation.get().to_be_bytes()),
            payload: task.encode_to_vec().into(),
            headers: Vec::new(),
        });
        match sent {
            Ok(delivery) => drop(delivery),
            Err(error) => tracing::debug!(%conversation, %error, "push record not written"),
        }
    }
}
