//! When to act: the stateful shell of the planner, with time as a parameter.
//!
//! Slots that nobody works on are dealt at once, and draining members are emptied at once. What is only unevenly spread
//! moves when it has been so for a while, when no handover runs, and never the same slot twice in a short time.
//!
//! The state is plain data: as JSON it can be kept, shown, and decided from again.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Balance, MemberState, MoveReason, Plan, Policy, Problem, Scope, SlotState, plan};

/// How patient to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RebalancePolicy {
    /// How uneven is too uneven, and how much may move at once.
    pub policy: Policy,
    /// For how long a member has to be above the band before slots leave it.
    pub patience: Duration,
    /// For how long a slot that was moved stays.
    pub cool_down: Duration,
    /// The least time between two plans that take slots off members that work on them.
    pub min_interval: Duration,
}

impl Default for RebalancePolicy {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            patience: Duration::from_secs(30),
            cool_down: Duration::from_secs(120),
            min_interval: Duration::from_secs(5),
        }
    }
}

/// What is so now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Each slot. Mid-handover ones are pinned by the caller; those cooling down by the rebalancer.
    pub slots: Vec<SlotState>,
    /// Each member; the order may change from one observation to the next.
    pub members: Vec<MemberState>,
    /// Whether the loads are all measured. If not, nothing moves for the sake of balance.
    pub measured: bool,
    /// Handovers that run.
    pub handovers: usize,
}

/// What to do now, and what of that is left for later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Carry this out, where it is not empty.
    pub plan: Plan,
    /// What is the case with the balance.
    pub outlook: Outlook,
}

/// What is the case with the balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outlook {
    /// Nobody is above the band.
    Balanced,
    /// Somebody is, and that is not known for long enough.
    Patient {
        /// Since when somebody is.
        since: Duration,
        /// When slots will move if it goes on.
        until: Duration,
    },
    /// Somebody is, but handovers run.
    HandingOver {
        /// How many.
        handovers: usize,
    },
    /// Somebody is, but the last plan is too recent.
    Resting {
        /// When the next may be.
        until: Duration,
    },
    /// Nobody knows: loads are missing.
    Unmeasured,
    /// The plan moves slots away from where there are too many.
    Acting,
    /// Somebody is, and no move makes it better.
    Stuck {
        /// Slots that would be free to move but for a handover or their cool-down.
        pinned: usize,
    },
}

/// Decides when to act; one for each placed workload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rebalancer {
    policy: RebalancePolicy,
    /// Since when somebody is above the band.
    outside_since: Option<Duration>,
    /// When slots were last taken off members that work on them.
    last_plan: Option<Duration>,
    /// Until when a slot stays where it is.
    cooling: BTreeMap<usize, Duration>,
}

impl Rebalancer {
    /// Knows of nothing yet: after a restart it has to see `patience` of imbalance anew.
    pub fn new(policy: RebalancePolicy) -> Self {
        Self { policy, ..Self::default() }
    }

    /// From the next decision on.
    pub fn set_policy(&mut self, policy: RebalancePolicy) {
        self.policy = policy;
    }

    /// What to do at `now`, which is since any origin and never goes back.
    pub fn decide(&mut self, now: Duration, observed: &Observation) -> Decision {
        self.cooling.retain(|_, until| *until > now);
        let mut problem = Problem {
            slots: observed.slots.clone(),
            members: observed.members.clone(),
            policy: self.policy.policy,
        };
        for (slot, state) in problem.slots.iter_mut().enumerate() {
            state.pinned |= self.cooling.contains_key(&slot);
        }
        let rested = self.last_plan.map_or(now, |last| last + self.policy.min_interval);
        let free = problem.policy.max_moves.saturating_sub(observed.handovers);
        problem.policy.max_moves = if rested > now { 0 } else { free };

        let first = plan(&problem, Scope::Homeless);
        let (plan, outlook) = match self.hold(now, rested, observed, first.after) {
            Some(outlook) => (first, outlook),
            None => self.act(&problem),
        };
        self.note(now, &problem, &plan);
        Decision { plan, outlook }
    }

    /// Why nothing moves for the sake of balance, where nothing does.
    fn hold(
        &mut self,
        now: Duration,
        rested: Duration,
        observed: &Observation,
        balance: Balance,
    ) -> Option<Outlook> {
        if !observed.measured {
            self.outside_since = None;
            return Some(Outlook::Unmeasured);
        }
        if balance.within_band() {
            self.outside_since = None;
            return Some(Outlook::Balanced);
        }
        let since = *self.outside_since.get_or_insert(now);
        let until = since + self.policy.patience;
        if until > now {
            return Some(Outlook::Patient { since, until });
        }
        if observed.handovers > 0 {
            return Some(Outlook::HandingOver { handovers: observed.handovers });
        }
        (rested > now).then_some(Outlook::Resting { until: rested })
    }

    fn act(&mut self, problem: &Problem) -> (Plan, Outlook) {
        let plan = plan(problem, Scope::Everything);
        if plan.moves.iter().any(|m| matches!(m.reason, MoveReason::Surplus { .. })) {
            if plan.complete {
                self.outside_since = None;
            }
            return (plan, Outlook::Acting);
        }
        let pinned = problem.slots.iter().filter(|s| s.pinned).count();
        (plan, Outlook::Stuck { pinned })
    }

    fn note(&mut self, now: Duration, problem: &Problem, plan: &Plan) {
        let until = now + self.policy.cool_down;
        self.cooling.extend(plan.moves.iter().map(|m| (m.slot, until)));
        let worked_on = |reason| matches!(reason, MoveReason::Surplus { .. } | MoveReason::MemberDraining);
        if problem.policy.max_moves > 0 && plan.moves.iter().any(|m| worked_on(m.reason)) {
            self.last_plan = Some(now);
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let balance = &self.plan.after;
        if !self.plan.is_empty() {
            write!(f, "{} slots move; ", self.plan.moves.len())?;
        }
        write!(f, "hottest at {:.2} of its share, band {:.2}: ", balance.imbalance(), balance.limit())?;
        self.outlook.fmt(f)
    }
}

impl fmt::Display for Outlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Balanced => f.write_str("balanced"),
            Self::Patient { since, until } => {
                write!(f, "above the band since {} s, slots move at {} s", since.as_secs(), until.as_secs())
            }
            Self::HandingOver { handovers } => write!(f, "waits for {handovers} handovers"),
            Self::Resting { until } => write!(f, "the next plan is at {} s", until.as_secs()),
            Self::Unmeasured => f.write_str("loads are missing, nothing moves for balance"),
            Self::Acting => f.write_str("slots leave members above the band"),
            Self::Stuck { pinned: 0 } => f.write_str("no move makes it better: the slots are too coarse"),
            Self::Stuck { pinned } => write!(f, "no move makes it better, with {pinned} slots pinned"),
        }
    }
}
