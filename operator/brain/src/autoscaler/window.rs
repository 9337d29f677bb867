//! What is remembered of the past, and no more than that.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Samples closer together than this are one: so a window holds at most its length in seconds.
const SPACING: Duration = Duration::from_secs(1);

/// A mean over the recent past.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Mean {
    samples: VecDeque<(Duration, f64)>,
}

impl Mean {
    /// Remembers `value` for `keep`.
    pub(super) fn record(&mut self, now: Duration, value: f64, keep: Duration) {
        while self.samples.front().is_some_and(|(at, _)| *at + keep <= now) {
            self.samples.pop_front();
        }
        match self.samples.back_mut() {
            Some((at, last)) if now.saturating_sub(*at) < SPACING => *last = value,
            _ => self.samples.push_back((now, value)),
        }
    }

    /// Over the samples of the last `window`; `None` without any.
    pub(super) fn over(&self, now: Duration, window: Duration) -> Option<f64> {
        let (count, sum) = self
            .samples
            .iter()
            .rev()
            .take_while(|(at, _)| *at + window > now)
            .fold((0_u32, 0.0), |(count, sum), (_, value)| (count + 1, sum + value));
        (count > 0).then(|| sum / f64::from(count))
    }

    /// Nothing of the last `window` is left.
    pub(super) fn is_stale(&self, now: Duration, window: Duration) -> bool {
        self.samples.back().is_none_or(|(at, _)| *at + window <= now)
    }
}

/// The highest of the recommendations of a window: what the HPA calls stabilisation.
///
/// Kept as the falling staircase of those that may still become the highest, so it is as long as a fall has steps,
/// whatever the window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Highest {
    stairs: VecDeque<(Duration, u32)>,
}

impl Highest {
    /// Nothing was ever recommended.
    pub(super) fn is_empty(&self) -> bool {
        self.stairs.is_empty()
    }

    /// Remembers a recommendation, and forgets those older than `window`.
    pub(super) fn record(&mut self, now: Duration, recommended: u32, window: Duration) {
        while self.stairs.back().is_some_and(|(_, lower)| *lower <= recommended) {
            self.stairs.pop_back();
        }
        self.stairs.push_back((now, recommended));
        while self.stairs.len() > 1 && self.stairs.front().is_some_and(|(at, _)| *at + window <= now) {
            self.stairs.pop_front();
        }
    }

    /// The highest recommendation that is remembered.
    pub(super) fn get(&self) -> Option<u32> {
        self.stairs.front().map(|(_, recommended)| *recommended)
    }

    /// When at least `replicas` were recommended last.
    pub(super) fn last_at_least(&self, replicas: u32) -> Option<Duration> {
        self.stairs.iter().rev().find(|(_, recommended)| *recommended >= replicas).map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_mean_forgets_what_is_older_than_its_window() {
        let mut mean = Mean::default();
        for (second, value) in [(0, 100.0), (30, 10.0), (60, 20.0)] {
            mean.record(at(second), value, MINUTE);
        }
        assert_eq!(mean.over(at(60), MINUTE), Some(15.0));
        assert_eq!(mean.over(at(60), at(6)), Some(20.0));
        assert!(!mean.is_stale(at(119), MINUTE));
        assert_eq!(mean.over(at(120), MINUTE), None);
        assert!(mean.is_stale(at(120), MINUTE));
    }

    #[test]
    fn a_mean_keeps_one_sample_a_second() {
        let mut mean = Mean::default();
        for tick in 0..10_000 {
            mean.record(Duration::from_millis(tick * 10), 1.0, MINUTE);
        }
        assert!(mean.samples.len() <= 61, "{}", mean.samples.len());
    }

    #[test]
    fn the_highest_recommendation_lasts_its_window_and_then_the_next_one_counts() {
        let mut highest = Highest::default();
        for (second, recommended) in [(0, 8), (10, 5), (20, 6), (30, 3)] {
            highest.record(at(second), recommended, MINUTE);
        }
        assert_eq!(highest.get(), Some(8));
        assert_eq!(highest.last_at_least(6), Some(at(20)));
        highest.record(at(60), 3, MINUTE);
        assert_eq!(highest.get(), Some(6));
        highest.record(at(80), 3, MINUTE);
        assert_eq!(highest.get(), Some(3));
    }
}
