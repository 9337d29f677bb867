//! What is simulated: workloads, their policies, and how fast pods are.

use std::time::Duration;

use crate::autoscaler::Policy;
use crate::planner::RebalancePolicy;

/// Everything but the load.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    /// Each on its own; in this order in tables and plots.
    pub workloads: Vec<Workload>,
    /// Deliveries that one message becomes.
    pub recipients: f64,
    /// Reports come, and decisions are made, this often.
    pub report_every: Duration,
    /// How long a slot is on its way from one member to another; nobody works on it meanwhile.
    pub handover: Duration,
}

/// One workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// As people read it.
    pub name: String,
    /// Members at the beginning.
    pub members: u32,
    /// Slots.
    pub slots: usize,
    /// How many members.
    pub autoscaling: Policy,
    /// Where the slots are.
    pub rebalancing: RebalancePolicy,
    /// What saturates it.
    pub demand: Demand,
    /// From being asked for to being ready.
    pub starts_in: Duration,
    /// From being asked to go to being gone, when its slots are gone before.
    pub drains_in: Duration,
}

/// What saturates a workload, and what one member should carry or can do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Demand {
    /// A gateway: it carries what there is, above its targets as well.
    Connections {
        /// Target.
        connections_per_member: f64,
        /// Target, a second.
        deliveries_per_member: f64,
    },
    /// A consumer: what it can't do at once waits.
    Backlog {
        /// What one member can do in a second. The autoscaler isn't told: it learns it from watching.
        messages_per_member: f64,
        /// In how much time a backlog should be worked off.
        drain_target: Duration,
    },
}

impl Default for Setup {
    /// A gateway and a logic with the targets and sizes that a `GoChatCluster` has by default. What pods can do is assumed:
    /// 2,000 messages a second for a logic, ready in 20 s.
    fn default() -> Self {
        let workload = |name: &str, members, slots, autoscaling, demand| Workload {
            name: name.into(),
            members,
            slots,
            autoscaling,
            rebalancing: RebalancePolicy::default(),
            demand,
            starts_in: Duration::from_secs(20),
            drains_in: Duration::from_secs(30),
        };
        let gateway =
            Demand::Connections { connections_per_member: 20_000.0, deliveries_per_member: 10_000.0 };
        let logic = Demand::Backlog { messages_per_member: 2_000.0, drain_target: Duration::from_secs(5) };
        Self {
            workloads: vec![
                workload("gateway", 3, 64, Policy::between(2, 20), gateway),
                workload("logic", 2, 16, Policy::between(2, 10), logic),
            ],
            recipients: 2.0,
            report_every: Duration::from_secs(5),
            handover: Duration::from_secs(2),
        }
    }
}
