//! What others see of a client's socket.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::clock::Millis;
use crate::error_codes::{CloseCode, ErrorCode};
use crate::refusal::Refusal;
use crate::ws::codec::Codec;
use crate::ws::outbox::Outbox;

/// An authenticated connection. A million of these fit in a process, so every field is needed by somebody.
pub(crate) struct Connection {
    /// Unique in this process and, since it counts on from the time of start, in its predecessors.
    pub(crate) id: u64,
    pub(crate) user: u64,
    pub(crate) session: u64,
    pub(crate) codec: Codec,
    pub(crate) outbox: Outbox,
    /// Given again with `going_away`.
    pub(crate) resume_token: Box<str>,
    /// When the token of its hello ends.
    ends: Option<Millis>,
    heard: AtomicU32,
}

impl Connection {
    pub(crate) fn new(
        id: u64,
        (user, session): (u64, u64),
        codec: Codec,
        resume_token: &str,
        ends: Option<Millis>,
        now: Millis,
    ) -> Self {
        Self {
            id,
            user,
            session,
            codec,
            outbox: Outbox::default(),
            resume_token: resume_token.into(),
            ends,
            heard: AtomicU32::new(now.0),
        }
    }

    /// The client lives.
    pub(crate) fn heard(&self, now: Millis) {
        self.heard.store(now.0, Ordering::Relaxed);
    }

    /// Says why, and closes.
    pub(crate) fn refuse(&self, error: ErrorCode, code: CloseCode) {
        self.outbox.close_with(self.codec.encode(&Refusal::from(error).into_frame()), code);
    }

    /// The token of its hello has ended.
    pub(crate) fn is_expired(&self, now: Millis) -> bool {
        self.ends.is_some_and(|ends| now.is_at_or_after(ends))
    }

    /// For how long it has said nothing, in ms.
    pub(crate) fn silent(&self, now: Millis) -> u32 {
        now.since(Millis(self.heard.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_heard_while_the_sweep_comes_by_is_not_silent() {
        let connection = Connection::new(1, (2, 3), Codec::Proto, "", None, Millis(0));
        let sweep = Millis(100);
        connection.heard(sweep.after_ms(1));
        assert_eq!(connection.silent(sweep), 0);
    }
}
