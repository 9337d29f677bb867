//! How many calls are worked on, and how long they take.
//!
//! Only sums are kept, so that any number of readers can each have the means of its own interval.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Upper bounds are 0.1 ms × 2^(i/4): each a fifth above the one before, the last 5.5 s. The last takes all that is slower.
const BUCKETS: usize = 64;
const FIRST_MS: f64 = 0.1;
const PER_DOUBLING: f64 = 4.0;

/// Counts calls; cheap to clone.
#[derive(Clone)]
pub(crate) struct Calls(Arc<Mutex<Sums>>);

/// Since the start.
#[derive(Clone, Copy)]
pub(crate) struct Sums {
    at: Instant,
    in_flight: u32,
    /// The integral of `in_flight` over time: calls that hang count while they do.
    call_seconds: f64,
    ended: [u64; BUCKETS],
}

/// Of the time between two readings.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct CallLoad {
    /// The mean.
    pub(crate) in_flight: f64,
    pub(crate) per_second: f64,
    /// A fifth too high at most; 0 when no call ended.
    pub(crate) p99_ms: f64,
}

/// A call that is worked on, until it is dropped: also one whose caller went away.
pub(crate) struct Call {
    calls: Calls,
    begun: Instant,
}

impl Calls {
    pub(crate) fn new() -> Self {
        let sums = Sums { at: Instant::now(), in_flight: 0, call_seconds: 0.0, ended: [0; BUCKETS] };
        Self(Arc::new(Mutex::new(sums)))
    }

    pub(crate) fn begin(&self) -> Call {
        let begun = Instant::now();
        let mut sums = self.0.lock();
        sums.pass(begun);
        sums.in_flight = sums.in_flight.saturating_add(1);
        Call { calls: self.clone(), begun }
    }

    /// As it is now.
    pub(crate) fn read(&self) -> Sums {
        let mut sums = self.0.lock();
        sums.pass(Instant::now());
        *sums
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut sums = self.calls.0.lock();
        sums.pass(now);
        sums.in_flight = sums.in_flight.saturating_sub(1);
        if let Some(count) = sums.ended.get_mut(bucket(now.duration_since(self.begun))) {
            *count += 1;
        }
    }
}

impl Sums {
    fn pass(&mut self, now: Instant) {
        self.call_seconds += f64::from(self.in_flight) * now.duration_since(self.at).as_secs_f64();
        self.at = self.at.max(now);
    }

    /// What happened since `before`.
    pub(crate) fn since(&self, before: &Self) -> CallLoad {
        let seconds = self.at.duration_since(before.at).as_secs_f64().max(0.001);
        let ended = || self.ended.iter().zip(&before.ended).map(|(now, then)| now.saturating_sub(*then));
        let total: u64 = ended().sum();
        let faster = total - total / 100;
        let mut sum = 0;
        let slowest = ended().position(|count| {
            sum += count;
            sum >= faster
        });
        CallLoad {
            in_flight: (self.call_seconds - before.call_seconds).max(0.0) / seconds,
            per_second: total as f64 / seconds,
            p99_ms: if total == 0 { 0.0 } else { bound_ms(slowest.unwrap_or_default()) },
        }
    }
}

fn bucket(took: Duration) -> usize {
    let doublings = (took.as_secs_f64() * 1_000.0 / FIRST_MS).max(1.0).log2();
    // Between 0 and a few hundred.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "never negative")]
    let bucket = (doublings * PER_DOUBLING).ceil() as usize;
    bucket.min(BUCKETS - 1)
}

fn bound_ms(bucket: usize) -> f64 {
    FIRST_MS * (bucket as f64 / PER_DOUBLING).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn calls_that_hang_count_while_they_do() {
        let calls = Calls::new();
        let before = calls.read();
        let (_one, _two) = (calls.begin(), calls.begin());
        tokio::time::advance(Duration::from_millis(20)).await;
        let load = calls.read().since(&before);
        assert_eq!(load, CallLoad { in_flight: 2.0, per_second: 0.0, p99_ms: 0.0 }, "none has ended");
    }

    #[test]
    fn the_slowest_in_a_hundred_is_left_out() {
        let calls = Calls::new();
        let before = calls.read();
        let mut after = before;
        after.ended[bucket(Duration::from_millis(3))] = 99;
        after.ended[bucket(Duration::from_secs(2))] = 1;
        let p99 = after.since(&before).p99_ms;
        assert!((3.0..3.6).contains(&p99), "{p99}");
        after.ended[bucket(Duration::from_secs(2))] = 2;
        assert!(after.since(&before).p99_ms >= 2_000.0);
        assert_eq!(after.since(&after), CallLoad::default());
    }

    #[test]
    fn every_duration_has_a_bucket_whose_bound_it_does_not_pass() {
        for micros in [0, 1, 99, 100, 101, 5_000, 77_777, 1_000_000] {
            let took = Duration::from_micros(micros);
            let bound = bound_ms(bucket(took));
            assert!(took.as_secs_f64() * 1_000.0 <= bound * 1.000_001, "{took:?} {bound}");
        }
        assert_eq!(bucket(Duration::from_secs(86_400)), BUCKETS - 1);
    }
}
