//! What waits for one client, bounded in bytes.
//!
//! Past the bound pushes are dropped and one `sync_required` takes their place at the end of the queue: whatever was
//! dropped was dropped before the client reads that frame, and was stored before it was pushed, so the sync finds it.
//! A queue that stays full closes the connection. Answers to the client's own frames are never dropped; the session
//! stops reading instead.

use std::collections::VecDeque;
use std::task::Waker;

use bytes::Bytes;
use futures::task::AtomicWaker;
use parking_lot::Mutex;

use crate::clock::Millis;
use crate::error_codes::CloseCode;

/// The bounds, shared by all connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) bytes: usize,
    /// How long the queue may stay full, in ms.
    pub(crate) full_ms: u32,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    Queued,
    /// Not queued: the client is slow, and was or will be told to sync (or the frame was ephemeral).
    Dropped,
}

#[derive(Default)]
pub(crate) struct Outbox {
    inner: Mutex<Inner>,
    waker: AtomicWaker,
}

#[derive(Default)]
struct Inner {
    queue: VecDeque<Bytes>,
    bytes: usize,
    full_since: Option<Millis>,
    ping: bool,
    close: Option<CloseCode>,
}

/// What the session writes next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Frame(Bytes),
    /// A WebSocket ping.
    Ping,
    Close(CloseCode),
}

impl Outbox {
    /// Queues something that the client did not ask for. `sync` makes the frame that takes the place of what is dropped.
    pub(crate) fn push(
        &self,
        frame: Bytes,
        ephemeral: bool,
        bounds: Bounds,
        now: Millis,
        sync: impl FnOnce() -> Bytes,
    ) -> Pushed {
        let mut inner = self.inner.lock();
        if inner.close.is_some() {
            return Pushed::Dropped;
        }
        if let Some(since) = inner.full_since {
            if now.since(since) >= bounds.full_ms {
                inner.close = Some(CloseCode::SlowConsumer);
                drop(inner);
                self.waker.wake();
            }
            return Pushed::Dropped;
        }
        // Typing and presence give way while messages still fit.
        let bound = if ephemeral { bounds.bytes / 2 } else { bounds.bytes };
        // One frame always fits, whatever its size: a client that keeps up must get everything.
        if inner.bytes > 0 && inner.bytes + frame.len() > bound {
            if !ephemeral {
                inner.full_since = Some(now);
                inner.put(sync());
            }
            return Pushed::Dropped;
        }
        inner.put(frame);
        drop(inner);
        self.waker.wake();
        Pushed::Queued
    }

    /// Queues an answer to the client's own frame.
    pub(crate) fn answer(&self, frame: Bytes) {
        self.answer_own(frame);
        self.waker.wake();
    }

    /// The same from the session's own task, which writes before it sleeps.
    pub(crate) fn answer_own(&self, frame: Bytes) {
        let mut inner = self.inner.lock();
        if inner.close.is_none() {
            inner.put(frame);
        }
    }

    /// Asks for a WebSocket ping.
    pub(crate) fn ping(&self) {
        self.inner.lock().ping = true;
        self.waker.wake();
    }

    /// Closes once what is queued is written; the first reason stays.
    pub(crate) fn close(&self, code: CloseCode) {
        self.inner.lock().close.get_or_insert(code);
        self.waker.wake();
    }

    /// The same, with a last frame.
    pub(crate) fn close_with(&self, frame: Bytes, code: CloseCode) {
        let mut inner = self.inner.lock();
        if inner.close.is_none() {
            inner.put(frame);
            inner.close = Some(code);
        }
        drop(inner);
        self.waker.wake();
    }

    /// What to write next; `None` until the waker is called.
    pub(crate) fn pop(&self) -> Option<Next> {
        let mut inner = self.inner.lock();
        if let Some(frame) = inner.queue.pop_front() {
            inner.bytes -= frame.len();
            if inner.queue.is_empty() {
                inner.full_since = None;
                // An idle connection keeps no memory of a busy moment.
                if inner.queue.capacity() > 16 {
                    inner.queue = VecDeque::new();
                }
            }
            return Some(Next::Frame(frame));
        }
        if std::mem::take(&mut inner.ping) {
            return Some(Next::Ping);
        }
        inner.close.map(Next::Close)
    }

    pub(crate) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// So much waits that nothing more should be asked for.
    pub(crate) fn is_over(&self, bytes: usize) -> bool {
        self.inner.lock().bytes > bytes
    }

    /// Why the connection is to be closed, if it is.
    pub(crate) fn closing(&self) -> Option<CloseCode> {
        self.inner.lock().close
    }

    /// Closes a client that has not read for too long, even where nothing more is pushed to it.
    pub(crate) fn check(&self, bounds: Bounds, now: Millis) {
        let mut inner = self.inner.lock();
        if inner.full_since.is_some_and(|since| now.since(since) >= bounds.full_ms) {
            inner.close.get_or_insert(CloseCode::SlowConsumer);
            drop(inner);
            self.waker.wake();
        }
    }
}

impl Inner {
    fn put(&mut self, frame: Bytes) {
        self.bytes += frame.len();
        self.queue.push_back(frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { bytes: 10, full_ms: 100 };

    fn push(outbox: &Outbox, text: &'static str, at: u32) -> Pushed {
        outbox.push(Bytes::from_static(text.as_bytes()), false, BOUNDS, Millis(at), || {
            Bytes::from_static(b"sync")
        })
    }

    fn pop(outbox: &Outbox) -> Option<String> {
        match outbox.pop()? {
            Next::Frame(frame) => Some(String::from_utf8(frame.to_vec()).unwrap()),
            Next::Ping => Some("PING".into()),
            Next::Close(code) => Some(format!("CLOSE {}", code as u16)),
        }
    }

    #[test]
    fn past_the_bound_one_sync_takes_the_place_of_all_that_is_dropped() {
        let outbox = Outbox::default();
        assert_eq!(push(&outbox, "123456", 0), Pushed::Queued);
        assert_eq!(push(&outbox, "abcdef", 1), Pushed::Dropped);
        assert_eq!(push(&outbox, "x", 2), Pushed::Dropped, "or it would overtake what was dropped");
        assert_eq!(pop(&outbox).as_deref(), Some("123456"));
        assert_eq!(push(&outbox, "y", 3), Pushed::Dropped, "until the sync is on its way");
        assert_eq!(pop(&outbox).as_deref(), Some("sync"));
        assert_eq!(push(&outbox, "z", 4), Pushed::Queued);
        assert_eq!(pop(&outbox).as_deref(), Some("z"));
        assert_eq!(pop(&outbox), None);
    }

    #[test]
    fn a_queue_that_stays_full_closes_with_4008() {
        let outbox = Outbox::default();
        push(&outbox, "123456", 0);
        push(&outbox, "abcdef", 10);
        push(&outbox, "x", 109);
        assert_eq!(outbox.closing(), None);
        push(&outbox, "x", 110);
        assert_eq!(outbox.closing(), Some(CloseCode::SlowConsumer));
    }

    #[test]
    fn a_push_that_looked_at_the_clock_before_the_queue_was_full_closes_nothing() {
        let outbox = Outbox::default();
        push(&outbox, "123456", 0);
        push(&outbox, "abcdef", 11);
        push(&outbox, "x", 10);
        outbox.check(BOUNDS, Millis(10));
        assert_eq!(outbox.closing(), None);
    }

    #[test]
    fn a_client_that_reads_nothing_is_found_by_the_sweep() {
        let outbox = Outbox::default();
        push(&outbox, "1234567890", u32::MAX - 5);
        push(&outbox, "x", u32::MAX - 5);
        outbox.check(BOUNDS, Millis(50));
        assert_eq!(outbox.closing(), None);
        outbox.check(BOUNDS, Millis(95));
        assert_eq!(outbox.closing(), Some(CloseCode::SlowConsumer), "over the clock's wrap");
    }

    #[test]
    fn typing_gives_way_first_and_costs_no_sync() {
        let outbox = Outbox::default();
        push(&outbox, "12345", 0);
        let pushed = outbox.push(Bytes::from_static(b"t"), true, BOUNDS, Millis(0), Bytes::new);
        assert_eq!(pushed, Pushed::Dropped);
        assert_eq!(push(&outbox, "12345", 0), Pushed::Queued);
    }

    #[test]
    fn what_is_queued_goes_out_before_the_close_and_nothing_after() {
        let outbox = Outbox::default();
        push(&outbox, "a", 0);
        outbox.close_with(Bytes::from_static(b"bye"), CloseCode::GoingAway);
        outbox.close(CloseCode::SlowConsumer);
        outbox.answer(Bytes::from_static(b"late"));
        let all: Vec<_> = (0..3).filter_map(|_| pop(&outbox)).collect();
        assert_eq!(all, ["a", "bye", "CLOSE 4000"]);
    }
}
