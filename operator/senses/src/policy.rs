//! What a person asks for, as the brain takes it. Pure.

use gochat_brain::autoscaler::{Policy as ScalingPolicy, Step};
use gochat_brain::planner::{Policy, RebalancePolicy};
use gochat_crds::{Autoscaling, Behavior, Rebalance};

/// How patient the planner is.
pub fn rebalancing(settings: &Rebalance) -> RebalancePolicy {
    let defaults = RebalancePolicy::default();
    let policy = Policy {
        band_relative: f64::from(settings.band_percent) / 100.0,
        max_moves: usize::try_from(settings.max_moves).unwrap_or(usize::MAX),
        ..defaults.policy
    };
    RebalancePolicy { policy, patience: settings.patience.0, cool_down: settings.cool_down.0, ..defaults }
}

/// How a workload follows its load.
pub(crate) fn scaling<T: Default>(autoscaling: &Autoscaling<T>) -> ScalingPolicy {
    let Behavior { headroom_percent, tolerance_percent, scale_up, scale_down } = &autoscaling.behavior;
    let percent = |percent: u32| f64::from(percent) / 100.0;
    let defaults = ScalingPolicy::between(autoscaling.min, autoscaling.max);
    ScalingPolicy {
        tolerance: percent(*tolerance_percent),
        headroom: 1.0 + percent(*headroom_percent),
        scale_up: Step { percent: scale_up.step_percent, ..defaults.scale_up },
        scale_down: Step { percent: 0, pods: scale_down.step_pods, ..defaults.scale_down },
        stabilization_down: scale_down.stabilization_window.0,
        panic_window: scale_up.panic_window.0,
        panic_threshold: percent(scale_up.panic_percent),
        ..defaults
    }
}
