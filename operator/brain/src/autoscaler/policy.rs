//! What a person may choose about scaling, as numbers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a workload follows its load. The defaults are those of the `GoChatCluster` schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Never fewer members; at least 1.
    pub min: u32,
    /// Never more members; wins over everything else.
    pub max: u32,
    /// A need within this share of what is there changes nothing: 0.1 is a tenth, as in the HPA.
    pub tolerance: f64,
    /// What is needed now, times this, is there: 1.2 leaves a fifth for the next minute's growth.
    pub headroom: f64,
    /// How much may be added at a time. It holds in a panic too.
    pub scale_up: Step,
    /// How much may be removed at a time; each removal is a drain.
    pub scale_down: Step,
    /// Fewer only when fewer were enough for all of this time.
    pub stabilization_down: Duration,
    /// The mean of the load over this time decides about a panic, and how many are needed in a panic or where the
    /// members that are asked for would have more than they should carry.
    pub panic_window: Duration,
    /// A panic begins when the ready members have this many times what they should carry.
    pub panic_threshold: f64,
    /// The mean of the load over this time decides otherwise; a panic ends when it wasn't so for as long.
    pub stable_window: Duration,
    /// From asking for a member until it works. A backlog is given this time on top of its target: members that come
    /// later than the work is done are of no use.
    pub reaction: Duration,
    /// A reading older than this is no reading. Three reports of five seconds.
    pub stale_after: Duration,
}

impl Policy {
    /// The defaults between these bounds.
    pub fn between(min: u32, max: u32) -> Self {
        Self {
            min,
            max,
            tolerance: 0.1,
            headroom: 1.2,
            scale_up: Step { percent: 100, pods: 4, period: Duration::from_secs(15) },
            scale_down: Step { percent: 0, pods: 1, period: Duration::from_secs(60) },
            stabilization_down: Duration::from_secs(300),
            panic_window: Duration::from_secs(6),
            panic_threshold: 2.0,
            stable_window: Duration::from_secs(60),
            reaction: Duration::from_secs(30),
            stale_after: Duration::from_secs(15),
        }
    }
}

/// The most that changes in any `period`: the larger of the two, never less than one member (KEP-853, `selectPolicy: Max`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Per cent of the members that there were when the period began.
    pub percent: u32,
    /// Members.
    pub pods: u32,
    /// Over this time.
    pub period: Duration,
}

impl Step {
    /// The most members to add to or remove from `start` in one period.
    pub(super) fn of(self, start: u32) -> u32 {
        let share = u64::from(start).saturating_mul(u64::from(self.percent)).div_ceil(100);
        u32::try_from(share).unwrap_or(u32::MAX).max(self.pods).max(1)
    }
}
