//! From the log's bytes to requests that can be trusted in form (pure). Who may do what comes after.

use gochat_chassis::trace;
use gochat_core::{ConversationId, MAX_TEXT_BYTES, UserId};
use gochat_mq::Consumed;
use gochat_proto::events::upstream::Event;
use gochat_proto::events::{Origin, Upstream};
use prost::Message as _;
use tracing::Span;
use tracing::field::Empty;

use crate::error::Refusal;

/// A client's message id: enough for a UUID.
const LONGEST_CLIENT_MSG_ID: usize = 36;

/// A message to be stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Send {
    /// Index of its record in the polled batch.
    pub(crate) place: usize,
    pub(crate) user: UserId,
    pub(crate) origin: Option<Origin>,
    pub(crate) conversation: ConversationId,
    pub(crate) client_msg_id: String,
    pub(crate) text: String,
    /// Unix milliseconds, by the edge's clock.
    pub(crate) accepted_at_ms: i64,
    /// Until it is stored or refused, where its trace is sampled.
    pub(crate) span: Span,
}

/// What a record asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Request {
    Send(Send),
    Read {
        user: UserId,
        conversation: ConversationId,
        seq: u64,
    },
    Typing {
        user: UserId,
        conversation: ConversationId,
    },
    /// Readable, but breaks a limit that the edge should have kept: its sender is told.
    Invalid {
        send: Send,
        problem: Refusal,
    },
    /// For the dead-letter topic.
    Undecodable(String),
}

/// Reads one record.
pub(crate) fn read(place: usize, record: &Consumed) -> Request {
    let upstream = match Upstream::decode(record.payload.clone()) {
        Ok(upstream) => upstream,
        Err(error) => return Request::Undecodable(format!("not an Upstream: {error}")),
    };
    let Some(user) = UserId::new(upstream.user_id) else {
        return Request::Undecodable("no user_id".into());
    };
    let conversation = match &upstream.event {
        Some(Event::Send(send)) => send.conversation_id,
        Some(Event::Read(read)) => read.conversation_id,
        Some(Event::Typing(typing)) => typing.conversation_id,
        None => return Request::Undecodable("no event that this version knows".into()),
    };
    let Some(conversation) = ConversationId::new(conversation) else {
        return Request::Undecodable("no conversation_id".into());
    };
    match upstream.event {
        Some(Event::Send(send)) => {
            let problem = problem(&send.client_msg_id, &send.text);
            let send = Send {
                place,
                user,
                origin: upstream.origin,
                conversation,
                client_msg_id: send.client_msg_id,
                text: send.text,
                accepted_at_ms: send.accepted_at_ms,
                span: commit(record, conversation),
            };
            match problem {
                None => Request::Send(send),
                Some(problem) => Request::Invalid { send, problem },
            }
        }
        Some(Event::Read(read)) => Request::Read { user, conversation, seq: read.seq },
        _ => Request::Typing { user, conversation },
    }
}

fn commit(record: &Consumed, conversation: ConversationId) -> Span {
    let traceparent =
        record.headers.iter().find(|(name, _)| name == "traceparent").map(|(_, value)| &**value);
    trace::continue_from(traceparent, || {
        let conversation = conversation.get();
        tracing::info_span!(target: trace::TARGET, "logic.commit", otel.kind = "consumer", conversation, seq = Empty)
    })
}

fn problem(client_msg_id: &str, text: &str) -> Option<Refusal> {
    let fits = (1..=LONGEST_CLIENT_MSG_ID).contains(&client_msg_id.len());
    if !fits || !client_msg_id.bytes().all(|b| b.is_ascii_graphic()) {
        return Some(Refusal::BadClientMsgId);
    }
    if text.is_empty() {
        return Some(Refusal::field("text", "empty"));
    }
    let bytes = text.len();
    (bytes > MAX_TEXT_BYTES).then_some(Refusal::TextTooLarge { bytes, most: MAX_TEXT_BYTES })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use gochat_proto::events;
    use proptest::prelude::*;

    use super::*;

    fn record(payload: Vec<u8>) -> Consumed {
        Consumed { partition: 0, offset: 7, key: Bytes::new(), payload: payload.into(), headers: Vec::new() }
    }

    fn sent(user_id: u64, conversation_id: u64, client_msg_id: &str, text: &str) -> Request {
        let event = Event::Send(events::Send {
            conversation_id,
            client_msg_id: client_msg_id.into(),
            text: text.into(),
            accepted_at_ms: 1,
        });
        read(3, &record(Upstream { user_id, origin: None, event: Some(event) }.encode_to_vec()))
    }

    #[test]
    fn what_breaks_a_limit_is_answered_and_what_names_nobody_is_dead_letter() {
        assert!(matches!(sent(1, 2, "a", "hi"), Request::Send(Send { place: 3, .. })));
        let long = "x".repeat(MAX_TEXT_BYTES);
        assert!(matches!(sent(1, 2, "a", &long), Request::Send(_)));
        let too_long = format!("{long}x");
        for (id, text) in
            [("", "hi"), ("a b", "hi"), (&"x".repeat(37), "hi"), ("a", ""), ("a", too_long.as_str())]
        {
            assert!(matches!(sent(1, 2, id, text), Request::Invalid { .. }), "{id} {}", text.len());
        }
        assert!(matches!(sent(0, 2, "a", "hi"), Request::Undecodable(_)));
        assert!(matches!(sent(1, 0, "a", "hi"), Request::Undecodable(_)));
        assert!(matches!(read(0, &record(Vec::new())), Request::Undecodable(_)));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(payload in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(0, &record(payload));
        }
    }
}
