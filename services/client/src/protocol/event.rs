//! What comes out of a session: actions for the shell, events for the reader.

use std::time::Duration;

use gochat_proto::client::{ClientFrame, Committed, ConversationChanged, Error, Presence, ReadMark, Typing};
use gochat_proto::types::{Conversation, Message};

/// What the shell is to do, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Open a socket to this endpoint (an index into the configured list); answer with `opened` or `closed`.
    Connect {
        /// Below the number of endpoints.
        endpoint: usize,
    },
    /// Write a frame to the socket.
    Transmit(ClientFrame),
    /// Close the socket, or give up opening it. No answer is expected.
    Close {
        /// WebSocket close code to say.
        code: u16,
    },
    /// Tell the reader.
    Emit(Event),
}

/// What the reader is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The server knows us; a sync follows by itself.
    Connected {
        /// Who we are.
        user_id: u64,
        /// The resume token was taken.
        resumed: bool,
    },
    /// The connection is gone. Nothing is lost: what was sent is sent again, what is missed is pulled.
    Disconnected {
        /// The close code, where there was one.
        code: Option<u16>,
        /// When it will be tried again; `None`: not before a new token is given.
        retry_in: Option<Duration>,
    },
    /// No token that we have is taken: refresh it (or log in again where `code` is `session_revoked`).
    TokenNeeded {
        /// The server's error code.
        code: String,
    },
    /// The next message of a conversation: each once, by rising seq. Own messages too.
    Message(Message),
    /// These messages don't exist any more (retention); the next one comes after them.
    Hole {
        /// The conversation.
        conversation: u64,
        /// First seq that is gone.
        from: u64,
        /// Last seq that is gone.
        to: u64,
    },
    /// A sent message is durable: it will be committed, or refused where the sender may not.
    Accepted {
        /// The conversation.
        conversation: u64,
        /// As given to `send`.
        client_msg_id: String,
    },
    /// A sent message has its place.
    Committed(Committed),
    /// A sent message won't be stored.
    Refused {
        /// The conversation.
        conversation: u64,
        /// As given to `send`.
        client_msg_id: String,
        /// Why.
        error: Error,
    },
    /// Somebody read up to there.
    Read(ReadMark),
    /// Somebody is typing.
    Typing(Typing),
    /// A watched user came or went.
    Presence(Presence),
    /// A conversation as the server lists it: after each connection and each sync.
    Conversation(Conversation),
    /// Members, roles or title changed, or we were removed.
    ConversationChanged(ConversationChanged),
    /// All heads are known and all gaps are filled.
    CaughtUp,
    /// An error that is about no sent message and no sync.
    Error(Error),
}
