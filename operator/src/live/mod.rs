//! What moves by the second: load reports, placement, scaling, rebalances.

use std::collections::BTreeMap;

use gochat_crds::ScaledWorkload;

/// What the live part found out about one cluster, as the controller of clusters reads it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveView {
    /// How many pods the autoscaler wants; a workload without autoscaling, or without a decision yet, is not there.
    pub wanted: BTreeMap<ScaledWorkload, Wanted>,
    /// Whether the autoscaler can decide.
    pub scaling: Signal,
    /// How evenly load lies; `None` before there is a report.
    pub balance: Option<Balance>,
}

/// A decision of the autoscaler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// So many pods.
    pub replicas: u32,
    /// With the numbers behind it.
    pub reason: String,
}

/// Whether the autoscaler can decide.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Signal {
    /// No workload has autoscaling.
    #[default]
    Fixed,
    /// It decides.
    Active,
    /// It holds, since something is not known.
    Missing {
        /// What.
        why: String,
    },
}

/// How evenly load lies over the members.
#[derive(Clone, Debug, PartialEq)]
pub struct Balance {
    /// The hottest member's load over its share, over all placed workloads: 1.0 is even.
    pub hottest: f64,
    /// What that may be before slots are moved: `1.1` for `bandPercent: 10`.
    pub band: f64,
    /// For people, with the numbers.
    pub text: String,
}
