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

use super::{MemberPhase, MemberState, Move, MoveReason, Plan, Policy, Problem, Scope, SlotState, plan};

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
    /// What was observed makes no sense; the plan's `fault` says why.
    Faulty,
    /// There is no active member to own anything.
    NoMember,
    /// Somebody is, but draining members take the whole budget.
    Evacuating,
    /// The plan moves slots away from where there are too many.
    Acting,
    /// Somebody is, and no move makes it better.
    Stuck {
        /// Slots that may not move, for a handover or their cool-down.
        pinned: usize,
    },
}

/// Decides when to act; one for each placed workload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rebalancer {
    settings: RebalancePolicy,
    /// Since when somebody is above the band who could be relieved.
    above_since: Option<Duration>,
    /// When slots were last taken off members that work on them.
    last_plan: Option<Duration>,
    /// Until when a slot stays where it is.
    cooling: BTreeMap<usize, Duration>,
}

impl Rebalancer {
    /// Knows of nothing yet: after a restart it has to see `patience` of imbalance anew.
    pub fn new(policy: RebalancePolicy) -> Self {
        Self { settings: policy, ..Self::default() }
    }

    /// From the next decision on.
    pub fn set_policy(&mut self, policy: RebalancePolicy) {
        self.settings = policy;
    }

    /// What to do at `now`, which is since any origin and never goes back.
    pub fn decide(&mut self, now: Duration, observed: &Observation) -> Decision {
        let rested = self.last_plan.map_or(now, |last| last + self.settings.min_interval);
        let mut problem = self.problem(now, observed);
        let full = plan(&problem, Scope::Everything);
        let outlook = self.outlook(now, rested, observed, &problem, &full);
        let plan = if outlook == Outlook::Acting {
            full
        } else {
            // Draining members are emptied all the same, by handovers that are never more than a plan's moves.
            let budget = if rested > now { 0 } else { self.settings.policy.max_moves };
            problem.policy.max_moves = budget.saturating_sub(observed.handovers);
            plan(&problem, Scope::Homeless)
        };
        self.note(now, &plan);
        Decision { plan, outlook }
    }

    fn problem(&mut self, now: Duration, observed: &Observation) -> Problem {
        self.cooling.retain(|_, until| *until > now);
        let mut slots = observed.slots.clone();
        for (slot, state) in slots.iter_mut().enumerate() {
            state.pinned |= self.cooling.contains_key(&slot);
        }
        Problem { slots, members: observed.members.clone(), policy: self.settings.policy }
    }

    /// What is the case, given what would be done about it (`full`) if it were for the loads alone.
    ///
    /// The clock of patience runs while there is something to win. A member that is hot for good, by a slot that is
    /// larger than any share, would otherwise make everybody else's passing peaks look old.
    fn outlook(
        &mut self,
        now: Duration,
        rested: Duration,
        observed: &Observation,
        problem: &Problem,
        full: &Plan,
    ) -> Outlook {
        if full.fault.is_some() {
            return Outlook::Faulty;
        }
        if !observed.members.iter().any(|m| m.state == MemberPhase::Active) {
            return Outlook::NoMember;
        }
        if !observed.measured {
            self.above_since = None;
            return Outlook::Unmeasured;
        }
        if !full.moves.iter().any(|m| matches!(m.reason, MoveReason::Surplus { .. })) {
            if full.after.within_band() {
                self.above_since = None;
                return Outlook::Balanced;
            }
            if !full.complete {
                return Outlook::Evacuating;
            }
            self.above_since = None;
            let pinned = problem.slots.iter().filter(|s| s.pinned).count();
            return Outlook::Stuck { pinned };
        }
        let since = *self.above_since.get_or_insert(now);
        let until = since + self.settings.patience;
        if until > now && !employs(observed, full) {
            Outlook::Patient { since, until }
        } else if observed.handovers > 0 {
            Outlook::HandingOver { handovers: observed.handovers }
        } else if rested > now {
            Outlook::Resting { until: rested }
        } else {
            // What the budget left over goes on as soon as these moves are made; anything else is a new story.
            let waited = now.saturating_sub(self.settings.patience);
            self.above_since = (!full.complete).then_some(since.min(waited));
            Outlook::Acting
        }
    }

    fn note(&mut self, now: Duration, plan: &Plan) {
        let until = now + self.settings.cool_down;
        for Move { slot, reason, .. } in &plan.moves {
            // To be dealt for the first time is not a move that anybody felt.
            if *reason != MoveReason::Unowned {
                self.cooling.insert(*slot, until);
            }
            if matches!(reason, MoveReason::Surplus { .. } | MoveReason::MemberDraining) {
                self.last_plan = Some(now);
            }
        }
    }
}

/// Whether the plan gives work to a member that has none. That isn't noise that may pass, so there is nothing to wait
/// for: a member that was just added would stand by for `patience` while the others have too much.
fn employs(observed: &Observation, plan: &Plan) -> bool {
    let idle = |member| !observed.slots.iter().any(|slot| slot.owner == Some(member));
    plan.moves.iter().any(|m| matches!(m.reason, MoveReason::Surplus { .. }) && idle(m.to))
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(fault) = &self.plan.fault {
            return fault.fmt(f);
        }
        let balance = &self.plan.after;
        if !self.plan.is_empty() {
            let plural = if self.plan.moves.len() == 1 { "slot moves" } else { "slots move" };
            write!(f, "{} {plural}; ", self.plan.moves.len())?;
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
            Self::Faulty => f.write_str("nothing was planned"),
            Self::NoMember => f.write_str("no member is there to own slots"),
            Self::Evacuating => f.write_str("draining members are emptied first"),
            Self::Acting => f.write_str("slots leave members above the band"),
            Self::Stuck { pinned: 0 } => f.write_str("no move makes it better: the slots are too coarse"),
            Self::Stuck { pinned } => write!(f, "no move makes it better, with {pinned} slots pinned"),
        }
    }
}
