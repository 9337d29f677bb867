//! When held records go on (pure): at once where there are few, every `linger` where there are many.
//!
//! A request of librdkafka carries one partition, so what a broker pays is requests, and a fixed wait is wrong twice: it
//! delays the only record of a quiet moment, and where many partitions are busy it is too short to gather anything.

use std::time::{Duration, Instant};

/// Records within `linger` that make a producer a busy one. With fewer, waiting would gather one or two in a request.
const BUSY: u32 = 16;

#[derive(Debug)]
pub(super) struct Pace {
    linger: Duration,
    /// Records that came since `since`, which is never longer ago than `linger` when one comes.
    since: Instant,
    count: u32,
    busy: bool,
    went: Instant,
}

impl Pace {
    pub(super) fn new(linger: Duration, now: Instant) -> Self {
        Self { linger, since: now, count: 0, busy: false, went: now }
    }

    /// A record came.
    pub(super) fn count(&mut self, now: Instant) {
        let window = now.saturating_duration_since(self.since);
        if window >= self.linger {
            // A window that ended long ago says nothing about now.
            self.busy = self.count >= BUSY && window < 2 * self.linger;
            (self.since, self.count) = (now, 0);
        }
        self.count += 1;
        self.busy |= self.count >= BUSY;
    }

    /// When what is held goes on; in the past: now.
    pub(super) fn due(&self) -> Instant {
        if self.busy { self.went + self.linger } else { self.went }
    }

    /// All that was held went on.
    pub(super) fn went(&mut self, now: Instant) {
        self.went = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINGER: Duration = Duration::from_millis(5);

    /// Records at an even rate, handed on when due: how many times, and the longest that one waited.
    fn run(per_second: u32, records: u32) -> (u32, Duration) {
        let begin = Instant::now();
        let mut pace = Pace::new(LINGER, begin);
        let (mut held, mut goes, mut longest) = (Vec::new(), 0, Duration::ZERO);
        for n in 1..=records {
            let now = begin + Duration::from_secs(1) * n / per_second;
            while !held.is_empty() && pace.due() <= now {
                let at = pace.due().max(held[0]);
                longest = longest.max(at - held[0]);
                held.clear();
                pace.went(at);
                goes += 1;
            }
            pace.count(now);
            held.push(now);
        }
        (goes, longest)
    }

    #[test]
    fn where_there_are_few_each_goes_at_once() {
        let (goes, longest) = run(350, 1_000);
        assert_eq!((goes, longest), (999, Duration::ZERO));
    }

    #[test]
    fn where_there_are_many_they_go_together_and_none_waits_longer_than_linger() {
        let (goes, longest) = run(10_000, 10_000);
        assert!((190..=220).contains(&goes), "{goes} times in a second");
        assert!(longest <= LINGER, "{longest:?}");
    }

    #[test]
    fn the_first_of_a_burst_does_not_wait_and_after_it_all_is_quiet_again() {
        let begin = Instant::now();
        let mut pace = Pace::new(LINGER, begin);
        let burst = begin + Duration::from_secs(1);
        (0..100).for_each(|_| pace.count(burst));
        assert!(pace.due() <= burst);
        pace.went(burst);
        pace.count(burst);
        assert_eq!(pace.due(), burst + LINGER);
        let later = burst + Duration::from_secs(1);
        pace.count(later);
        assert!(pace.due() <= later);
    }

    #[test]
    fn without_linger_nothing_waits() {
        let begin = Instant::now();
        let mut pace = Pace::new(Duration::ZERO, begin);
        (0..100).for_each(|_| pace.count(begin));
        assert!(pace.due() <= begin);
    }
}
