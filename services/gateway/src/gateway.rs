//! What every connection and request of this gateway shares.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::clock::Clock;
use crate::config::Config;
use crate::edge::Edge;
use crate::logic::Logic;
use crate::metrics::Metrics;
use crate::upstream::UpstreamWriter;
use crate::ws::herd::Herd;
use crate::ws::rate::Rate;

/// The parts, built once by `run`.
pub(crate) struct Gateway {
    pub(crate) config: Config,
    pub(crate) edge: Arc<Edge>,
    pub(crate) upstream: UpstreamWriter,
    pub(crate) logic: Logic,
    pub(crate) metrics: Arc<Metrics>,
    /// Who came lately.
    pub(crate) herd: Mutex<Herd>,
    /// Turns of syncs at logic.
    pub(crate) sync_turns: Arc<Semaphore>,
    /// Over which clients are sent away, as configured or as the drain's caller asked.
    pub(crate) drain_window: Mutex<Duration>,
}

/// Typing hints a second and at once: what a person's client sends is less.
pub(crate) const TYPING: Rate = Rate { per_second: 2, burst: 6 };
/// A socket's read buffer. The library's default of 128 KiB is what an idle connection would cost; a message that is
/// larger than this gets its room while it is read.
const READ_BUFFER: usize = 1024;
/// Frames are gathered up to this before a system call.
const WRITE_BUFFER: usize = 4 * 1024;

impl Gateway {
    pub(crate) fn clock(&self) -> &Clock {
        &self.edge.clock
    }

    pub(crate) fn rate(&self) -> Rate {
        rate(self.config.limits.messages_per_second, self.config.limits.burst_seconds)
    }

    pub(crate) fn websocket_config(&self) -> WebSocketConfig {
        let limit = self.config.limits.frame_bytes;
        WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_write_buffer_size(usize::MAX)
            .max_message_size(Some(limit))
            .max_frame_size(Some(limit))
    }
}

/// A rate that allows a burst of so many seconds.
pub(crate) fn rate(per_second: u32, burst_seconds: u32) -> Rate {
    Rate { per_second, burst: per_second.saturating_mul(burst_seconds) }
}

/// As the 32 bits of a frame.
pub(crate) fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
