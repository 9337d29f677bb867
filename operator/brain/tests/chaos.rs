//! Members come, drain and die, loads jump and go missing, and the order of members changes: whatever happens, the
//! rebalancer keeps its promises, and when nothing happens any more, it comes to rest with everything in order.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use gochat_brain::planner::{
    Decision, MemberPhase, MemberState, MoveReason, Observation, Outlook, Policy, RebalancePolicy,
    Rebalancer, SlotState,
};
use proptest::prelude::*;

const POLICY: RebalancePolicy = RebalancePolicy {
    policy: Policy { band_absolute: 0.0, band_relative: 0.1, max_moves: 4 },
    patience: Duration::from_secs(10),
    cool_down: Duration::from_secs(40),
    min_interval: Duration::from_secs(3),
};
/// How long a handover takes, in seconds.
const HANDOVER: u64 = 2;

#[derive(Clone, Debug)]
enum Event {
    Join,
    Drain(prop::sample::Index),
    Kill(prop::sample::Index),
    /// Forgets members that are gone and have nothing, and turns the order of the others round.
    Reorder,
    Heat(prop::sample::Index, f64),
    Measured(bool),
    Restart,
    Wait(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => Just(Event::Join),
        2 => any::<prop::sample::Index>().prop_map(Event::Drain),
        1 => any::<prop::sample::Index>().prop_map(Event::Kill),
        2 => Just(Event::Reorder),
        6 => (any::<prop::sample::Index>(), 0.3..3.0f64).prop_map(|(i, factor)| Event::Heat(i, factor)),
        1 => any::<bool>().prop_map(Event::Measured),
        1 => Just(Event::Restart),
        6 => (1u64..40).prop_map(Event::Wait),
    ]
}

struct Cluster {
    now: u64,
    rebalancer: Rebalancer,
    observed: Observation,
    /// Until when each slot is in a handover.
    handover: Vec<u64>,
    /// Until when each slot may not move for balance.
    stays: Vec<u64>,
}

impl Cluster {
    fn new(slots: usize) -> Self {
        Self {
            now: 0,
            rebalancer: Rebalancer::new(POLICY),
            observed: Observation {
                slots: vec![SlotState { load: 1.0, ..SlotState::default() }; slots],
                members: vec![MemberState::ACTIVE; 2],
                measured: true,
                handovers: 0,
            },
            handover: vec![0; slots],
            stays: vec![0; slots],
        }
    }

    fn phase(&self, member: usize) -> MemberPhase {
        self.observed.members[member].state
    }

    fn active(&self) -> usize {
        self.observed.members.iter().filter(|m| m.state == MemberPhase::Active).count()
    }

    fn happen(&mut self, event: &Event) -> Result<(), TestCaseError> {
        match event {
            Event::Join => self.observed.members.push(MemberState::ACTIVE),
            Event::Drain(i) if self.active() > 1 => {
                let member = i.get_mut(&mut self.observed.members);
                if member.state == MemberPhase::Active {
                    member.state = MemberPhase::Draining;
                }
            }
            Event::Kill(i) if self.active() > 1 => {
                i.get_mut(&mut self.observed.members).state = MemberPhase::Gone;
            }
            Event::Drain(_) | Event::Kill(_) => {}
            Event::Reorder => self.reorder(),
            Event::Heat(i, factor) => i.get_mut(&mut self.observed.slots).load *= factor,
            Event::Measured(measured) => self.observed.measured = *measured,
            Event::Restart => {
                self.rebalancer = Rebalancer::new(POLICY);
                self.stays.fill(0);
            }
            Event::Wait(seconds) => return (0..*seconds).try_for_each(|_| self.tick().map(drop)),
        }
        Ok(())
    }

    fn reorder(&mut self) {
        let owns = |m: usize| self.observed.slots.iter().any(|s| s.owner == Some(m));
        let kept: Vec<usize> = (0..self.observed.members.len())
            .rev()
            .filter(|&m| self.phase(m) != MemberPhase::Gone || owns(m))
            .collect();
        for slot in &mut self.observed.slots {
            slot.owner = slot.owner.and_then(|owner| kept.iter().position(|&m| m == owner));
        }
        self.observed.members = kept.into_iter().map(|m| self.observed.members[m]).collect();
    }

    fn tick(&mut self) -> Result<Decision, TestCaseError> {
        self.now += 1;
        for (slot, &until) in self.observed.slots.iter_mut().zip(&self.handover) {
            slot.pinned = until > self.now;
        }
        self.observed.handovers = self.observed.slots.iter().filter(|s| s.pinned).count();
        let decision = self.rebalancer.decide(Duration::from_secs(self.now), &self.observed);
        prop_assert_eq!(&decision.plan.fault, &None);
        self.carry_out(&decision)?;
        Ok(decision)
    }

    fn carry_out(&mut self, decision: &Decision) -> Result<(), TestCaseError> {
        let worked_on =
            decision.plan.moves.iter().filter(|m| m.from.is_some_and(|m| self.phase(m) != MemberPhase::Gone));
        let started = worked_on.count();
        prop_assert!(started == 0 || started + self.observed.handovers <= POLICY.policy.max_moves);
        for m in &decision.plan.moves {
            prop_assert_eq!(self.phase(m.to), MemberPhase::Active);
            if matches!(m.reason, MoveReason::Surplus { .. }) {
                prop_assert!(self.observed.measured && self.observed.handovers == 0, "{}", m);
                prop_assert!(self.stays[m.slot] <= self.now, "{} moved again too soon", m);
            }
            self.observed.slots[m.slot].owner = Some(m.to);
            if m.reason != MoveReason::Unowned {
                self.handover[m.slot] = self.now + HANDOVER;
                self.stays[m.slot] = self.now + POLICY.cool_down.as_secs();
            }
        }
        for slot in &self.observed.slots {
            prop_assert!(slot.owner.is_some_and(|m| self.phase(m) != MemberPhase::Gone));
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_it_comes_to_rest_in_order(
        slots in 1usize..80,
        events in prop::collection::vec(event(), 1..40),
    ) {
        let mut cluster = Cluster::new(slots);
        for event in &events {
            cluster.happen(event)?;
        }
        // Long enough to empty every member by fours, for the last cool-down, and to trim what is left.
        cluster.observed.measured = true;
        for _ in 0..1_200 {
            cluster.tick()?;
        }
        let last = cluster.tick()?;
        prop_assert!(last.plan.is_empty() && last.plan.complete);
        for slot in &cluster.observed.slots {
            prop_assert!(slot.owner.is_some_and(|m| cluster.phase(m) == MemberPhase::Active));
        }
        let largest = cluster.observed.slots.iter().map(|s| s.load).fold(0.0, f64::max);
        let coarse = largest > last.plan.after.band - last.plan.after.mean;
        match last.outlook {
            Outlook::Balanced => prop_assert!(last.plan.after.within_band()),
            Outlook::Stuck { .. } => prop_assert!(coarse, "{} of {:?}", largest, last.plan.after),
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
