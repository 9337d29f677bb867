//! Phase 1: takes slots off members that are gone, all of them, and off draining ones, as many as the budget pays.
//!
//! It may not touch slots of active members. Pinned slots come along: to stay where they are is worse.

use std::cmp::Reverse;

use super::MemberPhase;
use super::board::Board;

/// Returns whether nothing was left behind.
pub(super) fn run(board: &mut Board<'_>) -> bool {
    if board.members_in(MemberPhase::Active).next().is_none() {
        // There is nobody to give them to: a draining member still works, and the data plane knows what to do about
        // one that is gone.
        return board
            .slots()
            .all(|slot| board.owner(slot).is_some_and(|m| board.phase(m) == MemberPhase::Active));
    }
    let of = |board: &Board<'_>, member| -> Vec<usize> {
        board.slots().filter(|&slot| board.owner(slot) == Some(member)).collect()
    };
    let gone: Vec<usize> = board.members_in(MemberPhase::Gone).filter(|&m| board.slots_of(m) > 0).collect();
    for member in gone {
        for slot in of(board, member) {
            board.lift(slot);
        }
    }
    // The member that is nearest to done first: it can go while the others wait for the next plan.
    let mut draining: Vec<usize> =
        board.members_in(MemberPhase::Draining).filter(|&m| board.slots_of(m) > 0).collect();
    draining.sort_by_key(|&m| board.slots_of(m));
    for member in draining {
        let mut slots = of(board, member);
        slots.sort_by_key(|&slot| Reverse(board.ticks(slot)));
        for slot in slots {
            if !board.affords(slot) {
                return false;
            }
            board.lift(slot);
        }
    }
    true
}
