//! A thundering herd: clients that come at once are asked to sync one after another (pure).
//!
//! Whoever is welcomed asks for its conversations, a query each; the session that the welcome looks up is cached. When a
//! gateway dies, thousands do: their syncs take the CPU that the others' welcomes need, and everybody's messages.

use crate::clock::Millis;

/// Clients welcomed within a second that nobody minds.
const CALM: u32 = 200;

/// The clients that came lately.
#[derive(Debug, Default)]
pub(crate) struct Herd {
    /// When this second began.
    since: Millis,
    count: u32,
    /// In the second before.
    before: u32,
}

impl Herd {
    /// One more comes: within how many milliseconds it should sync, `longest` at most. A herd of so many clients gets as
    /// many milliseconds: a thousand syncs a second.
    pub(crate) fn welcome(&mut self, now: Millis, longest: u32) -> u32 {
        let passed = now.since(self.since);
        if passed >= 1_000 {
            self.before = if passed < 2_000 { self.count } else { 0 };
            (self.since, self.count) = (now, 0);
        }
        self.count += 1;
        let herd = self.count.max(self.before);
        if herd > CALM { herd.min(longest) } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_sync_at_once_and_many_one_after_another() {
        let mut herd = Herd::default();
        let begin = Millis(u32::MAX - 700);
        let mut come = |at: i64, clients: u32| {
            (0..clients).map(|_| herd.welcome(begin.after_ms(at), 2_000)).collect::<Vec<_>>()
        };
        assert!(come(0, CALM).iter().all(|within| *within == 0));
        assert_eq!(come(500, 3), [201, 202, 203]);
        assert_eq!(come(600, 9_000).last(), Some(&2_000));
        // It is still coming.
        assert_eq!(come(1_500, 1), [2_000]);
        assert_eq!(come(3_600, 1), [0]);
    }
}
