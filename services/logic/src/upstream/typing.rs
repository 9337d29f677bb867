//! Typing: told to the others while it is worth telling, and dropped before it delays anything.

use std::collections::BTreeSet;
use std::sync::Arc;

use gochat_core::{ConversationId, UserId};
use gochat_proto::client;
use gochat_proto::client::server_frame::Frame;
use tokio::sync::Semaphore;

use crate::fan_out::Event;
use crate::log::Log;
use crate::members::Members;

/// Batches of typing that may wait for a member list at a time; more are dropped.
const AT_A_TIME: usize = 4;

/// Tells of typing beside the message path; cheap to clone.
#[derive(Clone)]
pub(crate) struct TypingNews {
    members: Members,
    log: Log,
    turns: Arc<Semaphore>,
}

impl TypingNews {
    pub(crate) fn new(members: Members, log: Log) -> Self {
        Self { members, log, turns: Arc::new(Semaphore::new(AT_A_TIME)) }
    }

    /// Returns at once.
    pub(crate) fn tell(&self, typing: BTreeSet<(ConversationId, UserId)>) {
        let Ok(turn) = self.turns.clone().try_acquire_owned() else {
            metrics::counter!("gochat_logic_ephemeral_dropped_total").increment(typing.len() as u64);
            return;
        };
        let this = self.clone();
        tokio::spawn(async move {
            for (conversation, user) in typing {
                this.tell_one(conversation, user).await;
            }
            drop(turn);
        });
    }

    async fn tell_one(&self, conversation: ConversationId, user: UserId) {
        let Ok(Some(roster)) = self.members.roster(conversation.get()).await else { return };
        let Some(members) = &roster.members else { return };
        if !members.contains(self.log.slots.shards, user) {
            return;
        }
        let typing = client::Typing { conversation_id: conversation.get(), user_id: user.get() };
        let mut event = Event::new(conversation, Frame::Typing(typing));
        event.ephemeral = true;
        for record in event.to_members(&self.log, members) {
            if !self.log.writer.try_queue(record) {
                metrics::counter!("gochat_logic_ephemeral_dropped_total").increment(1);
            }
        }
    }
}
