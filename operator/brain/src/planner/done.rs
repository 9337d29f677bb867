//! Phase 4: holds the result against what the planner promises, and tells what changes and why.
//!
//! A broken promise is a defect. In production the old map stays in force then, and the plan says so: a stale map is
//! slow at worst, a wrong one loses a slot.

use super::board::Board;
use super::plan::{Balance, Fault, Move, MoveReason, Plan};
use super::{MemberPhase, Problem};

pub(super) fn run(board: &Board<'_>, before: Balance, complete: bool) -> Plan {
    let after = board.balance();
    let plan = Plan {
        owners: board.owners().to_vec(),
        moves: board.slots().filter_map(|slot| tell(board, slot, after)).collect(),
        before,
        after,
        complete,
        fault: None,
    };
    match broken(board.problem, &plan) {
        None => plan,
        Some(promise) => Plan::unchanged(board.problem, Fault::Broken(promise)),
    }
}

fn tell(board: &Board<'_>, slot: usize, balance: Balance) -> Option<Move> {
    let (from, to) = (board.origin(slot), board.owner(slot)?);
    if from == Some(to) {
        return None;
    }
    let reason = match from.map(|m| (m, board.phase(m))) {
        None => MoveReason::Unowned,
        Some((_, MemberPhase::Gone)) => MoveReason::MemberGone,
        Some((_, MemberPhase::Draining)) => MoveReason::MemberDraining,
        Some((owner, MemberPhase::Active)) => {
            let (member_load, after) = board.peak_and_load(owner);
            MoveReason::Surplus { member_load, mean: balance.mean, band: balance.band, after }
        }
    };
    Some(Move { slot, from, to, reason })
}

/// The promise that a plan breaks, counted from the problem and not from the sums that the phases kept.
fn broken(problem: &Problem, plan: &Plan) -> Option<String> {
    let phase = |member: usize| problem.members.get(member).map(|m| m.state);
    let some_active = problem.members.iter().any(|m| m.state == MemberPhase::Active);
    let mut paid = 0;
    for (slot, (state, &owner)) in problem.slots.iter().zip(&plan.owners).enumerate() {
        let moved = owner != state.owner;
        match (owner, owner.and_then(phase)) {
            (None, _) if some_active || moved => return Some(format!("slot {slot} has no owner")),
            (Some(m), None | Some(MemberPhase::Gone)) if some_active => {
                return Some(format!("slot {slot} is owned by member {m}, which is gone"));
            }
            (Some(m), Some(MemberPhase::Draining)) if moved => {
                return Some(format!("slot {slot} was given to member {m}, which drains"));
            }
            _ => {}
        }
        let worked_on = state.owner.and_then(phase).filter(|&p| p != MemberPhase::Gone);
        if moved && state.pinned && worked_on == Some(MemberPhase::Active) {
            return Some(format!("slot {slot} moved although it was pinned"));
        }
        paid += usize::from(moved && worked_on.is_some());
    }
    if paid > problem.policy.max_moves {
        return Some(format!("{paid} moves were planned, of {} allowed", problem.policy.max_moves));
    }
    if plan.owners.len() != problem.slots.len() {
        return Some(format!("{} slots became {}", problem.slots.len(), plan.owners.len()));
    }
    let settled = problem.slots.iter().all(|s| s.owner.and_then(phase) == Some(MemberPhase::Active));
    if settled && plan.after.hottest > plan.before.hottest {
        return Some(format!("the hottest went from {} to {}", plan.before.hottest, plan.after.hottest));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planner::{MemberState, Policy, SlotState, solve};

    /// Two slots of member 0, of which the second is pinned, one of a member that drains, one of one that is gone.
    fn problem() -> Problem {
        let state = |state| MemberState { weight: 1.0, state };
        let slot = |owner, pinned| SlotState { load: 1.0, owner: Some(owner), pinned };
        Problem {
            slots: vec![slot(0, false), slot(0, true), slot(2, false), slot(3, false)],
            members: vec![
                MemberState::ACTIVE,
                MemberState::ACTIVE,
                state(MemberPhase::Draining),
                state(MemberPhase::Gone),
            ],
            policy: Policy { max_moves: 1, ..Policy::default() },
        }
    }

    #[test]
    fn each_broken_promise_is_found() {
        let problem = problem();
        let plan = solve(&problem);
        assert_eq!(broken(&problem, &plan), None);
        for (owners, says) in [
            (vec![None, Some(0), Some(1), Some(1)], "slot 0 has no owner"),
            (vec![Some(0), Some(0), Some(1), Some(3)], "slot 3 is owned by member 3, which is gone"),
            (vec![Some(0), Some(0), Some(2), Some(9)], "slot 3 is owned by member 9, which is gone"),
            (vec![Some(2), Some(0), Some(2), Some(1)], "slot 0 was given to member 2, which drains"),
            (vec![Some(0), Some(1), Some(2), Some(1)], "slot 1 moved although it was pinned"),
            (vec![Some(1), Some(0), Some(1), Some(1)], "2 moves were planned, of 1 allowed"),
            (vec![Some(0), Some(0), Some(1)], "4 slots became 3"),
        ] {
            let wrong = Plan { owners, ..plan.clone() };
            assert_eq!(broken(&problem, &wrong).as_deref(), Some(says));
        }
    }

    #[test]
    fn a_plan_that_makes_the_hottest_hotter_is_found() {
        let slot = |owner| SlotState { load: 1.0, owner: Some(owner), pinned: false };
        let problem = Problem {
            slots: vec![slot(0), slot(1)],
            members: vec![MemberState::ACTIVE; 2],
            policy: Policy::default(),
        };
        let mut plan = solve(&problem);
        plan.after.hottest = 2.0;
        assert_eq!(broken(&problem, &plan).as_deref(), Some("the hottest went from 1 to 2"));
    }
}
