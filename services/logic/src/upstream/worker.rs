//! Stage one: a polled batch becomes stored messages and the records that tell of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use gochat_chassis::trace;
use gochat_core::{ConversationId, UserId};
use gochat_mq::{Consumed, Record};
use gochat_pipeline::{Patience, Process, Stopped};
use gochat_proto::client::server_frame::Frame;
use gochat_proto::{client, events, repo, types};
use gochat_uid::Snowflake;
use tonic::Status;

use super::append::{Outcome, append, new_message};
use super::authorise::{Authorised, Rosters, authorise};
use super::batch::{Request, Send, read};
use super::typing::TypingNews;
use crate::auth::now_ms;
use crate::error::Refusal;
use crate::fan_out::{Answer, Event, answer_only};
use crate::log::Log;
use crate::members::{Members, Roster};
use crate::notify::read_mark;
use crate::repo_clients::Repo;

/// Processes batches, one at a time.
pub(crate) struct Worker {
    pub(crate) repo: Repo,
    pub(crate) members: Members,
    pub(crate) log: Log,
    pub(crate) ids: Snowflake,
    pub(crate) patience: Patience,
    pub(crate) typing: TypingNews,
    /// Name of the topic, for dead letters.
    pub(crate) topic: String,
}

impl Process for Worker {
    async fn process(&self, batch: &[Consumed]) -> Result<Vec<Record>, Stopped> {
        let mut records = Vec::with_capacity(batch.len() * 2);
        let mut sends = Vec::new();
        let mut reads = BTreeMap::new();
        let mut typing = BTreeSet::new();
        for (place, record) in batch.iter().enumerate() {
            match read(place, record) {
                Request::Send(send) => sends.push(send),
                // Collapsed: only the furthest of a batch is worth storing and telling.
                Request::Read { user, conversation, seq } => {
                    let furthest = reads.entry((conversation, user)).or_insert(seq);
                    *furthest = seq.max(*furthest);
                }
                Request::Typing { user, conversation } => {
                    typing.insert((conversation, user));
                }
                Request::Invalid { send, problem } => {
                    records.extend(self.refuse(&send, &problem));
                }
                Request::Undecodable(reason) => records.push(self.dead_letter(record, reason)),
            }
        }
        if !typing.is_empty() {
            self.typing.tell(typing);
        }
        if !sends.is_empty() {
            self.store(batch, sends, &mut records).await?;
        }
        if !reads.is_empty() {
            self.advance(reads, &mut records).await?;
        }
        Ok(records)
    }
}

impl Worker {
    /// Authorises and appends until every send is stored or refused.
    async fn store(
        &self,
        batch: &[Consumed],
        sends: Vec<Send>,
        records: &mut Vec<Record>,
    ) -> Result<(), Stopped> {
        let mut left = sends;
        while !left.is_empty() {
            let Authorised { allowed, refused, rosters } = self.authorise(left).await?;
            for (send, refusal) in refused {
                records.extend(self.refuse(&send, &refusal));
            }
            let messages = self.number(&allowed, &rosters).await?;
            let outcomes = append(&self.repo, &self.patience, &messages).await?;
            left = Vec::new();
            for (send, outcome) in allowed.into_iter().zip(outcomes) {
                match outcome {
                    Outcome::Stored(result) => {
                        let roster = rosters.get(&send.conversation);
                        records.extend(
                            roster.into_iter().flat_map(|roster| self.committed(&send, &result, roster)),
                        );
                    }
                    Outcome::MembersChanged => left.push(send),
                    Outcome::NoConversation => {
                        let refusal = Refusal::NoSuchConversation(send.conversation.get());
                        records.extend(self.refuse(&send, &refusal));
                    }
                    Outcome::Poison(reason) => {
                        records.extend(batch.get(send.place).map(|record| self.dead_letter(record, reason)));
                        records.extend(self.refuse(&send, &Refusal::field("send", "can't be stored")));
                    }
                }
            }
            for conversation in left.iter().map(|send| send.conversation).collect::<BTreeSet<_>>() {
                self.members.forget(conversation.get()).await;
            }
        }
        Ok(())
    }

    async fn authorise(&self, sends: Vec<Send>) -> Result<Authorised, Stopped> {
        let asked = self.patience.ask("authorise", || authorise(&self.members, sends.clone())).await?;
        Ok(asked.unwrap_or_else(|status| {
            // No request of ours should be refused here; the senders are told rather than kept waiting.
            let refusal = Refusal::from_repo(&status);
            Authorised {
                refused: sends.into_iter().map(|send| (send, refusal.clone())).collect(),
                ..Authorised::default()
            }
        }))
    }

    async fn number(&self, sends: &[Send], rosters: &Rosters) -> Result<Vec<repo::NewMessage>, Stopped> {
        let now = now_ms();
        let mut messages = Vec::with_capacity(sends.len());
        for send in sends {
            let new_id = || async {
                self.ids.next().await.map_err(|error| Status::unavailable(format!("message id: {error}")))
            };
            // An unavailable id service is never a refusal.
            let id = self.patience.ask("message-id", new_id).await?.unwrap_or_default();
            let version = rosters.get(&send.conversation).map_or(0, |roster| roster.version);
            messages.push(new_message(send, id, now, version));
        }
        Ok(messages)
    }

    /// What the members get of a stored message. A replay is told again: whoever has it drops it by seq.
    fn committed(&self, send: &Send, result: &repo::AppendResult, roster: &Roster) -> Vec<Record> {
        let conversation_id = send.conversation.get();
        let message = types::Message {
            conversation_id,
            seq: result.seq,
            message_id: result.message_id,
            sender_id: send.user.get(),
            client_msg_id: send.client_msg_id.clone(),
            text: send.text.clone(),
            sent_at_ms: result.sent_at_ms,
        };
        let mut event = Event::new(send.conversation, Frame::Message(message));
        event.answer = send.origin.clone().map(|origin| Answer {
            user: send.user,
            origin,
            frame: crate::fan_out::encode(Frame::Committed(client::Committed {
                conversation_id,
                client_msg_id: send.client_msg_id.clone(),
                seq: result.seq,
                message_id: result.message_id,
                sent_at_ms: result.sent_at_ms,
            })),
        });
        event.push = Some(events::PushHint { conversation_id, seq: result.seq, sender_id: send.user.get() });
        event.headers.push(("message-id", Bytes::from(result.message_id.to_string())));
        send.span.record("seq", result.seq);
        event.headers.extend(trace::inject(&send.span).map(|context| ("traceparent", context)));
        metrics::counter!("gochat_logic_messages_total", "replayed" => if result.replayed { "true" } else { "false" })
            .increment(1);
        if !result.replayed {
            // Two machines' clocks, so for people only.
            let took = u64::try_from(result.sent_at_ms.saturating_sub(send.accepted_at_ms)).unwrap_or(0);
            metrics::histogram!("gochat_logic_stored_seconds").record(Duration::from_millis(took));
        }
        match &roster.members {
            Some(members) => event.to_members(&self.log, members),
            None => vec![event.to_task(&self.log, roster.version)],
        }
    }

    fn refuse(&self, send: &Send, refusal: &Refusal) -> Option<Record> {
        metrics::counter!("gochat_logic_refused_total", "code" => refusal.code()).increment(1);
        let error = client::Error {
            code: refusal.code().into(),
            text: refusal.to_string(),
            fix: refusal.fix().into(),
            conversation_id: send.conversation.get(),
            client_msg_id: send.client_msg_id.clone(),
            request_id: 0,
            retry_after_ms: 0,
        };
        let origin = send.origin.clone()?;
        Some(answer_only(&self.log, send.conversation.get(), send.user, origin, Frame::Error(error)))
    }

    fn dead_letter(&self, record: &Consumed, reason: String) -> Record {
        metrics::counter!("gochat_logic_dead_letters_total").increment(1);
        tracing::warn!(
            partition = record.partition,
            offset = record.offset,
            reason,
            "record goes to the dead-letter topic"
        );
        self.log.dead_letter(&events::DeadLetter {
            topic: self.topic.clone(),
            partition: record.partition,
            offset: record.offset,
            reason,
            key: record.key.clone(),
            payload: record.payload.clone(),
            at_ms: now_ms(),
            headers: record.headers.iter().cloned().collect(),
        })
    }

    async fn advance(
        &self,
        reads: BTreeMap<(ConversationId, UserId), u64>,
        records: &mut Vec<Record>,
    ) -> Result<(), Stopped> {
        let cursors: Vec<repo::ReadCursor> = reads
            .into_iter()
            .map(|((conversation, user), seq)| repo::ReadCursor {
                conversation_id: conversation.get(),
                user_id: user.get(),
                seq,
            })
            .collect();
        let request = repo::AdvanceReadCursorsRequest { cursors };
        let answer = self
            .patience
            .ask("read", || {
                let (mut client, request) = (self.repo.messages(), request.clone());
                async move { self.repo.ask(client.advance_read_cursors(request)).await }
            })
            .await?;
        let cursors = answer.map_or_else(
            |status| {
                tracing::error!(message = status.message(), "repo refused read cursors");
                Vec::new()
            },
            |answer| answer.cursors,
        );
        // seq 0: no member, who has nothing to tell.
        for cursor in cursors.into_iter().filter(|cursor| cursor.seq > 0) {
            let (conversation_id, user_id) = (cursor.conversation_id, cursor.user_id);
            let roster = self.patience.ask("authorise", || self.members.roster(conversation_id)).await?;
            let members = roster.ok().flatten().and_then(|roster| roster.members);
            let mark = client::ReadMark { conversation_id, user_id, seq: cursor.seq };
            records.extend(read_mark(&self.log, mark, members.as_deref()));
        }
        Ok(())
    }
}
