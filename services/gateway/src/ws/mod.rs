//! One WebSocket: from the HTTP upgrade to the close frame.
//!
//! ```text
//! upgrade ─▶ handshake (hello → logic.Validate → attach → welcome) ─▶ session: one task
//!             └─ herd   when many come at once
//!                                                                     ├─ inbound   what a client's frame does
//!                                                                     ├─ outbox    what waits for the client, bounded
//!                                                                     └─ codec     JSON or protobuf, the same frames
//! ```

pub(crate) mod codec;
pub(crate) mod handshake;
pub(crate) mod herd;
pub(crate) mod inbound;
pub(crate) mod outbox;
pub(crate) mod rate;
pub(crate) mod session;
pub(crate) mod upgrade;
