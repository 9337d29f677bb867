//! How fast: no more than a step in a period, counted over what really happened (KEP-853).

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Policy;

/// The changes that were seen, whoever made them.
///
/// What was observed counts, not what was decided: a decision that nobody applied yet is made again, the same.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Pace {
    last: Option<u32>,
    /// What was decided last, and when: a change that follows a decision happened then, not when it was seen.
    decided: Option<(Duration, u32)>,
    changes: VecDeque<(Duration, i64)>,
}

impl Pace {
    /// Sees how many members are asked for now.
    pub(super) fn observe(&mut self, now: Duration, desired: u32, policy: &Policy) {
        let longest = policy.scale_up.period.max(policy.scale_down.period);
        while self.changes.front().is_some_and(|(at, _)| *at + longest <= now) {
            self.changes.pop_front();
        }
        let change = self.last.map_or(0, |last| i64::from(desired) - i64::from(last));
        if change != 0 {
            let when = self.decided.filter(|(_, decided)| *decided == desired).map_or(now, |(at, _)| at);
            match self.changes.back_mut() {
                // Two within the same second are one, so that nobody can make the list long.
                Some((at, last)) if at.as_secs() == when.as_secs() => *last += change,
                _ => self.changes.push_back((when, change)),
            }
        }
        self.last = Some(desired);
    }

    /// Notes a decision.
    pub(super) fn decided(&mut self, now: Duration, replicas: u32) {
        self.decided = Some((now, replicas));
    }

    /// The most members there may be now, coming from `from`.
    pub(super) fn most(&self, now: Duration, from: u32, policy: &Policy) -> u32 {
        let start = self.start(now, from, policy.scale_up.period);
        start.saturating_add(policy.scale_up.of(start)).max(from)
    }

    /// The fewest members there may be now, coming from `from`.
    pub(super) fn fewest(&self, now: Duration, from: u32, policy: &Policy) -> u32 {
        let start = self.start(now, from, policy.scale_down.period);
        start.saturating_sub(policy.scale_down.of(start)).min(from)
    }

    /// How many there were when the period began.
    fn start(&self, now: Duration, from: u32, period: Duration) -> u32 {
        let since: i64 = self
            .changes
            .iter()
            .rev()
            .take_while(|(at, _)| *at + period > now)
            .map(|(_, change)| change)
            .sum();
        u32::try_from((i64::from(from) - since).max(0)).unwrap_or(u32::MAX)
    }
}
