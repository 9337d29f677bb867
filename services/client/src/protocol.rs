//! The protocol without I/O and without a clock: what the client knows, and what it wants done.
//!
//! ```text
//! session   the state machine: inputs as methods, actions and events out
//! inbox     one conversation's line of messages: dedupe, order, holes
//! outbox    messages not yet committed: pace, resend
//! syncs     which heads and gaps to ask for, and when
//! backoff   full jitter
//! close     what a close code asks of the client
//! ```
//!
//! Time is a `Duration` since any fixed moment, the same for one session's life.

mod backoff;
mod close;
mod event;
mod inbox;
mod outbox;
mod session;
mod syncs;

pub use close::{Advice, advice};
pub use event::{Action, Event};
pub use outbox::OutboxFull;
pub use session::{History, Session, Settings, Stats};
