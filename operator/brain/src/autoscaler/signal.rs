//! What saturates a workload, as it was measured, and how many members that asks for.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a signal is called where people read of it: `connections`, `cpu cores`, `backlog`.
pub type Name = Cow<'static, str>;

/// One measured quantity with its target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// Something that members share: connections, deliveries a second, CPU cores, calls in flight.
    PerMember {
        /// Plural, with its unit when it has one.
        name: Name,
        /// Over all members.
        total: f64,
        /// What one member should carry; more than 0.
        target_per_member: f64,
    },
    /// How long calls take. It only asks for more members or for keeping those there are: a latency under its target
    /// doesn't say how many fewer would do.
    Latency {
        /// Of what.
        name: Name,
        /// Over the last report.
        p99: Duration,
        /// What it should be.
        target: Duration,
    },
    /// Work that waits in a log.
    Backlog {
        /// Records between the committed offsets and the ends of all partitions.
        records: u64,
        /// What one member works off in a second when it is never idle, **measured while there was a backlog**
        /// ([`DrainRate`](super::DrainRate) does). `None`: never seen busy.
        drain_rate_per_member: Option<f64>,
        /// New records a second.
        arrival_rate: f64,
        /// In how much time the records should be worked off once the members for it are there.
        target: Duration,
    },
}

impl Signal {
    /// Its name where people read of it.
    pub fn name(&self) -> Name {
        match self {
            Self::PerMember { name, .. } | Self::Latency { name, .. } => name.clone(),
            Self::Backlog { .. } => "backlog".into(),
        }
    }

    /// The number that is averaged over a window; `None` when it can't be used.
    pub(super) fn measure(&self, policy: &super::Policy) -> Option<f64> {
        let measure = match self {
            Self::PerMember { total, .. } => *total,
            Self::Latency { p99, .. } => p99.as_secs_f64(),
            Self::Backlog { records, arrival_rate, target, .. } => {
                // A float of a count: exact far beyond any backlog.
                arrival_rate + *records as f64 / (*target + policy.reaction).as_secs_f64().max(1.0)
            }
        };
        (measure.is_finite() && measure >= 0.0).then_some(measure)
    }

    /// Whether twice its target means twice the load. A latency doubles long before that.
    pub(super) fn may_panic(&self) -> bool {
        !matches!(self, Self::Latency { .. })
    }

    /// How many members would carry `measure` at their targets.
    pub(super) fn vote(&self, measure: f64, policy: &super::Policy, ready: u32, desired: u32) -> Vote {
        match self {
            Self::PerMember { target_per_member, .. } => {
                Vote::of(measure, *target_per_member, policy.headroom)
            }
            Self::Backlog { drain_rate_per_member: Some(rate), .. } => {
                Vote::of(measure, *rate, policy.headroom)
            }
            // Nothing waits longer than its second: nobody was ever late, and there is nothing to be learned from it.
            Self::Backlog { records, arrival_rate, .. } if *records as f64 <= *arrival_rate => Vote::Abstains,
            Self::Backlog { .. } => Vote::Unusable,
            Self::Latency { target, .. } => {
                let ratio = measure / target.as_secs_f64();
                let desired = f64::from(desired);
                if !ratio.is_finite() {
                    Vote::Unusable
                } else if ratio > 1.0 + policy.tolerance {
                    // Latency isn't proportional to load, so one measurement at most doubles.
                    let load = (f64::from(ready) * ratio.min(2.0)).max(desired);
                    Vote::Needs { load, need: load }
                } else if ratio >= 0.5 {
                    Vote::Needs { load: desired, need: desired }
                } else {
                    Vote::Abstains
                }
            }
        }
    }
}

/// What one signal says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Vote {
    /// `load` is what the members have in units of one member at its target; `need` is that with headroom.
    Needs { load: f64, need: f64 },
    /// Says nothing about how many.
    Abstains,
    /// As good as missing.
    Unusable,
}

impl Vote {
    fn of(measure: f64, per_member: f64, headroom: f64) -> Self {
        let load = measure / per_member;
        if load.is_finite() && load >= 0.0 {
            Self::Needs { load, need: load * headroom }
        } else {
            Self::Unusable
        }
    }
}

/// A signal as it reached us, or that it did not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// Measured.
    Measured {
        /// What.
        signal: Signal,
        /// How long ago; the oldest part counts.
        age: Duration,
        /// Of how many of the ready members. Fewer than all: the others count as idle when it is about more members,
        /// and forbid fewer.
        members: u32,
    },
    /// It should be there and isn't.
    Missing {
        /// Its name.
        name: Name,
    },
}

impl Reading {
    /// Measured just now, of so many members.
    pub fn fresh(signal: Signal, members: u32) -> Self {
        Self::Measured { signal, age: Duration::ZERO, members }
    }

    /// It should be there and isn't.
    pub fn missing(name: impl Into<Name>) -> Self {
        Self::Missing { name: name.into() }
    }

    pub(super) fn name(&self) -> Name {
        match self {
            Self::Measured { signal, .. } => signal.name(),
            Self::Missing { name } => name.clone(),
        }
    }
}
