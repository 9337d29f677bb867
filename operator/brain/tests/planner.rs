//! What the planner promises, held against random problems.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "tests"
)]

use gochat_brain::planner::{
    Fault, MemberPhase, MemberState, MoveReason, Plan, Policy, Problem, ProblemError, SlotState, solve,
};
use proptest::prelude::*;

/// Loads as they come: smooth, all alike, mostly idle with a few hot ones.
fn load() -> impl Strategy<Value = f64> {
    prop_oneof![3 => 0.0..1.0f64, 2 => Just(0.25), 2 => Just(0.0), 1 => 1.0..20.0f64, 1 => (0u32..5).prop_map(f64::from)]
}

fn member() -> impl Strategy<Value = MemberState> {
    let weight = prop_oneof![4 => Just(1.0), 1 => Just(2.0), 1 => 0.2..3.0f64];
    let state = prop_oneof![
        6 => Just(MemberPhase::Active),
        1 => Just(MemberPhase::Draining),
        1 => Just(MemberPhase::Gone)
    ];
    (weight, state).prop_map(|(weight, state)| MemberState { weight, state })
}

fn problem() -> impl Strategy<Value = Problem> {
    let policy = (0.0..0.5f64, 0.0..0.3f64, prop_oneof![0usize..8, Just(1_000)]).prop_map(
        |(band_absolute, band_relative, max_moves)| Policy { band_absolute, band_relative, max_moves },
    );
    (prop::collection::vec(member(), 0..12), policy).prop_flat_map(|(members, policy)| {
        let owner = match members.len() {
            0 => Just(None).boxed(),
            n => prop_oneof![1 => Just(None), 9 => (0..n).prop_map(Some)].boxed(),
        };
        let slot = (load(), owner, prop::bool::weighted(0.1)).prop_map(|(load, owner, pinned)| SlotState {
            load,
            owner,
            pinned,
        });
        prop::collection::vec(slot, 0..80).prop_map(move |slots| Problem {
            slots,
            members: members.clone(),
            policy,
        })
    })
}

/// Every slot has an owner that stays, and is free to leave it.
fn settled() -> impl Strategy<Value = Problem> {
    problem().prop_filter_map("no members", |mut problem| {
        let n = problem.members.len();
        problem.members.iter_mut().for_each(|m| m.state = MemberPhase::Active);
        for (i, slot) in problem.slots.iter_mut().enumerate() {
            *slot = SlotState { owner: Some(slot.owner.unwrap_or(i % n.max(1))), pinned: false, ..*slot };
        }
        (n > 0).then_some(problem)
    })
}

fn carried_out(problem: &Problem, plan: &Plan) -> Problem {
    let mut next = problem.clone();
    next.slots.iter_mut().zip(&plan.owners).for_each(|(slot, &owner)| slot.owner = owner);
    next
}

fn phase_of(problem: &Problem, owner: Option<usize>) -> Option<MemberPhase> {
    owner.map(|m| problem.members[m].state)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_slot_is_lost_and_moves_tell_the_whole_change(problem in problem()) {
        let plan = solve(&problem);
        prop_assert_eq!(&plan.fault, &None);
        prop_assert_eq!(plan.owners.len(), problem.slots.len());
        let mut told = problem.slots.iter().map(|s| s.owner).collect::<Vec<_>>();
        for m in &plan.moves {
            prop_assert_eq!(m.from, told[m.slot]);
            prop_assert_ne!(m.from, Some(m.to), "{}", m);
            told[m.slot] = Some(m.to);
        }
        prop_assert_eq!(&told, &plan.owners);
        if problem.members.iter().any(|m| m.state == MemberPhase::Active) {
            for owner in &plan.owners {
                let state = phase_of(&problem, *owner);
                prop_assert!(state.is_some() && state != Some(MemberPhase::Gone));
            }
        } else {
            prop_assert!(plan.is_empty());
        }
    }

    #[test]
    fn slots_go_to_active_members_only_and_pinned_ones_stay(problem in problem()) {
        for m in solve(&problem).moves {
            prop_assert_eq!(problem.members[m.to].state, MemberPhase::Active);
            if problem.slots[m.slot].pinned {
                prop_assert_ne!(phase_of(&problem, m.from), Some(MemberPhase::Active), "{}", m);
            }
        }
    }

    #[test]
    fn the_budget_bounds_what_leaves_members_that_work(problem in problem()) {
        let plan = solve(&problem);
        let worked_on = |reason| matches!(reason, MoveReason::MemberDraining | MoveReason::Surplus { .. });
        let paid = plan.moves.iter().filter(|m| worked_on(m.reason)).count();
        prop_assert!(paid <= problem.policy.max_moves);
        // Draining members first: as long as one has a slot left, nothing moves for balance.
        let drains = |owner| phase_of(&problem, owner) == Some(MemberPhase::Draining);
        if plan.owners.iter().any(|&o| drains(o)) {
            prop_assert!(!plan.complete);
            let surplus = plan.moves.iter().any(|m| matches!(m.reason, MoveReason::Surplus { .. }));
            prop_assert!(!surplus, "{:?}", plan.moves);
        }
    }

    #[test]
    fn a_complete_plan_carried_out_is_followed_by_none(problem in problem()) {
        let plan = solve(&problem);
        if plan.complete {
            let again = solve(&carried_out(&problem, &plan));
            prop_assert!(again.is_empty(), "again: {:?}", again.moves);
            prop_assert!(again.complete);
            prop_assert_eq!(again.before, plan.after);
        }
    }

    #[test]
    fn within_the_band_nothing_moves(mut problem in settled(), slack in 0.0..0.5f64) {
        let hottest = solve(&problem).before;
        problem.policy.band_absolute = (hottest.hottest - hottest.mean).max(0.0) + slack;
        let plan = solve(&problem);
        prop_assert!(plan.is_empty() && plan.complete, "{:?}", plan.moves);
        prop_assert!(plan.before.within_band());
    }

    #[test]
    fn the_hottest_never_gets_hotter(mut problem in settled(), pinned in prop::collection::vec(any::<bool>(), 80)) {
        problem.slots.iter_mut().zip(pinned).for_each(|(slot, pinned)| slot.pinned = pinned);
        let plan = solve(&problem);
        prop_assert!(plan.after.hottest <= plan.before.hottest);
        if !plan.is_empty() {
            prop_assert!(plan.before.hot_members > 0);
        }
    }

    /// Slots go from surplus to deficit: without the last slot it got, a receiver is below its share.
    #[test]
    fn who_gets_slots_was_below_its_share(mut problem in settled()) {
        problem.policy.max_moves = usize::MAX;
        let plan = solve(&problem);
        for (member, state) in problem.members.iter().enumerate() {
            let largest = plan.moves.iter().filter(|m| m.to == member).map(|m| problem.slots[m.slot].load).reduce(f64::max);
            let gave = plan.moves.iter().any(|m| m.from == Some(member));
            if let Some(largest) = largest.filter(|_| !gave) {
                let has: f64 = (problem.slots.iter().zip(&plan.owners))
                    .filter(|&(_, &owner)| owner == Some(member))
                    .map(|(slot, _)| slot.load)
                    .sum();
                prop_assert!(has - largest <= plan.after.mean * state.weight * (1.0 + 1e-9));
            }
        }
    }

    #[test]
    fn draining_members_end_empty(mut problem in problem(), budget in 1usize..5) {
        problem.policy.max_moves = budget;
        problem.members.push(MemberState::ACTIVE);
        let drains = |p: &Problem| p.slots.iter().filter(|s| phase_of(p, s.owner) == Some(MemberPhase::Draining)).count();
        let mut left = drains(&problem);
        while left > 0 {
            problem = carried_out(&problem, &solve(&problem));
            prop_assert_eq!(drains(&problem), left.saturating_sub(budget));
            left = drains(&problem);
        }
    }

    /// A member below its share has room for the whole band then, so every slot fits there.
    #[test]
    fn slots_no_larger_than_the_band_always_come_within_it(mut problem in settled()) {
        problem.policy = Policy { band_absolute: 0.0, band_relative: 0.1, max_moves: usize::MAX };
        let weight: f64 = problem.members.iter().map(|m| m.weight).sum();
        let least = problem.members.iter().map(|m| m.weight).fold(f64::INFINITY, f64::min);
        let mean: f64 = problem.slots.iter().map(|s| s.load).sum::<f64>() / weight;
        // Cut each slot into pieces that are small enough.
        let largest = 0.099 * mean * least;
        problem.slots = problem.slots.iter().flat_map(|s| {
            let pieces = if largest > 0.0 { (s.load / largest).ceil().max(1.0) } else { 1.0 };
            std::iter::repeat_n(SlotState { load: s.load / pieces, ..*s }, pieces as usize)
        }).take(2_000).collect();
        let plan = solve(&problem);
        prop_assert!(plan.after.within_band(), "{:?}", plan.after);
        prop_assert!(plan.after.hottest <= 1.1 * plan.after.mean * (1.0 + 1e-9));
    }

    /// By powers of two, which is exact: by others a tie may break the other way.
    #[test]
    fn scaling_all_loads_changes_nothing(problem in problem(), exponent in -20i32..20) {
        let mut scaled = problem.clone();
        scaled.slots.iter_mut().for_each(|s| s.load *= 2f64.powi(exponent));
        scaled.policy.band_absolute *= 2f64.powi(exponent);
        let (a, b) = (solve(&problem), solve(&scaled));
        prop_assert_eq!(a.owners, b.owners);
        prop_assert_eq!(a.complete, b.complete);
    }

    #[test]
    fn a_fresh_map_is_as_even_as_can_be(slots in 0usize..200, members in 1usize..20, load in prop_oneof![Just(0.0), Just(0.1), Just(3.7)]) {
        let slot = SlotState { load, owner: None, pinned: false };
        let problem = Problem { slots: vec![slot; slots], members: vec![MemberState::ACTIVE; members], ..Problem::default() };
        let plan = solve(&problem);
        let count = |m| plan.owners.iter().filter(|&&o| o == Some(m)).count();
        for m in 0..members {
            prop_assert!((slots / members..=slots.div_ceil(members)).contains(&count(m)));
        }
    }

    /// Graham's bound for dealing in any order, and what idle slots may weigh.
    #[test]
    fn a_fresh_map_is_within_a_slot_of_even(loads in prop::collection::vec(load(), 1..100), members in 1usize..10) {
        let slots: Vec<_> = loads.iter().map(|&load| SlotState { load, owner: None, pinned: false }).collect();
        let problem = Problem { slots, members: vec![MemberState::ACTIVE; members], ..Problem::default() };
        let plan = solve(&problem);
        let largest = loads.iter().copied().fold(0.0, f64::max);
        prop_assert!(plan.after.hottest <= plan.after.mean * (1.0 + 1.0 / 32.0) + largest + 1e-9);
        prop_assert!(plan.moves.iter().all(|m| m.reason == MoveReason::Unowned));
    }
}

fn slot(load: f64, owner: usize) -> SlotState {
    SlotState { load, owner: Some(owner), pinned: false }
}

#[test]
fn sixteen_slots_over_two_members_are_eight_and_eight() {
    let problem = Problem {
        slots: vec![SlotState::default(); 16],
        members: vec![MemberState::ACTIVE; 2],
        policy: Policy::default(),
    };
    let plan = solve(&problem);
    assert_eq!(plan.owners.iter().filter(|&&o| o == Some(0)).count(), 8);
    assert_eq!(plan.moves.len(), 16);
    assert_eq!(plan.moves[0].to_string(), "slot 0 → member 0: it had no owner");
}

#[test]
fn exactly_at_the_band_is_within_it() {
    for k in 1..200 {
        let slots = std::iter::repeat_n(slot(1.0 / 3.0, 0), 11 * k)
            .chain(std::iter::repeat_n(slot(1.0 / 3.0, 1), 9 * k));
        let policy = Policy { band_absolute: 0.0, ..Policy::default() };
        let plan = solve(&Problem { slots: slots.collect(), members: vec![MemberState::ACTIVE; 2], policy });
        assert!(plan.is_empty() && plan.before.within_band(), "{} against {}", 11 * k, 9 * k);
    }
}

#[test]
fn of_draining_members_the_one_nearest_to_done_is_emptied_first() {
    let draining = MemberState { weight: 1.0, state: MemberPhase::Draining };
    let problem = Problem {
        slots: [0, 0, 0, 1, 1, 2, 2, 2, 2].map(|m| slot(0.1, m)).into(),
        members: vec![draining, draining, draining, MemberState::ACTIVE],
        policy: Policy { max_moves: 2, ..Policy::default() },
    };
    let moved: Vec<_> = solve(&problem).moves.iter().map(|m| m.slot).collect();
    assert_eq!(moved, [3, 4]);
}

#[test]
fn idle_slots_are_dealt_evenly_beside_hot_ones() {
    let mut slots = vec![SlotState::default(); 60];
    slots[7].load = 1.0;
    slots[31].load = 1.0;
    slots[32].load = 1.1;
    let problem = Problem { slots, members: vec![MemberState::ACTIVE; 3], policy: Policy::default() };
    let plan = solve(&problem);
    for m in 0..3 {
        let count = plan.owners.iter().filter(|&&o| o == Some(m)).count();
        assert!((18..=22).contains(&count), "member {m} got {count} of 60");
    }
}

#[test]
fn reasons_name_the_numbers() {
    let mut members = vec![MemberState::ACTIVE; 4];
    members[2].state = MemberPhase::Draining;
    members[3].state = MemberPhase::Gone;
    let mut slots = vec![slot(0.1, 0); 14];
    slots.extend([slot(0.1, 1), slot(0.1, 1), slot(0.1, 2), slot(0.1, 3), slot(0.1, 1), slot(0.1, 1)]);
    let plan = solve(&Problem { slots, members, policy: Policy::default() });
    let names = ["gateway-0", "gateway-1", "gateway-2", "gateway-3"];
    let told: Vec<_> = plan.moves.iter().map(|m| m.sentence(|m| names[m])).collect();
    assert_eq!(
        told,
        [
            "slot 0 gateway-0 → gateway-1: gateway-0 is at 1.40 of its share, band 1.10; after: 1.10",
            "slot 12 gateway-0 → gateway-1: gateway-0 is at 1.40 of its share, band 1.10; after: 1.10",
            "slot 13 gateway-0 → gateway-1: gateway-0 is at 1.40 of its share, band 1.10; after: 1.10",
            "slot 16 gateway-2 → gateway-1: gateway-2 drains",
            "slot 17 gateway-3 → gateway-1: gateway-3 is gone",
        ]
    );
}

#[test]
fn a_slot_larger_than_any_share_ends_up_alone_and_is_left_there() {
    let mut slots = vec![slot(5.0, 0)];
    slots.extend((0..9).map(|i| slot(0.2, i % 3)));
    let problem = Problem {
        slots,
        members: vec![MemberState::ACTIVE; 3],
        policy: Policy { band_absolute: 0.0, band_relative: 0.1, max_moves: 100 },
    };
    let plan = solve(&problem);
    assert_eq!(plan.owners.iter().filter(|&&o| o == Some(0)).count(), 1);
    assert_eq!(plan.owners[0], Some(0));
    assert!(!plan.after.within_band() && plan.complete);
}

#[test]
fn a_heavy_slot_goes_to_the_member_that_can_carry_it() {
    let problem = Problem {
        slots: vec![slot(4.0, 0), slot(0.5, 1), slot(0.5, 1)],
        members: vec![MemberState::ACTIVE, MemberState { weight: 4.0, ..MemberState::ACTIVE }],
        policy: Policy::default(),
    };
    let plan = solve(&problem);
    // And makes room there: 4.0 of 4.0, and 1.0 of 1.0.
    assert_eq!(plan.owners, [Some(1), Some(0), Some(0)]);
    assert!((plan.after.imbalance() - 1.0).abs() < 1e-9);
}

#[test]
fn a_problem_without_sense_keeps_the_map_and_says_why() {
    let sane = Problem {
        slots: vec![slot(1.0, 0), slot(1.0, 0)],
        members: vec![MemberState::ACTIVE; 2],
        policy: Policy::default(),
    };
    let broken = |change: fn(&mut Problem)| {
        let mut problem = sane.clone();
        change(&mut problem);
        let plan = solve(&problem);
        assert!(plan.is_empty() && !plan.complete);
        assert_eq!(plan.owners.len(), 2);
        plan.fault.unwrap().to_string()
    };
    assert_eq!(
        broken(|p| p.slots[1].load = f64::NAN),
        "nothing was planned: slot 1 has the load NaN: must be finite and not negative"
    );
    assert_eq!(
        broken(|p| p.slots[1].owner = Some(2)),
        "nothing was planned: slot 1 is owned by member 2, but there are 2"
    );
    assert_eq!(
        broken(|p| p.members[0].weight = 0.0),
        "nothing was planned: member 0 has the weight 0: must be finite and above 0"
    );
    assert!(broken(|p| p.policy.band_relative = -1.0).contains("the band"));
    let fault = Fault::Problem(ProblemError::Load { slot: 1, load: -1.0 });
    assert!(fault.to_string().contains("load -1"));
}

#[test]
fn a_plan_survives_json() {
    let problem = Problem {
        slots: vec![slot(1.0, 0), slot(1.0, 0), SlotState::default()],
        members: vec![MemberState::ACTIVE; 2],
        policy: Policy::default(),
    };
    let plan = solve(&problem);
    let json = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
    let json = serde_json::to_string(&problem).unwrap();
    assert_eq!(solve(&serde_json::from_str(&json).unwrap()), plan);
}
