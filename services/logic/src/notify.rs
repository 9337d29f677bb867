//! What clients are told outside the message path: changed conversations, read marks, ended sessions.
//!
//! The database has the truth by then and clients find it at their next sync, so a log that is away makes the news
//! late, never the request fail.

use gochat_core::{ConversationId, Recipients, SessionId, UserId};
use gochat_mq::Record;
use gochat_proto::client::server_frame::Frame;
use gochat_proto::{client, events};

use crate::fan_out::Event;
use crate::log::Log;
use crate::members::Members;

/// Tells clients; cheap to clone.
#[derive(Clone)]
pub(crate) struct Notifier {
    pub(crate) log: Log,
    pub(crate) members: Members,
}

impl Notifier {
    /// Closes the session's connections.
    pub(crate) async fn session_revoked(&self, user: UserId, session: SessionId) {
        let revoke = events::RevokeSession { user_id: user.get(), session_id: session.get() };
        let event =
            events::Downstream { recipients: vec![user.get()], revoke: Some(revoke), ..Default::default() };
        let shard = self.log.slots.shards.of_user(user);
        self.tell(vec![self.log.downstream(shard, user.get(), &event, Vec::new())]).await;
    }

    /// Tells the members that the conversation is new or changed, and who left that they are out.
    ///
    /// In a conversation that is fanned out by task only `concerned` are told: a member's coming is not worth a record
    /// for each of thousands, who see it at their next sync.
    pub(crate) async fn conversation_changed(
        &self,
        conversation: ConversationId,
        concerned: &[u64],
        removed: &[u64],
    ) {
        let changed = |removed| {
            let conversation_id = conversation.get();
            Event::new(
                conversation,
                Frame::ConversationChanged(client::ConversationChanged { conversation_id, removed }),
            )
        };
        let shards = self.log.slots.shards;
        let mut records = Vec::new();
        if !removed.is_empty() {
            let gone = Recipients::group(shards, removed.iter().copied());
            records.extend(changed(true).to_members(&self.log, &gone));
        }
        let members = match self.members.roster(conversation.get()).await {
            Ok(Some(roster)) => roster.members,
            Ok(None) => None,
            Err(error) => {
                tracing::debug!(%conversation, %error, "members not read; only those concerned are told");
                None
            }
        };
        records.extend(match members {
            Some(members) => changed(false).to_members(&self.log, &members),
            None => {
                changed(false).to_members(&self.log, &Recipients::group(shards, concerned.iter().copied()))
            }
        });
        self.tell(records).await;
    }

    /// Tells the members how far one of them has read; in a large group only the reader's own devices.
    pub(crate) async fn read(&self, mark: client::ReadMark) {
        let roster = self.members.roster(mark.conversation_id).await.ok().flatten();
        let members = roster.and_then(|roster| roster.members);
        self.tell(read_mark(&self.log, mark, members.as_deref())).await;
    }

    async fn tell(&self, records: Vec<Record>) {
        if let Err(error) = self.log.writer.write(&records).await {
            metrics::counter!("gochat_logic_news_lost_total").increment(1);
            tracing::warn!(%error, "clients were not told; they find out when they sync");
        }
    }
}

/// A read mark for the members, or for the reader's devices where there are too many.
pub(crate) fn read_mark(log: &Log, mark: client::ReadMark, members: Option<&Recipients>) -> Vec<Record> {
    let Some(conversation) = ConversationId::new(mark.conversation_id) else { return Vec::new() };
    let event = Event::new(conversation, Frame::Read(mark));
    match members {
        Some(members) => event.to_members(log, members),
        None => event.to_members(log, &Recipients::group(log.slots.shards, [mark.user_id])),
    }
}
