//! What a client's frame does. Decides and starts; the session waits and answers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use gochat_core::ConversationId;
use gochat_mq::{Delivery, MqError};
use gochat_proto::client::{self, Accepted, Error, ServerFrame, Synced, client_frame, server_frame};
use gochat_proto::events::{ReadUpTo, Send, Typing, upstream};
use gochat_proto::logic::{ListConversationsRequest, ListMessagesRequest};

use super::rate::Bucket;
use crate::clock::unix_ms;
use crate::edge::Connection;
use crate::error_codes::{self as codes, CloseCode, ErrorCode};
use crate::gateway::{Gateway, TYPING};
use crate::logic::Logic;
use crate::refusal::Refusal;
use crate::trace;
use crate::upstream::From;

/// What one connection may still do.
pub(crate) struct Inbound {
    bucket: Bucket,
    typing: Bucket,
    /// Frames refused for their rate, less those that were not.
    refusals: u32,
    unaccepted: u16,
    syncs: u8,
    watched: BTreeSet<u64>,
}

/// What comes of a frame.
pub(crate) enum Outcome {
    Nothing,
    Answer(ServerFrame),
    Later(BoxFuture<'static, Done>),
    Close(ServerFrame, CloseCode),
}

/// What was waited for.
pub(crate) struct Done {
    kind: Kind,
    pub(crate) answer: Option<ServerFrame>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Send,
    Read,
    Sync,
}

impl Inbound {
    pub(crate) fn new(gateway: &Gateway) -> Self {
        let now = gateway.clock().now();
        Self {
            bucket: Bucket::full(gateway.rate(), now),
            typing: Bucket::full(TYPING, now),
            refusals: 0,
            unaccepted: 0,
            syncs: 0,
            watched: BTreeSet::new(),
        }
    }

    /// Acts on a frame of a welcomed client.
    pub(crate) fn take(
        &mut self,
        gateway: &Gateway,
        connection: &Arc<Connection>,
        frame: client_frame::Frame,
    ) -> Outcome {
        match frame {
            client_frame::Frame::Send(send) => {
                let about = Error {
                    conversation_id: send.conversation_id,
                    client_msg_id: send.client_msg_id.clone(),
                    ..Error::default()
                };
                self.limited(gateway, connection, &about, |this| this.send(gateway, connection, send))
            }
            client_frame::Frame::Read(read) => {
                let about = Error { conversation_id: read.conversation_id, ..Error::default() };
                self.limited(gateway, connection, &about, |this| this.read(gateway, connection, read))
            }
            client_frame::Frame::Sync(sync) => {
                let about = Error {
                    conversation_id: sync.conversation_id,
                    request_id: sync.request_id,
                    ..Error::default()
                };
                self.limited(gateway, connection, &about, |this| this.sync(gateway, connection, sync))
            }
            client_frame::Frame::Presence(watch) => {
                self.limited(gateway, connection, &Error::default(), |this| {
                    this.watch(gateway, connection, watch.user_ids)
                })
            }
            client_frame::Frame::Typing(typing) => {
                self.type_on(gateway, connection, typing.conversation_id);
                Outcome::Nothing
            }
            client_frame::Frame::Ack(_) => {
                gateway.metrics.acks.increment(1);
                Outcome::Nothing
            }
            client_frame::Frame::Ping(ping) => {
                Outcome::Answer(frame_of(server_frame::Frame::Pong(client::Pong { nonce: ping.nonce })))
            }
            // Whatever a client says shows that it lives; the session noted that.
            client_frame::Frame::Pong(_) => Outcome::Nothing,
            client_frame::Frame::Hello(_) => {
                Outcome::Answer(Refusal::bad_request("hello was said already").into_frame())
            }
        }
    }

    /// A frame that could not be decoded, or is of no known kind.
    pub(crate) fn undecodable(gateway: &Gateway, code: ErrorCode) -> Outcome {
        gateway.metrics.refused.increment(1);
        let frame = Refusal::from(code).into_frame();
        // A newer client's frame is refused and no more; what is no frame at all means that nothing after it is one.
        if code == codes::BAD_FRAME {
            Outcome::Close(frame, CloseCode::BadFrame)
        } else {
            Outcome::Answer(frame)
        }
    }

    /// Something that was waited for is there.
    pub(crate) fn done(&mut self, done: Done) -> Option<ServerFrame> {
        match done.kind {
            Kind::Send | Kind::Read => self.unaccepted = self.unaccepted.saturating_sub(1),
            Kind::Sync => self.syncs = self.syncs.saturating_sub(1),
        }
        done.answer
    }

    /// The watches of a connection that goes.
    pub(crate) fn unwatch_all(&mut self, gateway: &Gateway, connection: &Arc<Connection>) {
        gateway.edge.watch(connection, &self.watched, &BTreeSet::new());
        self.watched.clear();
    }

    /// Does what the rate allows; `about` is what an error names.
    fn limited(
        &mut self,
        gateway: &Gateway,
        connection: &Connection,
        about: &Error,
        act: impl FnOnce(&mut Self) -> Result<Outcome, Refusal>,
    ) -> Outcome {
        let now = gateway.clock().now();
        let within = self
            .bucket
            .take(gateway.rate(), now)
            .and_then(|()| gateway.edge.take_user_token(connection.user));
        let refusal = match within {
            Ok(()) => {
                self.refusals = self.refusals.saturating_sub(1);
                match act(self) {
                    Ok(outcome) => return outcome,
                    Err(refusal) => refusal,
                }
            }
            Err(wait) => {
                self.refusals += 1;
                let refusal = Refusal::from(codes::RATE_LIMITED).after(wait);
                if self.refusals > gateway.config.limits.rate_refusals {
                    return Outcome::Close(refusal.into_frame(), CloseCode::RateLimited);
                }
                refusal
            }
        };
        gateway.metrics.refused.increment(1);
        Outcome::Answer(error(refusal, about))
    }

    fn send(
        &mut self,
        gateway: &Gateway,
        connection: &Connection,
        send: client::Send,
    ) -> Result<Outcome, Refusal> {
        let conversation = conversation(send.conversation_id)?;
        if !(1..=36).contains(&send.client_msg_id.len())
            || !send.client_msg_id.bytes().all(|b| b.is_ascii_graphic())
        {
            return Err(codes::BAD_CLIENT_MSG_ID.into());
        }
        if send.text.is_empty() {
            return Err(Refusal::bad_request("the text is empty"));
        }
        if send.text.len() > gateway.config.limits.text_bytes {
            return Err(codes::TEXT_TOO_LARGE.into());
        }
        if gateway.upstream.is_overloaded(conversation) {
            gateway.metrics.overloaded.increment(1);
            return Err(codes::OVERLOADED.into());
        }
        self.may_wait(gateway)?;
        let (conversation_id, client_msg_id) = (send.conversation_id, send.client_msg_id);
        let event = upstream::Event::Send(Send {
            conversation_id,
            client_msg_id: client_msg_id.clone(),
            text: send.text,
            accepted_at_ms: unix_ms(),
        });
        let span = trace::send(conversation_id);
        let id = ("message-id", Bytes::copy_from_slice(client_msg_id.as_bytes()));
        let headers = std::iter::once(id).chain(trace::header(&span)).collect();
        let delivery =
            gateway.upstream.write(from(connection), conversation, headers, event).map_err(refused)?;
        self.unaccepted += 1;
        let metrics = Arc::clone(&gateway.metrics);
        let began = Instant::now();
        let wait = async move {
            let _until_accepted = span;
            let answer = match delivery.await {
                Ok(_) => {
                    metrics.accepted.increment(1);
                    metrics.accept_seconds.record(began.elapsed());
                    frame_of(server_frame::Frame::Accepted(Accepted { conversation_id, client_msg_id }))
                }
                Err(failure) => {
                    error(refused(failure), &Error { conversation_id, client_msg_id, ..Error::default() })
                }
            };
            Done { kind: Kind::Send, answer: Some(answer) }
        };
        Ok(Outcome::Later(wait.boxed()))
    }

    fn read(
        &mut self,
        gateway: &Gateway,
        connection: &Connection,
        read: client::ReadUpTo,
    ) -> Result<Outcome, Refusal> {
        let conversation = conversation(read.conversation_id)?;
        self.may_wait(gateway)?;
        let event = upstream::Event::Read(ReadUpTo { conversation_id: read.conversation_id, seq: read.seq });
        let delivery =
            gateway.upstream.write(from(connection), conversation, Vec::new(), event).map_err(refused)?;
        self.unaccepted += 1;
        Ok(Outcome::Later(read_done(delivery, read.conversation_id).boxed()))
    }

    fn may_wait(&self, gateway: &Gateway) -> Result<(), Refusal> {
        if usize::from(self.unaccepted) < gateway.config.limits.unaccepted {
            Ok(())
        } else {
            Err(Refusal::from(codes::OVERLOADED).after(200))
        }
    }

    /// Not worth an answer, whatever becomes of it.
    fn type_on(&mut self, gateway: &Gateway, connection: &Connection, conversation_id: u64) {
        let Some(conversation) =
            ConversationId::new(conversation_id).filter(|id| !gateway.upstream.is_overloaded(*id))
        else {
            return;
        };
        if self.typing.take(TYPING, gateway.clock().now()).is_ok() {
            let event = upstream::Event::Typing(Typing { conversation_id });
            // An indicator that is lost is never missed.
            let _ = gateway.upstream.write(from(connection), conversation, Vec::new(), event).map(drop);
        }
    }

    fn watch(
        &mut self,
        gateway: &Gateway,
        connection: &Arc<Connection>,
        users: Vec<u64>,
    ) -> Result<Outcome, Refusal> {
        let limit = gateway.config.limits.watched_users;
        if users.len() > limit {
            return Err(Refusal::bad_request(format!("presence of more than {limit} users")));
        }
        let now: BTreeSet<u64> = users.into_iter().filter(|user| *user != 0).collect();
        gateway.edge.watch(connection, &self.watched, &now);
        self.watched = now;
        Ok(Outcome::Nothing)
    }

    fn sync(
        &mut self,
        gateway: &Gateway,
        connection: &Connection,
        sync: client::Sync,
    ) -> Result<Outcome, Refusal> {
        let limits = &gateway.config.limits;
        if sync.limit > limits.sync_messages {
            return Err(codes::SYNC_TOO_LARGE.into());
        }
        if sync.after_seq.is_some() && sync.before_seq.is_some() {
            return Err(Refusal::bad_request("afterSeq and beforeSeq exclude each other"));
        }
        if usize::from(self.syncs) >= limits.syncs {
            return Err(Refusal::from(codes::OVERLOADED).after(100));
        }
        self.syncs += 1;
        let (logic, user, turns) = (gateway.logic.clone(), connection.user, Arc::clone(&gateway.sync_turns));
        let wait = async move {
            // Never closed: there is always a turn.
            let _turn = turns.acquire().await;
            let about = Error {
                conversation_id: sync.conversation_id,
                request_id: sync.request_id,
                ..Error::default()
            };
            let answer = match history(logic, user, sync).await {
                Ok(synced) => frame_of(server_frame::Frame::Synced(synced)),
                Err(status) => error(Refusal::from(&status), &about),
            };
            Done { kind: Kind::Sync, answer: Some(answer) }
        };
        Ok(Outcome::Later(wait.boxed()))
    }
}

async fn read_done(delivery: Delivery, conversation_id: u64) -> Done {
    let about = Error { conversation_id, ..Error::default() };
    Done { kind: Kind::Read, answer: delivery.await.err().map(|failure| error(refused(failure), &about)) }
}

async fn history(mut logic: Logic, user_id: u64, sync: client::Sync) -> Result<Synced, tonic::Status> {
    if sync.conversation_id == 0 {
        let request = ListConversationsRequest { user_id, page: sync.page, limit: sync.limit };
        let heads = logic.chat.list_conversations(request).await?.into_inner();
        return Ok(Synced {
            request_id: sync.request_id,
            more: !heads.next_page.is_empty(),
            conversations: heads.conversations,
            next_page: heads.next_page,
            ..Synced::default()
        });
    }
    let request = ListMessagesRequest {
        user_id,
        conversation_id: sync.conversation_id,
        after_seq: sync.after_seq,
        before_seq: sync.before_seq,
        limit: sync.limit,
    };
    let page = logic.chat.list_messages(request).await?.into_inner();
    Ok(Synced {
        request_id: sync.request_id,
        conversation_id: sync.conversation_id,
        messages: page.messages,
        more: page.more,
        last_seq: page.last_seq,
        ..Synced::default()
    })
}

fn from(connection: &Connection) -> From {
    From { user: connection.user, connection: connection.id }
}

fn conversation(raw: u64) -> Result<ConversationId, Refusal> {
    ConversationId::new(raw).ok_or_else(|| Refusal::bad_request("conversationId is missing"))
}

fn refused(failure: MqError) -> Refusal {
    match failure {
        MqError::QueueFull => Refusal::from(codes::OVERLOADED).after(500),
        MqError::TooLarge { .. } => codes::TEXT_TOO_LARGE.into(),
        failure => {
            tracing::debug!(error = %failure, "upstream record not durable");
            codes::UNAVAILABLE.into()
        }
    }
}

/// An error frame about something.
fn error(refusal: Refusal, about: &Error) -> ServerFrame {
    frame_of(server_frame::Frame::Error(Error {
        conversation_id: about.conversation_id,
        client_msg_id: about.client_msg_id.clone(),
        request_id: about.request_id,
        ..refusal.into_error()
    }))
}

fn frame_of(frame: server_frame::Frame) -> ServerFrame {
    ServerFrame { frame: Some(frame) }
}
