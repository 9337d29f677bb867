//! One workload through the trace: the plane, and the same planner and autoscaler that run a cluster.

use std::time::Duration;

use super::plane::{Plane, seconds};
use super::run::{Entry, Lane as Recorded, Sample, What};
use super::setup::{Demand, Setup, Workload};
use super::trace::{Event, Row};
use crate::autoscaler::{self, Autoscaler, DrainRate, Frozen, Limit, Reading, Reason, Signal};
use crate::planner::{self, Rebalancer};

/// What is the case besides load.
#[derive(Clone, Copy, Debug, Default)]
struct Trouble {
    metrics_out: bool,
    dependency_out: bool,
    rollout: bool,
}

/// One workload while it is simulated.
pub(super) struct Lane<'a> {
    setup: &'a Setup,
    workload: &'a Workload,
    plane: Plane,
    autoscaler: Autoscaler,
    rebalancer: Rebalancer,
    drain_rate: DrainRate,
    trouble: Trouble,
    desired: u32,
    imbalance: f64,
    held: Option<String>,
    panics: bool,
    recorded: Recorded,
}

impl<'a> Lane<'a> {
    pub(super) fn new(setup: &'a Setup, workload: &'a Workload) -> Self {
        Self {
            setup,
            workload,
            plane: Plane::new(workload),
            autoscaler: Autoscaler::new(workload.autoscaling.clone()),
            rebalancer: Rebalancer::new(workload.rebalancing),
            drain_rate: DrainRate::default(),
            trouble: Trouble::default(),
            desired: workload.members,
            imbalance: 1.0,
            held: None,
            panics: false,
            recorded: Recorded::new(workload),
        }
    }

    /// One second under `row`; `begins` in its first.
    pub(super) fn second(&mut self, now: u32, row: &Row, begins: bool) {
        self.plane.skew(row.skew);
        if begins {
            for event in &row.events {
                self.happen(now, *event);
            }
        }
        self.plane.scale(now, self.desired, self.workload);
        self.plane.advance(now, row.messages, self.workload.demand, self.trouble.dependency_out);
        let moved = if now.is_multiple_of(seconds(self.setup.report_every).max(1)) {
            self.learn();
            self.scale(now, row);
            self.plane.scale(now, self.desired, self.workload);
            self.balance(now, row)
        } else {
            0
        };
        let sample = self.sample(now, row, moved);
        self.recorded.samples.push(sample);
    }

    pub(super) fn finish(self) -> Recorded {
        self.recorded
    }

    fn happen(&mut self, now: u32, event: Event) {
        match event {
            Event::MetricsOut => self.trouble.metrics_out = true,
            Event::MetricsBack => self.trouble.metrics_out = false,
            Event::DependencyOut => self.trouble.dependency_out = true,
            Event::DependencyBack => self.trouble.dependency_out = false,
            Event::Rollout => self.trouble.rollout = true,
            Event::RolloutDone => self.trouble.rollout = false,
            Event::MemberLost => self.plane.lose_one(),
        }
        self.note(now, What::Event(event));
    }

    /// Looks at how much each member did, where somebody can look.
    fn learn(&mut self) {
        if self.trouble.metrics_out {
            return;
        }
        for work in self.plane.works() {
            self.drain_rate.observe(whole(work.waiting), work.done, 1);
        }
    }

    /// The load of all members, in units of one member at its target.
    fn load(&self, row: &Row) -> f64 {
        match self.workload.demand {
            Demand::Connections { connections_per_member, deliveries_per_member } => {
                let deliveries = row.messages * self.setup.recipients / deliveries_per_member;
                deliveries.max(row.connections / connections_per_member)
            }
            Demand::Backlog { messages_per_member, .. } => row.messages / messages_per_member,
        }
    }

    fn signals(&self, row: &Row) -> Vec<Signal> {
        match self.workload.demand {
            Demand::Connections { connections_per_member, deliveries_per_member } => vec![
                Signal::PerMember {
                    name: "connections".into(),
                    total: row.connections,
                    target_per_member: connections_per_member,
                },
                Signal::PerMember {
                    name: "deliveries/s".into(),
                    total: row.messages * self.setup.recipients,
                    target_per_member: deliveries_per_member,
                },
            ],
            Demand::Backlog { drain_target, .. } => vec![Signal::Backlog {
                records: whole(self.plane.waiting()),
                drain_rate_per_member: self.drain_rate.per_member(),
                arrival_rate: row.messages,
                target: drain_target,
            }],
        }
    }

    fn scale(&mut self, now: u32, row: &Row) {
        let ready = self.plane.ready();
        let reading = |signal: Signal| {
            if self.trouble.metrics_out {
                Reading::missing(signal.name())
            } else {
                Reading::fresh(signal, ready)
            }
        };
        let frozen = if self.trouble.dependency_out {
            Some(Frozen::Dependency { what: "the database".into() })
        } else if self.trouble.rollout {
            Some(Frozen::Rollout)
        } else {
            (self.plane.handovers() > 0).then_some(Frozen::Handover)
        };
        let backlog = matches!(self.workload.demand, Demand::Backlog { .. });
        let observed = autoscaler::Observation {
            ready,
            desired: self.desired,
            signals: self.signals(row).into_iter().map(reading).collect(),
            frozen,
            floor: 0,
            ceiling: u32::try_from(self.workload.slots).ok().filter(|_| backlog),
        };
        let decision = self.autoscaler.decide(at(now), &observed);
        self.desired = decision.replicas;
        if decision.is_change() {
            self.held = None;
            self.panics = decision.panic_since.is_some();
            self.note(now, What::Scale(decision));
        } else {
            self.hold(now, decision);
        }
    }

    /// A decision that changes nothing is told when it is of another kind than the one before, and of interest.
    fn hold(&mut self, now: u32, decision: autoscaler::Decision) {
        let kind = match (&decision.reason, decision.limited_by) {
            (Reason::Missing { .. }, _) => Some("missing".to_owned()),
            (Reason::Frozen { by: by @ (Frozen::Rollout | Frozen::Dependency { .. }), .. }, _) => {
                Some(by.to_string())
            }
            (_, Some(limit @ (Limit::Max(_) | Limit::Ceiling(_)))) => Some(limit.to_string()),
            _ => None,
        };
        let panics = decision.panic_since.is_some();
        if kind.is_some() && kind != self.held || panics != self.panics {
            self.note(now, What::Scale(decision));
        }
        (self.held, self.panics) = (kind, panics);
    }

    /// Moves slots where that is due; how many.
    fn balance(&mut self, now: u32, row: &Row) -> usize {
        let work = match self.workload.demand {
            Demand::Connections { deliveries_per_member, .. } => {
                row.messages * self.setup.recipients / deliveries_per_member
            }
            Demand::Backlog { messages_per_member, .. } => row.messages / messages_per_member,
        };
        let observed = planner::Observation {
            slots: self.plane.slots(work),
            members: self.plane.members(),
            measured: !self.trouble.metrics_out,
            handovers: self.plane.handovers(),
        };
        let decision = self.rebalancer.decide(at(now), &observed);
        self.imbalance = decision.plan.after.imbalance();
        let moves = decision.plan.moves;
        if moves.is_empty() {
            return 0;
        }
        let sentences =
            moves.iter().map(|step| step.sentence(|position| self.member(position))).collect::<Vec<_>>();
        let (before, after) = (decision.plan.before.imbalance(), decision.plan.after.imbalance());
        self.plane.carry_out(now, &moves, seconds(self.setup.handover));
        let count = moves.len();
        self.note(now, What::Moves { moves, sentences, before, after });
        count
    }

    fn member(&self, position: usize) -> String {
        format!("{}-{}", self.workload.name, self.plane.id(position))
    }

    fn sample(&self, now: u32, row: &Row, moved: usize) -> Sample {
        let (load, ready) = (self.load(row), self.plane.ready());
        let (wait, over) = match self.workload.demand {
            Demand::Connections { .. } => (0.0, load > f64::from(ready)),
            Demand::Backlog { messages_per_member, drain_target } => {
                let waiting = self.plane.works().map(|work| work.waiting).fold(0.0, f64::max);
                let wait = waiting / messages_per_member;
                (wait, wait > drain_target.as_secs_f64())
            }
        };
        Sample {
            at: now,
            load,
            ready,
            desired: self.desired,
            wait,
            over,
            imbalance: self.imbalance,
            moved,
            panics: self.panics,
        }
    }

    fn note(&mut self, at: u32, what: What) {
        self.recorded.entries.push(Entry { at, what });
    }
}

fn at(now: u32) -> Duration {
    Duration::from_secs(now.into())
}

/// Records are whole.
fn whole(records: f64) -> u64 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of records, and saturating"
    )]
    let records = records.max(0.0) as u64;
    records
}
