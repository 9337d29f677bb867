//! Settings of the right type that can't be used.

use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};

/// A setting out of its range.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} is {value}: must be {range}")]
pub struct OutOfRange {
    /// Its full path.
    pub key: &'static str,
    /// As it was set.
    pub value: String,
    /// What would be right.
    pub range: String,
}

/// Refuses a value out of its range. `key` is the setting's full path, such as `gateway.heartbeat_interval`.
///
/// # Errors
/// Names the setting, its value and the range.
pub fn in_range<T: PartialOrd + Copy + Debug>(
    key: &'static str,
    value: T,
    range: impl RangeBounds<T>,
) -> Result<(), OutOfRange> {
    if range.contains(&value) {
        return Ok(());
    }
    let ends = (range.start_bound(), range.end_bound());
    let range = match ends {
        (Bound::Included(least), Bound::Included(most)) => format!("{least:?} to {most:?}"),
        (Bound::Included(least), _) => format!("at least {least:?}"),
        (_, Bound::Included(most)) => format!("at most {most:?}"),
        _ => format!("within {ends:?}"),
    };
    Err(OutOfRange { key, value: format!("{value:?}"), range })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_value_out_of_its_range_is_refused_with_what_would_be_right() {
        let refused = |result: Result<(), OutOfRange>| result.unwrap_err().to_string();
        assert_eq!(in_range("a.b", 4, 1..=4), Ok(()));
        assert_eq!(refused(in_range("a.b", 5, 1..=4)), "a.b is 5: must be 1 to 4");
        assert_eq!(refused(in_range("a.b", 0, 1..)), "a.b is 0: must be at least 1");
        let (zero, second) = (Duration::ZERO, Duration::from_secs(1));
        assert_eq!(
            refused(in_range("a.wait", zero, Duration::from_millis(100)..=second)),
            "a.wait is 0ns: must be 100ms to 1s"
        );
        assert_eq!(refused(in_range("a.wait", second * 2, ..=second)), "a.wait is 2s: must be at most 1s");
    }
}
