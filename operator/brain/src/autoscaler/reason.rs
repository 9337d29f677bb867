//! Why, with the numbers behind it: for a person to read, and for a program as JSON.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::signal::{Name, Signal};
use crate::words::{Amount, Clock, Seconds};

/// What one signal showed, and how many members that asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// As it was read last.
    pub signal: Signal,
    /// Its mean over `over`: the total, the latency in seconds, or the records a second that have to be worked off.
    pub measure: f64,
    /// The window of the mean.
    pub over: Duration,
    /// What the members have, in units of one member at its target.
    pub load: f64,
    /// That with headroom.
    pub need: f64,
    /// The factor between them, where it is applied.
    pub headroom: f64,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let measure = Amount(self.measure);
        match &self.signal {
            Signal::PerMember { name, target_per_member, .. } => {
                write!(f, "{measure} {name} / {} per pod", Amount(*target_per_member))?;
            }
            Signal::Latency { name, target, .. } => {
                let measured = Seconds(Duration::try_from_secs_f64(self.measure).unwrap_or_default());
                return write!(f, "p99 of {name} is {measured}, target {}", Seconds(*target));
            }
            Signal::Backlog { records, drain_rate_per_member, .. } => {
                let rate = Amount(drain_rate_per_member.unwrap_or_default());
                write!(f, "{measure}/s to work off")?;
                if *records > 0 {
                    write!(f, " with {} waiting", Amount(*records as f64))?;
                }
                write!(f, " / {rate}/s per pod")?;
            }
        }
        write!(f, " × {} headroom", Amount(self.headroom))
    }
}

/// Why nothing may change for the moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Frozen {
    /// Pods are being replaced.
    Rollout,
    /// Slots are on their way from one member to another.
    Handover,
    /// Something that the members need is away: more of them would only make it worse, fewer would be missed after.
    Dependency {
        /// Which: `kafka`, `mysql`.
        what: Name,
    },
}

impl fmt::Display for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rollout => f.write_str("a rollout runs"),
            Self::Handover => f.write_str("slots are being handed over"),
            Self::Dependency { what } => write!(f, "{what} is away"),
        }
    }
}

/// Why this many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The load asks for them.
    Load(Evidence),
    /// The load asks for nearly as many as there are.
    Tolerance(Evidence),
    /// Fewer would do, but not for long enough yet.
    Stabilizing {
        /// The load.
        evidence: Evidence,
        /// How many would do.
        wanted: u32,
        /// More are kept until then.
        until: Duration,
    },
    /// Fewer would do, but a panic never shrinks.
    Panicking {
        /// The load.
        evidence: Evidence,
        /// How many would do.
        wanted: u32,
    },
    /// Another number would do, but not now.
    Frozen {
        /// What is going on.
        by: Frozen,
        /// How many would do; `None` where the load was not looked at.
        wanted: Option<u32>,
    },
    /// Too little is known to have fewer.
    Missing {
        /// The signals without a usable reading.
        names: Vec<Name>,
    },
    /// No signal says how many.
    Silent,
    /// The bounds leave no choice.
    Bounds,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load(evidence) => evidence.fmt(f),
            Self::Tolerance(evidence) => write!(f, "{evidence} is near enough"),
            Self::Stabilizing { evidence, wanted, until } => {
                write!(f, "{evidence} would need {wanted}; waiting until {} to be sure", Clock(*until))
            }
            Self::Panicking { evidence, wanted } => {
                write!(f, "{evidence} would need {wanted}; none is removed in a panic")
            }
            Self::Frozen { by, wanted: Some(wanted) } => write!(f, "would be {wanted}, but {by}"),
            Self::Frozen { by, wanted: None } => write!(f, "held: {by}"),
            Self::Missing { names } => write!(f, "held: no data of {}", names.join(", ")),
            Self::Silent => f.write_str("held: no signal says how many"),
            Self::Bounds => f.write_str("set by the bounds"),
        }
    }
}

/// What kept the number from being what the load asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// The policy's minimum.
    Min(u32),
    /// The policy's maximum.
    Max(u32),
    /// What slots and drains need.
    Floor(u32),
    /// More members than slots would have nothing to do.
    Ceiling(u32),
    /// No more may be added in this period.
    StepUp(u32),
    /// No more may be removed in this period.
    StepDown(u32),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Min(min) => write!(f, "min is {min}"),
            Self::Max(max) => write!(f, "max is {max}"),
            Self::Floor(floor) => write!(f, "slots and drains need {floor}"),
            Self::Ceiling(slots) => write!(f, "there is no work for more than {slots}"),
            Self::StepUp(most) => write!(f, "at most {most} in this step"),
            Self::StepDown(fewest) => write!(f, "at least {fewest} in this step"),
        }
    }
}

/// How many members there should be, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// How many there were asked for.
    pub from: u32,
    /// How many there should be.
    pub replicas: u32,
    /// Why.
    pub reason: Reason,
    /// There is a panic since then.
    pub panic_since: Option<Duration>,
    /// What kept the number from being what the load asks for.
    pub limited_by: Option<Limit>,
    /// Signals without a usable reading: the decision was made without them.
    pub missing: Vec<Name>,
}

impl Decision {
    /// It changes the number.
    pub fn is_change(&self) -> bool {
        self.from != self.replicas
    }
}

/// `3 → 5: 41,200 connections / 10,000 per pod × 1.2 headroom; panic since 12:01:06`; the caller puts the workload's
/// name before it.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_change() {
            write!(f, "{} → {}: {}", self.from, self.replicas, self.reason)?;
        } else {
            write!(f, "{}: {}", self.replicas, self.reason)?;
        }
        if let Some(limit) = self.limited_by {
            write!(f, "; {limit}")?;
        }
        if let Some(since) = self.panic_since {
            write!(f, "; panic since {}", Clock(since))?;
        }
        if !self.missing.is_empty() && !matches!(self.reason, Reason::Missing { .. }) {
            write!(f, "; no data of {}", self.missing.join(", "))?;
        }
        Ok(())
    }
}
