//! What a client is refused with: error codes (in an `error` frame or an HTTP answer) and WebSocket close codes.
//!
//! `docs/protocol.md` repeats these tables for people; a code, once published, never changes its meaning.
//!
//! | close code | name | reconnect? |
//! | --- | --- | --- |
//! | 1001 | going away: the server stops now | yes, after a random time up to 5 s |
//! | 1009 | a frame is too large | yes, but never with the same frame |
//! | 4000 | going away, announced by a `going_away` frame | yes, after a random time up to its `retryAfterMs`, with the resume token |
//! | 4001 | unauthenticated: no valid `hello` in time | with a new token |
//! | 4002 | a frame could not be decoded | no: it is a bug of the client |
//! | 4003 | the session was revoked | no: log in |
//! | 4004 | the token of the hello has ended, then or since | with the resume token, or a refreshed one |
//! | 4008 | slow consumer: the outbound queue stayed full | yes, with back-off; sync |
//! | 4009 | heartbeat: silent for two intervals | yes, at once |
//! | 4010 | too many connections of this user | no, before another one is closed |
//! | 4029 | over the rate for long | yes, after a minute and slower |

/// Why the server closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
#[allow(missing_docs, reason = "the table above says it")]
pub enum CloseCode {
    Shutdown = 1001,
    TooBig = 1009,
    GoingAway = 4000,
    Unauthenticated = 4001,
    BadFrame = 4002,
    SessionRevoked = 4003,
    TokenExpired = 4004,
    SlowConsumer = 4008,
    HeartbeatTimeout = 4009,
    TooManyConnections = 4010,
    RateLimited = 4029,
}

impl CloseCode {
    /// The reason in the close frame, and the label of the metric.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Shutdown => "shutdown",
            Self::TooBig => "frame_too_large",
            Self::GoingAway => "going_away",
            Self::Unauthenticated => "unauthenticated",
            Self::BadFrame => "bad_frame",
            Self::SessionRevoked => "session_revoked",
            Self::TokenExpired => "token_expired",
            Self::SlowConsumer => "slow_consumer",
            Self::HeartbeatTimeout => "heartbeat_timeout",
            Self::TooManyConnections => "too_many_connections",
            Self::RateLimited => "rate_limited",
        }
    }
}

/// A word a program acts on, with what it means and what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCode {
    /// The word.
    pub code: &'static str,
    /// What went wrong, for people.
    pub text: &'static str,
    /// What to do, for people.
    pub fix: &'static str,
}

macro_rules! codes {
    ($($name:ident $code:literal $text:literal $fix:literal;)*) => {
        $(
            #[doc = concat!("`", $code, "`: ", $text, ". ", $fix, ".")]
            pub const $name: ErrorCode = ErrorCode { code: $code, text: $text, fix: $fix };
        )*
        /// All that the gateway itself gives; logic has more and sends them through.
        pub const ALL: &[ErrorCode] = &[$($name),*];
    };
}

codes! {
    BAD_FRAME "bad_frame" "the frame could not be decoded" "send what the negotiated subprotocol asks for";
    UNKNOWN_FRAME "unknown_frame" "no frame of a kind that this server knows" "set exactly one field of ClientFrame; the server may be older than the client";
    FRAME_TOO_LARGE "frame_too_large" "the frame is larger than limits.maxFrameBytes" "send less in one frame";
    TEXT_TOO_LARGE "text_too_large" "the text is longer than limits.maxTextBytes" "split the message";
    UNAUTHENTICATED "unauthenticated" "no valid token" "log in";
    TOKEN_EXPIRED "token_expired" "the token is expired" "refresh the access token";
    TOKEN_INVALID "token_invalid" "the token is not one of this server's" "log in";
    SESSION_REVOKED "session_revoked" "the session was ended" "log in";
    NOT_A_MEMBER "not_a_member" "the user is not a member of the conversation" "ask a member to be added";
    NO_SUCH_CONVERSATION "no_such_conversation" "there is no such conversation" "list the conversations again";
    BAD_CLIENT_MSG_ID "bad_client_msg_id" "clientMsgId must be 1 to 36 visible ASCII characters" "use a UUID";
    RATE_LIMITED "rate_limited" "too many frames a second" "wait for retryAfterMs and send slower";
    OVERLOADED "overloaded" "the server has too much to do" "send the same frame again after retryAfterMs";
    TOO_MANY_CONNECTIONS "too_many_connections" "the user has too many connections" "close one first";
    UNAVAILABLE "unavailable" "a part of the server is away" "try again after retryAfterMs";
    BAD_REQUEST "bad_request" "the request makes no sense" "see the text";
    HELLO_REQUIRED "hello_required" "the first frame must be hello" "send hello with a token first";
    HELLO_TIMEOUT "hello_timeout" "no hello in time" "send hello as soon as the connection is open";
    SYNC_TOO_LARGE "sync_too_large" "the sync asks for more than limits.maxSyncMessages" "ask for less and follow the pages";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_one_word_and_told_once() {
        let mut seen = std::collections::HashSet::new();
        for code in ALL {
            assert!(code.code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", code.code);
            assert!(seen.insert(code.code), "{} twice", code.code);
            assert!(!code.text.is_empty() && !code.fix.is_empty());
        }
    }
}
