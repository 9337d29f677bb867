//! What a slot's load is in the planner's unit: the fraction of one member's capacity that it takes. Pure.
//!
//! The sum of what the slot does and what it holds, each over what one member could do of that alone:
//!
//! | part | a gateway's capacity | of logic and task |
//! | --- | --- | --- |
//! | records a second | `targets.deliveriesPerSecond` | 10,000 |
//! | bytes a second | 100 MiB | 100 MiB |
//! | records that wait | what it does in 5 s | in `targets.drainTime` |
//! | users with a session | `targets.connections` | – |
//!
//! Only ratios move slots, so what matters is how the parts compare. A backlog counts as one member at most: it says that a
//! slot is late, not how much work there is. And a slot costs something when it is idle ([`IDLE`]): a member that just came
//! takes its share of slots before the load comes, not half a minute after.
//!
//! # Caveats
//! A slot that nobody reports has the load that it had last.

use gochat_crds::{GoChatClusterSpec, PlacedWorkload};
use gochat_proto::ops::SlotLoad;

/// What all idle slots of a workload cost together.
const IDLE: f64 = 0.25;
const MEBIBYTE: f64 = 1_048_576.0;

/// What one member of a workload can do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Capacity {
    records: f64,
    bytes: f64,
    lag: f64,
    users: f64,
}

impl Capacity {
    /// By the spec's targets, or their defaults.
    pub fn of(spec: &GoChatClusterSpec, workload: PlacedWorkload) -> Self {
        let bytes = 100.0 * MEBIBYTE;
        let consumer = |autoscaling: Option<&gochat_crds::Autoscaling<gochat_crds::ConsumerTargets>>| {
            let targets = autoscaling.map(|a| a.targets.clone()).unwrap_or_default();
            let records = 10_000.0;
            let lag = records * targets.drain_time.0.as_secs_f64().max(1.0);
            Self { records, bytes, lag, users: f64::INFINITY }
        };
        match workload {
            PlacedWorkload::Gateway => {
                let targets =
                    spec.gateway.autoscaling.as_ref().map(|a| a.targets.clone()).unwrap_or_default();
                let records = f64::from(targets.deliveries_per_second);
                Self { records, bytes, lag: records * 5.0, users: f64::from(targets.connections) }
            }
            PlacedWorkload::Logic => consumer(spec.logic.autoscaling.as_ref()),
            PlacedWorkload::Task => consumer(spec.task.autoscaling.as_ref()),
        }
    }

    /// The load of one of `slots` slots.
    pub fn load(&self, slot: &SlotLoad, slots: usize) -> f64 {
        let part =
            |amount: f64, capacity: f64| if amount.is_finite() { amount.max(0.0) / capacity } else { 0.0 };
        part(slot.records_per_second, self.records)
            + part(slot.bytes_per_second, self.bytes)
            + part(slot.lag as f64, self.lag).min(1.0)
            + part(slot.users as f64, self.users)
            + Self::idle(slots)
    }

    /// The load of one of `slots` slots of which nothing is known.
    pub fn idle(slots: usize) -> f64 {
        IDLE / (slots.max(1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot() -> SlotLoad {
        SlotLoad { slot: 3, ..SlotLoad::default() }
    }

    #[test]
    fn a_load_of_one_is_what_one_member_is_meant_to_carry() {
        let gateway = Capacity::of(&GoChatClusterSpec::default(), PlacedWorkload::Gateway);
        let close =
            |load: f64, expected: f64| assert!((load - expected - Capacity::idle(64)).abs() < 1e-9, "{load}");
        close(gateway.load(&slot(), 64), 0.0);
        close(gateway.load(&SlotLoad { records_per_second: 10_000.0, ..slot() }, 64), 1.0);
        close(gateway.load(&SlotLoad { users: 10_000, ..slot() }, 64), 0.5);
        let logic = Capacity::of(&GoChatClusterSpec::default(), PlacedWorkload::Logic);
        close(logic.load(&SlotLoad { lag: 25_000, users: 7, ..slot() }, 64), 0.5);
        close(logic.load(&SlotLoad { lag: 1 << 40, ..slot() }, 64), 1.0);
        close(logic.load(&SlotLoad { records_per_second: f64::NAN, ..slot() }, 64), 0.0);
    }
}
