//! What each frame of the server does to a session.

use std::time::Duration;

use gochat_proto::client::{
    Committed, Error, Pong, ServerFrame, Synced, Welcome, client_frame, server_frame::Frame,
};
use gochat_proto::types::Message;

use super::{DEFAULT_HEARTBEAT, Event, History, Line, Phase, Session, Want, backoff};
use crate::protocol::inbox::{Arrival, Delivery};

/// Overlaps and fan-outs by different roads reorder pushes a little; a gap is worth a sync only after this.
const GRACE: Duration = Duration::from_millis(50);
/// Before a refused sync is tried again where the server names no time.
const SYNC_AGAIN: Duration = Duration::from_secs(5);

impl Session {
    /// A frame came.
    pub fn received(&mut self, now: Duration, frame: ServerFrame) {
        self.heard(now);
        // A newer server's frame: not for us.
        let Some(frame) = frame.frame else { return };
        match frame {
            Frame::Welcome(welcome) => self.welcomed(now, welcome),
            Frame::Accepted(accepted) => {
                if self.outbox.accepted(&accepted.client_msg_id) {
                    self.emit(Event::Accepted {
                        conversation: accepted.conversation_id,
                        client_msg_id: accepted.client_msg_id,
                    });
                }
            }
            Frame::Committed(committed) => self.committed(now, committed),
            Frame::Message(message) => self.arrived(now, message),
            Frame::Synced(synced) => self.synced(now, synced),
            Frame::SyncRequired(notice) => {
                let spread = Duration::from_millis(notice.within_ms.into());
                let at = now + backoff::within(&mut self.rng, spread);
                self.syncs.want_heads(at);
            }
            Frame::ConversationChanged(changed) => {
                let conversation = changed.conversation_id;
                if changed.removed {
                    self.syncs.forget_gap(conversation);
                    self.lines.remove(&conversation);
                } else if self.listed && !self.lines.contains_key(&conversation) {
                    // Its answer tells how far the conversation reaches.
                    self.lines.insert(conversation, Line::default());
                    self.syncs.want_gap(conversation, now);
                }
                self.emit(Event::ConversationChanged(changed));
            }
            Frame::Read(mark) => self.emit(Event::Read(mark)),
            Frame::Typing(typing) => self.emit(Event::Typing(typing)),
            Frame::Presence(presence) => self.emit(Event::Presence(presence)),
            Frame::Ping(ping) => self.transmit(client_frame::Frame::Pong(Pong { nonce: ping.nonce })),
            Frame::Pong(_) => {}
            Frame::GoingAway(going) => {
                self.retry_after = Some(Duration::from_millis(going.retry_after_ms.into()));
                if !going.resume_token.is_empty() {
                    self.resume_token = going.resume_token;
                }
            }
            Frame::Error(error) => self.refused(now, error),
        }
        self.pump(now);
    }

    fn welcomed(&mut self, now: Duration, welcome: Welcome) {
        if !matches!(self.phase, Phase::Greeting { .. }) {
            return;
        }
        self.phase = Phase::Online { since: now };
        self.user_id = welcome.user_id;
        self.resume_token = welcome.resume_token;
        self.limits = welcome.limits.unwrap_or_default();
        self.heartbeat = match welcome.heartbeat_interval_ms {
            0 => DEFAULT_HEARTBEAT,
            ms => Duration::from_millis(ms.into()),
        };
        self.emit(Event::Connected { user_id: welcome.user_id, resumed: welcome.resumed });
        if !self.watched.is_empty() {
            let user_ids = self.watched.clone();
            self.transmit(client_frame::Frame::Presence(gochat_proto::client::WatchPresence { user_ids }));
        }
        self.stats.resends += self.outbox.connected(now, self.limits.messages_per_second);
        self.announce = true;
        let spread = Duration::from_millis(welcome.sync_within_ms.into());
        self.syncs.want_heads(now + backoff::within(&mut self.rng, spread));
    }

    /// A message of ours has its place. Only this connection is told so; the reader gets it in its turn all the same.
    fn committed(&mut self, now: Duration, committed: Committed) {
        let conversation = committed.conversation_id;
        let seq = committed.seq;
        let Some(pending) = self.outbox.remove(&committed.client_msg_id) else {
            // Known by a sync already, or resent and committed twice. The seq tells of a message all the same.
            self.observe(now, conversation, seq);
            return;
        };
        let message = Message {
            conversation_id: conversation,
            seq,
            message_id: committed.message_id,
            sender_id: self.user_id,
            client_msg_id: committed.client_msg_id.clone(),
            text: pending.text,
            sent_at_ms: committed.sent_at_ms,
        };
        self.emit(Event::Committed(committed));
        self.push(now, message);
    }

    /// A push, or one message of a page.
    fn arrived(&mut self, now: Duration, message: Message) {
        self.recognise_own(&message);
        self.push(now, message);
    }

    /// A pending send whose `committed` was lost with its connection.
    fn recognise_own(&mut self, message: &Message) {
        if message.sender_id == self.user_id && self.outbox.remove(&message.client_msg_id).is_some() {
            self.emit(Event::Committed(Committed {
                conversation_id: message.conversation_id,
                client_msg_id: message.client_msg_id.clone(),
                seq: message.seq,
                message_id: message.message_id,
                sent_at_ms: message.sent_at_ms,
            }));
        }
    }

    fn push(&mut self, now: Duration, message: Message) {
        let conversation = message.conversation_id;
        let mut out = Vec::new();
        let line = self.line(conversation, message.seq.saturating_sub(1));
        let arrival = line.push(message, &mut out);
        let has_gap = line.has_gap();
        match arrival {
            Arrival::Duplicate => self.stats.duplicates += 1,
            Arrival::Early => self.stats.early += 1,
            Arrival::InOrder => {}
        }
        if has_gap {
            self.syncs.want_gap(conversation, now + GRACE);
        } else {
            self.syncs.forget_gap(conversation);
        }
        self.deliver(conversation, out);
    }

    fn observe(&mut self, now: Duration, conversation: u64, head: u64) {
        let line = self.line(conversation, head);
        line.observe(head);
        if line.has_gap() {
            self.syncs.want_gap(conversation, now);
        }
    }

    /// The conversation's line; a new one starts after `first_known` where it was there before us and only new messages
    /// are wanted.
    fn line(&mut self, conversation: u64, first_known: u64) -> &mut Line {
        let from_first = self.listed || self.settings.history == History::All;
        self.lines
            .entry(conversation)
            .or_insert_with(|| Line::starting_after(if from_first { 0 } else { first_known }))
    }

    fn deliver(&mut self, conversation: u64, out: Vec<Delivery>) {
        for delivery in out {
            self.emit(match delivery {
                Delivery::Message(message) => Event::Message(message),
                Delivery::Hole { from, to } => Event::Hole { conversation, from, to },
            });
        }
    }

    fn synced(&mut self, now: Duration, synced: Synced) {
        match self.syncs.answered(synced.request_id) {
            None => {}
            Some((Want::Heads { .. }, _)) => {
                for conversation in synced.conversations {
                    self.observe(now, conversation.conversation_id, conversation.last_seq);
                    self.emit(Event::Conversation(conversation));
                }
                if synced.next_page.is_empty() {
                    self.listed = true;
                } else {
                    self.syncs.want_page(now, synced.next_page);
                }
            }
            Some((Want::Gap { conversation }, asked_head)) => {
                for message in &synced.messages {
                    self.recognise_own(message);
                }
                let mut out = Vec::new();
                let Some(line) = self.lines.get_mut(&conversation) else { return };
                if line.page(synced.messages, synced.more, synced.last_seq, asked_head, &mut out) {
                    self.syncs.want_gap(conversation, now);
                }
                self.deliver(conversation, out);
            }
        }
    }

    fn refused(&mut self, now: Duration, error: Error) {
        let retry_after = Duration::from_millis(error.retry_after_ms.into());
        if let Some((want, _)) = self.syncs.answered(error.request_id) {
            let at = now + self.spread(retry_after, SYNC_AGAIN);
            match want {
                Want::Gap { conversation }
                    if matches!(error.code.as_str(), "not_a_member" | "no_such_conversation") =>
                {
                    self.lines.remove(&conversation);
                }
                // A page token of another time: from the first page.
                Want::Heads { .. } if error.retry_after_ms == 0 => self.syncs.want_heads(at),
                want => self.syncs.again(want, at),
            }
            return;
        }
        if !error.client_msg_id.is_empty() {
            if error.retry_after_ms > 0 {
                let at = now + self.spread(retry_after, Duration::ZERO);
                self.outbox.retry(&error.client_msg_id, at);
            } else if let Some(pending) = self.outbox.remove(&error.client_msg_id) {
                let (conversation, client_msg_id) = (pending.conversation, pending.client_msg_id);
                self.emit(Event::Refused { conversation, client_msg_id, error });
            }
            return;
        }
        // About the connection: it decides how to come back after the close that may follow.
        if error.retry_after_ms > 0 {
            self.retry_after = Some(retry_after);
        }
        self.last_error = Some(error.code.clone());
        // The hello's token has ended, as all do: the resume token brings us back, and nobody need know.
        if self.is_online() && error.code == "token_expired" {
            return;
        }
        self.emit(Event::Error(error));
    }

    /// Not before `least`, and not all at the same moment.
    fn spread(&mut self, least: Duration, otherwise: Duration) -> Duration {
        let least = if least.is_zero() { otherwise } else { least };
        least + backoff::within(&mut self.rng, least / 2)
    }
}
