//! Numbers and times as people read them.

use std::fmt;
use std::time::Duration;

/// `41,200`, `3.4`, `0.25`: whole with separators from a hundred on, at most two decimals below.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amount(pub(crate) f64);

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.abs() < 100.0 {
            let text = format!("{:.2}", self.0);
            return f.write_str(text.trim_end_matches('0').trim_end_matches('.'));
        }
        let text = format!("{:.0}", self.0);
        for (place, digit) in text.chars().enumerate() {
            let left = text.len().saturating_sub(place);
            if place > 0 && left.is_multiple_of(3) && !(place == 1 && text.starts_with('-')) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// `250 ms`, `5 s`, `1.5 s`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seconds(pub(crate) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < Duration::from_secs(1) {
            write!(f, "{} ms", self.0.as_millis())
        } else {
            write!(f, "{} s", Amount(self.0.as_secs_f64()))
        }
    }
}

/// The time of day, `12:01:06`: UTC when the origin of time is the Unix epoch, else the time since the origin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(pub(crate) Duration);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs() % 86_400;
        write!(f, "{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_read_as_people_write_them() {
        let amounts =
            [41_200.0, 1_234_567.8, 100.0, 99.5, 3.4, 3.0, 0.254, 0.0].map(|n| Amount(n).to_string());
        assert_eq!(amounts, ["41,200", "1,234,568", "100", "99.5", "3.4", "3", "0.25", "0"]);
        assert_eq!(Seconds(Duration::from_millis(250)).to_string(), "250 ms");
        assert_eq!(Seconds(Duration::from_millis(1_500)).to_string(), "1.5 s");
        assert_eq!(Clock(Duration::from_secs(43_266)).to_string(), "12:01:06");
    }
}
