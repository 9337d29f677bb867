//! When the rebalancer acts, as transcripts on injected time.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use gochat_brain::planner::{
    Decision, MemberPhase, MemberState, Observation, Outlook, Policy, RebalancePolicy, Rebalancer, SlotState,
};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A workload whose handovers take no time unless the test says so.
struct Story {
    rebalancer: Rebalancer,
    observed: Observation,
    told: Vec<String>,
}

impl Story {
    /// Slots of load 0.1, so many for each member.
    fn with(counts: &[usize]) -> Self {
        let owners = counts.iter().enumerate().flat_map(|(member, &n)| std::iter::repeat_n(member, n));
        let slots = owners.map(|m| SlotState { load: 0.1, owner: Some(m), pinned: false }).collect();
        let members = vec![MemberState::ACTIVE; counts.len()];
        Self {
            rebalancer: Rebalancer::new(RebalancePolicy {
                policy: Policy { band_absolute: 0.01, band_relative: 0.1, max_moves: 4 },
                patience: s(30),
                cool_down: s(120),
                min_interval: s(5),
            }),
            observed: Observation { slots, members, measured: true, handovers: 0 },
            told: Vec::new(),
        }
    }

    /// What it decides, carried out at once.
    fn at(&mut self, seconds: u64) -> Decision {
        let decision = self.rebalancer.decide(s(seconds), &self.observed);
        for (slot, &owner) in self.observed.slots.iter_mut().zip(&decision.plan.owners) {
            slot.owner = owner;
        }
        self.told.push(format!("{seconds:>3} s  {decision}"));
        decision
    }

    fn count(&self, member: usize) -> usize {
        self.observed.slots.iter().filter(|s| s.owner == Some(member)).count()
    }

    /// The slots of one member get so much heavier.
    fn heat(&mut self, member: usize, factor: f64) {
        self.observed.slots.iter_mut().filter(|s| s.owner == Some(member)).for_each(|s| s.load *= factor);
    }
}

#[test]
fn slots_move_only_after_an_imbalance_has_lasted() {
    let mut story = Story::with(&[8, 8]);
    story.at(0);
    story.heat(0, 1.5);
    story.at(10);
    story.at(39);
    story.at(40);
    story.at(41);
    assert_eq!(
        story.told,
        [
            "  0 s  hottest at 1.00 of its share, band 1.10: balanced",
            " 10 s  hottest at 1.20 of its share, band 1.10: above the band since 10 s, slots move at 40 s",
            " 39 s  hottest at 1.20 of its share, band 1.10: above the band since 10 s, slots move at 40 s",
            " 40 s  1 slot moves; hottest at 1.05 of its share, band 1.10: slots leave members above the band",
            " 41 s  hottest at 1.05 of its share, band 1.10: balanced",
        ]
    );
}

#[test]
fn a_passing_peak_moves_nothing() {
    let mut story = Story::with(&[8, 8]);
    for round in 0..10 {
        story.heat(0, 1.5);
        story.at(round * 60);
        assert!(story.at(round * 60 + 29).plan.is_empty());
        story.heat(0, 1.0 / 1.5);
        assert_eq!(story.at(round * 60 + 30).outlook, Outlook::Balanced);
    }
    assert_eq!(story.count(0), 8);
}

#[test]
fn a_member_that_is_hot_for_good_does_not_take_the_patience_of_others() {
    let mut story = Story::with(&[1, 8, 8, 8]);
    story.heat(0, 40.0);
    assert_eq!(story.at(0).outlook, Outlook::Stuck { pinned: 0 });
    assert_eq!(story.at(300).outlook, Outlook::Stuck { pinned: 0 });
    // Twice a share, for a moment.
    story.heat(1, 4.0);
    assert_eq!(story.at(301).outlook, Outlook::Patient { since: s(301), until: s(331) });
    assert!(!story.at(331).plan.is_empty());
}

#[test]
fn slots_nobody_works_on_are_dealt_at_once_and_beyond_the_budget() {
    let mut story = Story::with(&[8, 8, 8]);
    story.observed.members[2].state = MemberPhase::Gone;
    story.observed.measured = false;
    story.observed.handovers = 3;
    let decision = story.at(0);
    assert_eq!(decision.plan.moves.len(), 8);
    assert_eq!(decision.outlook, Outlook::Unmeasured);
    assert_eq!((story.count(0), story.count(1)), (12, 12));
}

#[test]
fn heavy_slots_are_dealt_before_light_ones() {
    let mut story = Story::with(&[0, 0, 3]);
    story.observed.slots[2].load = 0.2;
    story.observed.members[2].state = MemberPhase::Gone;
    // Nothing is trimmed afterwards.
    story.observed.measured = false;
    assert!((story.at(0).plan.after.imbalance() - 1.0).abs() < 1e-9);
}

#[test]
fn a_draining_member_is_emptied_by_budget_and_interval_without_patience() {
    let mut story = Story::with(&[10, 10, 10]);
    story.observed.members[2].state = MemberPhase::Draining;
    let moved: Vec<_> = [0, 1, 4, 5, 10, 15].map(|t| (t, story.at(t).plan.moves.len())).into();
    assert_eq!(moved, [(0, 4), (1, 0), (4, 0), (5, 4), (10, 2), (15, 0)]);
    assert_eq!(story.count(2), 0);
}

#[test]
fn handovers_in_flight_are_part_of_the_budget_of_a_drain() {
    let mut story = Story::with(&[10, 10, 10]);
    story.observed.members[2].state = MemberPhase::Draining;
    story.observed.handovers = 3;
    assert_eq!(story.at(0).plan.moves.len(), 1);
    story.observed.handovers = 4;
    assert_eq!(story.at(5).plan.moves.len(), 0);
    story.observed.handovers = 0;
    assert_eq!(story.at(6).plan.moves.len(), 4);
}

#[test]
fn nothing_moves_for_balance_while_handovers_run_or_loads_are_missing() {
    let mut story = Story::with(&[12, 4]);
    story.at(0);
    story.observed.handovers = 1;
    assert_eq!(story.at(30).outlook, Outlook::HandingOver { handovers: 1 });
    story.observed.handovers = 0;
    story.observed.measured = false;
    assert_eq!(story.at(31).outlook, Outlook::Unmeasured);
    story.observed.measured = true;
    // What was seen before the loads went missing counts for nothing.
    assert_eq!(story.at(32).outlook, Outlook::Patient { since: s(32), until: s(62) });
    assert_eq!(story.at(62).outlook, Outlook::Acting);
}

#[test]
fn what_the_budget_left_over_goes_on_without_a_new_wait() {
    let mut story = Story::with(&[23, 1]);
    story.at(0);
    for t in [30, 31, 35, 40, 45, 50] {
        story.at(t);
    }
    assert_eq!(
        story.told,
        [
            "  0 s  hottest at 1.92 of its share, band 1.10: above the band since 0 s, slots move at 30 s",
            " 30 s  4 slots move; hottest at 1.58 of its share, band 1.10: slots leave members above the band",
            " 31 s  hottest at 1.58 of its share, band 1.10: the next plan is at 35 s",
            " 35 s  4 slots move; hottest at 1.25 of its share, band 1.10: slots leave members above the band",
            " 40 s  2 slots move; hottest at 1.08 of its share, band 1.10: slots leave members above the band",
            " 45 s  hottest at 1.08 of its share, band 1.10: balanced",
            " 50 s  hottest at 1.08 of its share, band 1.10: balanced",
        ]
    );
}

#[test]
fn a_member_that_was_just_added_is_given_work_at_once() {
    let mut story = Story::with(&[6, 6, 0]);
    let decision = story.at(0);
    assert_eq!(decision.outlook, Outlook::Acting);
    assert_eq!(story.count(2), 4, "{:?}", story.told);
    // From then on it is one of many, and differences have to last.
    story.heat(0, 3.0);
    assert_eq!(story.at(10).outlook, Outlook::Patient { since: s(10), until: s(40) });
}

#[test]
fn a_member_that_was_just_added_gets_all_of_its_share_without_a_wait() {
    let mut story = Story::with(&[24, 0]);
    for t in [100, 105, 110] {
        assert_eq!(story.at(t).outlook, Outlook::Acting, "{:?}", story.told);
    }
    assert_eq!(story.at(115).outlook, Outlook::Balanced);
}

#[test]
fn a_slot_that_moved_stays_for_its_cool_down() {
    let mut story = Story::with(&[5, 3]);
    story.at(0);
    let moved = story.at(30).plan.moves[0].slot;
    assert_eq!(story.observed.slots[moved].owner, Some(1));
    // It turns out to be what is hot: it may not go back, others may go.
    story.observed.slots[moved].load = 0.35;
    story.at(31);
    let decision = story.at(61);
    assert!(!decision.plan.is_empty());
    assert!(decision.plan.moves.iter().all(|m| m.slot != moved));
    // But off a member that goes, it goes.
    story.observed.members[1].state = MemberPhase::Draining;
    assert!(story.at(70).plan.moves.iter().any(|m| m.slot == moved));
}

#[test]
fn a_first_map_is_no_move_and_may_be_improved_at_once() {
    let mut story = Story::with(&[0, 0]);
    story.observed.slots = vec![SlotState::default(); 16];
    assert_eq!(story.at(0).plan.moves.len(), 16);
    for slot in &mut story.observed.slots {
        slot.load = if slot.owner == Some(0) { 0.2 } else { 0.1 };
    }
    story.at(1);
    assert_eq!(story.at(31).outlook, Outlook::Acting);
}

#[test]
fn without_members_nothing_is_decided() {
    let mut story = Story::with(&[4]);
    story.observed.members[0].state = MemberPhase::Draining;
    let decision = story.at(0);
    assert_eq!(decision.outlook, Outlook::NoMember);
    assert!(decision.plan.is_empty() && !decision.plan.complete);
    assert_eq!(decision.plan.owners, [Some(0); 4]);
}

#[test]
fn the_state_goes_through_json_and_decides_the_same() {
    let mut story = Story::with(&[12, 4]);
    story.at(0);
    story.at(30);
    let json = serde_json::to_string(&story.rebalancer).unwrap();
    let mut copy: Rebalancer = serde_json::from_str(&json).unwrap();
    assert_eq!(copy, story.rebalancer);
    for t in [31, 35, 70, 200] {
        assert_eq!(copy.decide(s(t), &story.observed.clone()), story.at(t));
    }
}

#[test]
fn an_observation_without_sense_keeps_the_map_and_says_why() {
    let mut story = Story::with(&[4, 4]);
    story.observed.slots[3].load = f64::INFINITY;
    let decision = story.at(0);
    assert!(decision.plan.is_empty());
    assert_eq!(decision.outlook, Outlook::Faulty);
    assert_eq!(decision.to_string(), decision.plan.fault.as_ref().unwrap().to_string());
    assert!(decision.plan.fault.unwrap().to_string().contains("slot 3 has the load inf"));
}
