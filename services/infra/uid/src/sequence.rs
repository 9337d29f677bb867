//! The next id of one holder of a worker id. No I/O, and the clock is a parameter.
//!
//! Time in an id is *logical*: the clock's millisecond, or the last id's where the clock stands behind it. So after a
//! step back, ids go on in the last millisecond, and where that is used up in the next one, ahead of the clock, as
//! long as that is by no more than [`MAX_AHEAD_MS`]. Where the clock is not behind, a used-up millisecond is waited
//! for. Waiting out every step back would be simpler by one case, and would stop all writes for as long as a time
//! server corrects; ids are in advance of the clock only then.

use std::time::Duration;

use crate::layout::{LAST_MS, Parts, SEQUENCES};

/// How far the clock may step back unnoticed.
pub(crate) const MAX_AHEAD_MS: u64 = 5_000;

/// Ids of one worker, strictly increasing.
#[derive(Debug)]
pub(crate) struct Sequence {
    worker: u16,
    /// The millisecond of the last id, or the first one allowed.
    ms: u64,
    /// Of the next id in `ms`.
    place: u16,
    /// Ids are below this millisecond.
    bound_ms: u64,
}

/// Why there is no id now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stall {
    /// This millisecond is used up.
    Exhausted,
    ClockBehind(Duration),
    /// Nothing may be given out until the bound is raised.
    Bound,
}

impl Sequence {
    /// Gives out ids of `from_ms` and later, and below `bound_ms`.
    pub(crate) fn new(worker: u16, from_ms: u64, bound_ms: u64) -> Self {
        // From 1, so that no id is 0.
        Self { worker, ms: from_ms.max(1), place: 0, bound_ms }
    }

    pub(crate) fn next(&mut self, now_ms: u64) -> Result<u64, Stall> {
        let (mut ms, mut place) = if now_ms > self.ms { (now_ms, 0) } else { (self.ms, self.place) };
        if ms.saturating_sub(now_ms) > MAX_AHEAD_MS {
            return Err(Stall::ClockBehind(Duration::from_millis(ms - now_ms)));
        }
        if place == SEQUENCES {
            if now_ms >= ms {
                return Err(Stall::Exhausted);
            }
            (ms, place) = (ms + 1, 0);
        }
        if ms >= self.bound_ms.min(LAST_MS) {
            return Err(Stall::Bound);
        }
        (self.ms, self.place) = (ms, place + 1);
        Ok(Parts { ms, worker: self.worker, sequence: place }.id())
    }

    pub(crate) fn raise_bound(&mut self, bound_ms: u64) {
        self.bound_ms = self.bound_ms.max(bound_ms);
    }

    /// The first millisecond from which nothing was given out.
    pub(crate) fn unused_from_ms(&self) -> u64 {
        if self.place == 0 { self.ms } else { self.ms + 1 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FOREVER: u64 = u64::MAX;

    #[test]
    fn a_used_up_millisecond_is_waited_for() {
        let mut ids = Sequence::new(7, 0, FOREVER);
        let all: Vec<u64> = (0..SEQUENCES).map(|_| ids.next(10).unwrap()).collect();
        assert!(all.is_sorted_by(|a, b| a < b));
        assert_eq!(ids.next(10), Err(Stall::Exhausted));
        assert_eq!(Parts::from(ids.next(11).unwrap()), Parts { ms: 11, worker: 7, sequence: 0 });
    }

    #[test]
    fn a_small_step_back_of_the_clock_is_not_felt() {
        let mut ids = Sequence::new(7, 0, FOREVER);
        let before = ids.next(10_000).unwrap();
        let after: Vec<u64> = (0..10_000).map(|_| ids.next(9_000).unwrap()).collect();
        assert!(before < after[0] && after.is_sorted_by(|a, b| a < b));
        assert_eq!(Parts::from(after[9_999]).ms, 10_002);
    }

    #[test]
    fn a_large_step_back_of_the_clock_is_refused_until_it_has_caught_up() {
        let mut ids = Sequence::new(7, 0, FOREVER);
        let before = ids.next(10_000).unwrap();
        assert_eq!(ids.next(4_999), Err(Stall::ClockBehind(Duration::from_millis(5_001))));
        assert!(ids.next(5_000).unwrap() > before);
    }

    #[test]
    fn nothing_is_given_out_at_or_past_the_bound() {
        let mut ids = Sequence::new(7, 0, 10);
        assert!(ids.next(9).is_ok());
        assert_eq!(ids.next(10), Err(Stall::Bound));
        ids.raise_bound(11);
        assert!(ids.next(10).is_ok());
        ids.raise_bound(5);
        assert!(ids.next(10).is_ok(), "a bound never falls");
    }

    #[test]
    fn no_id_is_zero() {
        assert_ne!(Sequence::new(0, 0, FOREVER).next(0).unwrap(), 0);
    }

    #[test]
    fn the_layout_ends_with_a_refusal() {
        assert_eq!(Sequence::new(0, 0, FOREVER).next(1 << 41), Err(Stall::Bound));
    }

    proptest! {
        #[test]
        fn ids_increase_whatever_the_clock_does(
            steps in proptest::collection::vec((-20_000i64..20_000, 1usize..5_000), 1..60)
        ) {
            let (mut ids, mut clock, mut last) = (Sequence::new(3, 0, FOREVER), 1_000_000i64, 0);
            for (step, wanted) in steps {
                clock = (clock + step).max(0);
                let now = clock.unsigned_abs();
                for _ in 0..wanted {
                    let Ok(id) = ids.next(now) else { break };
                    prop_assert!(id > last);
                    prop_assert!(Parts::from(id).ms <= now + MAX_AHEAD_MS + 1);
                    last = id;
                }
            }
        }

        #[test]
        fn holders_in_turn_never_repeat_an_id(
            holders in proptest::collection::vec((0u64..30_000, 1u64..2_000, 1usize..9_000), 1..8)
        ) {
            // Each with a clock of its own; the bound is all that passes from one to the next.
            let (mut bound, mut last) = (0, 0);
            for (clock, reserve, wanted) in holders {
                let mut ids = Sequence::new(3, bound, clock.max(bound) + reserve);
                bound = clock.max(bound) + reserve;
                for _ in 0..wanted {
                    let Ok(id) = ids.next(clock) else { break };
                    prop_assert!(id > last);
                    last = id;
                }
            }
        }
    }
}
