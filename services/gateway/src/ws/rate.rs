//! A token bucket in eight bytes.

use crate::clock::Millis;

/// Rate and burst, shared by all buckets of a kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) per_second: u32,
    pub(crate) burst: u32,
}

/// What is left, in thousandths of a token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    milli_tokens: u32,
    filled: Millis,
}

impl Bucket {
    pub(crate) fn full(rate: Rate, now: Millis) -> Self {
        Self { milli_tokens: rate.burst.saturating_mul(1000), filled: now }
    }

    /// Takes a token, or says after how many milliseconds there is one.
    pub(crate) fn take(&mut self, rate: Rate, now: Millis) -> Result<(), u32> {
        let full = rate.burst.saturating_mul(1000);
        let gained = now.since(self.filled).saturating_mul(rate.per_second);
        self.milli_tokens = self.milli_tokens.saturating_add(gained).min(full);
        self.filled = now;
        match self.milli_tokens.checked_sub(1000) {
            Some(left) => {
                self.milli_tokens = left;
                Ok(())
            }
            None => Err((1000 - self.milli_tokens).div_ceil(rate.per_second.max(1)).max(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_wait_it_names_is_enough() {
        let rate = Rate { per_second: 3, burst: 1 };
        let mut bucket = Bucket::full(rate, Millis(0));
        assert_eq!(bucket.take(rate, Millis(0)), Ok(()));
        let wait = bucket.take(rate, Millis(0)).unwrap_err();
        assert_eq!(bucket.take(rate, Millis(wait)), Ok(()));
    }

    proptest! {
        #[test]
        fn never_more_than_burst_and_rate(steps in proptest::collection::vec(0u32..50, 1..400), per_second in 1u32..100, burst in 1u32..50) {
            let rate = Rate { per_second, burst };
            let mut now = 0;
            let mut bucket = Bucket::full(rate, Millis(0));
            let mut taken = 0u64;
            for step in steps {
                now += step;
                taken += u64::from(bucket.take(rate, Millis(now)).is_ok());
            }
            prop_assert!(taken <= u64::from(burst) + u64::from(now) * u64::from(per_second) / 1000 + 1);
        }
    }
}
