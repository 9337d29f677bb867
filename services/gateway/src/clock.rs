//! A coarse monotonic clock in 32 bits: what a million connections can afford to remember.

use std::time::Instant;

/// Milliseconds since the process's gateway started; wraps after 49 days, so only differences mean something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Millis(pub(crate) u32);

impl Millis {
    /// How long ago `earlier` was, if it is less than 24 days; 0 where it is later: threads look at the clock before they
    /// take a lock, and find behind it what one wrote that looked a millisecond after them.
    pub(crate) const fn since(self, earlier: Self) -> u32 {
        if self.is_at_or_after(earlier) { self.0.wrapping_sub(earlier.0) } else { 0 }
    }

    /// So much later; what is further away than 24 days comes after 24 days.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    pub(crate) fn after_ms(self, ms: i64) -> Self {
        Self(self.0.wrapping_add(ms.clamp(0, i64::from(i32::MAX)) as u32))
    }

    /// For times that are less than 24 days apart.
    pub(crate) const fn is_at_or_after(self, other: Self) -> bool {
        self.0.wrapping_sub(other.0) <= u32::MAX / 2
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_holds_where_the_clock_wraps() {
        let now = Millis(u32::MAX - 5);
        let later = now.after_ms(10);
        assert_eq!(later, Millis(4));
        assert!(later.is_at_or_after(now) && now.is_at_or_after(now) && !now.is_at_or_after(later));
        assert!(now.is_at_or_after(now.after_ms(-1)), "what is over ends now");
        assert!(!now.is_at_or_after(now.after_ms(i64::MAX)));
        assert_eq!((later.since(now), now.since(later)), (10, 0));
    }
}
