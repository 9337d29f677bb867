//! How many members a workload needs, and why.
//!
//! ```text
//! signal      what was measured, its target, and how many members it asks for
//! loads       the readings of all signals, their means, and the largest answer
//! window      means of the load; the highest recommendation of the recent past
//! panic       load that doubled within seconds
//! pace        at most a step in a period
//! reason      why, with the numbers behind it
//! drain_rate  what one member works off in a second, learned from watching
//! ```
//!
//! The rules and where they come from are in `README.md` beside this file. No clock and no names here: time is a
//! `Duration` since an origin of the caller's that never goes back. With the Unix epoch as origin, reasons read as UTC.

mod drain_rate;
mod loads;
mod pace;
mod panic;
mod policy;
mod reason;
mod signal;
mod window;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use loads::{Loads, Seen, larger};
use pace::Pace;
use panic::Panic;
use window::Highest;

pub use drain_rate::DrainRate;
pub use policy::{Policy, Step};
pub use reason::{Decision, Evidence, Frozen, Limit, Reason};
pub use signal::{Name, Reading, Signal};

/// What is true of a workload now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Members that serve.
    pub ready: u32,
    /// Members that are asked for.
    pub desired: u32,
    /// Every signal that the workload has, also those that are missing now.
    pub signals: Vec<Reading>,
    /// What forbids a change for the moment.
    pub frozen: Option<Frozen>,
    /// What slots and drains need; 0 when they need nothing.
    pub floor: u32,
    /// More members than this have no work: a backlog's partitions.
    pub ceiling: Option<u32>,
}

/// Decides how many members a workload needs; remembers what it has to of the past.
///
/// # Guarantees
/// The decision lies within `max(min, floor)` and `max`. Missing data and a panic never shrink. Under a constant load it
/// comes to rest. The same calls give the same decisions. The memory is bounded by the windows, whatever the rate of calls.
///
/// # Assumptions
/// A decision is applied, or made again: it is repeated until `desired` follows.
///
/// # Caveats
/// A new one (after a restart) keeps at least what it finds for a whole stabilisation window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Autoscaler {
    policy: Policy,
    loads: Loads,
    recommended: Highest,
    panic: Panic,
    pace: Pace,
}

/// What the load asks for, before steps and bounds.
struct Wish {
    replicas: u32,
    reason: Reason,
    limit: Option<Limit>,
}

impl Autoscaler {
    /// One that has seen nothing yet.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            loads: Loads::default(),
            recommended: Highest::default(),
            panic: Panic::default(),
            pace: Pace::default(),
        }
    }

    /// The same memory under another policy.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// How many members there should be at `now`.
    pub fn decide(&mut self, now: Duration, observed: &Observation) -> Decision {
        let from = observed.desired;
        self.pace.observe(now, from, &self.policy);
        if self.recommended.is_empty() {
            self.recommend(now, from);
        }
        let (wish, missing) = match &observed.frozen {
            // What is measured while it is away is its absence, not the load.
            Some(by @ Frozen::Dependency { .. }) => {
                self.panic.update(now, None, observed.ready, &self.policy);
                self.recommend(now, from);
                (Wish::hold(from, Reason::Frozen { by: by.clone(), wanted: None }), Vec::new())
            }
            _ => self.follow(now, observed),
        };
        let Wish { mut replicas, mut reason, limit: mut limited_by } = self.paced(now, from, wish);
        let (bounded, limit) = self.bound(observed, replicas, None);
        if bounded != replicas {
            (replicas, limited_by) = (bounded, limit);
            if !matches!(reason, Reason::Load(_)) {
                reason = Reason::Bounds;
            }
        }
        self.pace.decided(now, replicas);
        Decision { from, replicas, reason, panic_since: self.panic.since(), limited_by, missing }
    }

    /// Follows the load, where that is allowed.
    fn follow(&mut self, now: Duration, observed: &Observation) -> (Wish, Vec<Name>) {
        let from = observed.desired;
        let Seen { stable, recent, missing } = self.loads.see(now, observed, &self.policy);
        self.panic.update(now, recent.as_ref().map(|evidence| evidence.load), observed.ready, &self.policy);
        let panics = self.panic.since().is_some();
        // Headroom that is used up can wait for the slow mean; members above their targets can't.
        let recent = recent.filter(|evidence| panics || evidence.load > f64::from(from));
        let evidence = larger(stable, recent);
        let Some(evidence) = evidence else {
            self.recommend(now, from);
            let reason =
                if missing.is_empty() { Reason::Silent } else { Reason::Missing { names: missing.clone() } };
            return (Wish::hold(from, reason), missing);
        };

        let near = (evidence.need / f64::from(from.max(1)) - 1.0).abs() <= self.policy.tolerance;
        let asked = if near { from } else { whole(evidence.need) };
        let (wanted, limit) = self.bound(observed, asked, observed.ceiling);
        let kept = if panics || !missing.is_empty() { wanted.max(from) } else { wanted };
        self.recommend(now, kept);

        let wish = if wanted > from {
            match &observed.frozen {
                // Headroom can wait; load beyond what the members should carry can't.
                Some(by) if !panics && evidence.load <= f64::from(from) => {
                    Wish::hold(from, Reason::Frozen { by: by.clone(), wanted: Some(wanted) })
                }
                _ => Wish { replicas: wanted, reason: Reason::Load(evidence), limit },
            }
        } else if wanted == from {
            let reason = if near { Reason::Tolerance(evidence) } else { Reason::Load(evidence) };
            Wish { replicas: from, reason, limit }
        } else if panics {
            Wish::hold(from, Reason::Panicking { evidence, wanted })
        } else if !missing.is_empty() {
            Wish::hold(from, Reason::Missing { names: missing.clone() })
        } else if let Some(by) = &observed.frozen {
            Wish::hold(from, Reason::Frozen { by: by.clone(), wanted: Some(wanted) })
        } else {
            let highest = self.recommended.get().unwrap_or(from).max(wanted);
            if highest < from {
                Wish { replicas: highest, reason: Reason::Load(evidence), limit }
            } else {
                let last = self.recommended.last_at_least(from).unwrap_or(now);
                let until = last + self.policy.stabilization_down;
                Wish::hold(from, Reason::Stabilizing { evidence, wanted, until })
            }
        };
        (wish, missing)
    }

    fn recommend(&mut self, now: Duration, replicas: u32) {
        self.recommended.record(now, replicas, self.policy.stabilization_down);
    }

    /// No faster than the steps allow.
    fn paced(&self, now: Duration, from: u32, wish: Wish) -> Wish {
        let most = self.pace.most(now, from, &self.policy);
        let fewest = self.pace.fewest(now, from, &self.policy);
        if wish.replicas > most {
            Wish { replicas: most, limit: Some(Limit::StepUp(most)), ..wish }
        } else if wish.replicas < fewest {
            Wish { replicas: fewest, limit: Some(Limit::StepDown(fewest)), ..wish }
        } else {
            wish
        }
    }

    /// Within the bounds, and which bound it was that changed the number. `max` is the person's word, and wins.
    fn bound(&self, observed: &Observation, wanted: u32, ceiling: Option<u32>) -> (u32, Option<Limit>) {
        let Policy { min, max, .. } = self.policy;
        let (mut replicas, mut limit) = (wanted, None);
        if let Some(ceiling) = ceiling.filter(|ceiling| replicas > *ceiling) {
            (replicas, limit) = (ceiling, Some(Limit::Ceiling(ceiling)));
        }
        if replicas < observed.floor {
            (replicas, limit) = (observed.floor, Some(Limit::Floor(observed.floor)));
        }
        if replicas < min {
            (replicas, limit) = (min, Some(Limit::Min(min)));
        }
        if replicas > max {
            (replicas, limit) = (max, Some(Limit::Max(max)));
        }
        (replicas, limit)
    }
}

impl Wish {
    fn hold(from: u32, reason: Reason) -> Self {
        Self { replicas: from, reason, limit: None }
    }
}

/// The next whole number of members; a sum of floats that should be 3 is 3.
fn whole(need: f64) -> u32 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded on the line itself")]
    let replicas = (need - 1e-9).ceil().clamp(0.0, f64::from(u32::MAX)) as u32;
    replicas
}
