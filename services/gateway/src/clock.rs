//! A coarse monotonic clock in 32 bits: what a million connections can afford to remember.

use std::time::Instant;

/// Milliseconds since the process's gateway started; wraps after 49 days, so only differences mean something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Millis(pub(crate) u32);

impl Millis {
    /// How long ago `earlier` was.
    pub(crate) const fn since(self, earlier: Self) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }
}

/// Where [`Millis`] come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    #[allow(clippy::cast_possible_truncation, reason = "wrapping is the point")]
    pub(crate) fn now(&self) -> Millis {
        Millis(self.0.elapsed().as_millis() as u32)
    }
}

/// Unix milliseconds, for people.
pub(crate) fn unix_ms() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .ok()
        .and_then(|d| i64::try_from(d.as_millis()).ok())
        .unwrap_or_default()
}
