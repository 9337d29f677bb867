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
