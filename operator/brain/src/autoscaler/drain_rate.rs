//! What one member works off in a second, learned from watching.

use serde::{Deserialize, Serialize};

/// How much of a new measurement is believed: some twenty reports replace what was known.
const WEIGHT: f64 = 0.2;

/// The rate at which one member drains a backlog.
///
/// A member that waits for work does as much as arrives, which says nothing about what it could do: a rate taken from it
/// would always ask for one member more. So only a member with more than a second's work before it is believed; an idle
/// one can only raise what is known already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DrainRate {
    per_member: Option<f64>,
}

impl DrainRate {
    /// Sees that `members` worked off `worked_off` records in a second while `backlog` were waiting.
    pub fn observe(&mut self, backlog: u64, worked_off: f64, members: u32) {
        let rate = worked_off / f64::from(members);
        if !(rate.is_finite() && rate > 0.0) {
            return;
        }
        let busy = backlog as f64 > worked_off;
        self.per_member = match self.per_member {
            None if busy => Some(rate),
            Some(known) if busy => Some(known + WEIGHT * (rate - known)),
            Some(known) => Some(known.max(rate)),
            None => None,
        };
    }

    /// Records a second of one busy member; `None` until one was seen busy.
    pub fn per_member(self) -> Option<f64> {
        self.per_member
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_member_teaches_nothing() {
        let mut rate = DrainRate::default();
        rate.observe(10, 50.0, 2);
        assert_eq!(rate.per_member(), None);
    }

    #[test]
    fn a_busy_member_teaches_its_rate_and_an_idle_one_can_only_raise_it() {
        let mut rate = DrainRate::default();
        rate.observe(10_000, 1_600.0, 2);
        assert_eq!(rate.per_member(), Some(800.0));
        rate.observe(0, 200.0, 2);
        assert_eq!(rate.per_member(), Some(800.0));
        rate.observe(0, 1_800.0, 2);
        assert_eq!(rate.per_member(), Some(900.0));
    }

    #[test]
    fn members_that_became_slower_are_noticed() {
        let mut rate = DrainRate::default();
        rate.observe(10_000, 1_600.0, 2);
        for _ in 0..20 {
            rate.observe(10_000, 800.0, 2);
        }
        assert!(rate.per_member().is_some_and(|rate| rate < 410.0), "{rate:?}");
    }
}
