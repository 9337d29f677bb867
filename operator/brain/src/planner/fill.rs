//! Phase 2: deals the slots that nobody has, heaviest first, each to the member that has the least with it.
//!
//! That is Graham's LPT rule (1969) for members of unequal speed. Each slot counts a little even when idle, so a map
//! without measured loads comes out even in numbers. It may not move a slot that has an owner.

use std::cmp::Reverse;

use super::MemberPhase;
use super::board::Board;

pub(super) fn run(board: &mut Board<'_>) {
    let active: Vec<usize> = board.members_in(MemberPhase::Active).collect();
    let mut homeless: Vec<usize> = board.slots().filter(|&slot| board.owner(slot).is_none()).collect();
    homeless.sort_by_key(|&slot| Reverse(board.ticks(slot)));
    for slot in homeless {
        let ticks = board.ticks(slot);
        let with_it = |m: usize| board.pressure_dealt(m, ticks);
        let coldest = active.iter().copied().min_by(|&a, &b| with_it(a).total_cmp(&with_it(b)));
        if let Some(member) = coldest {
            board.put(slot, member);
        }
    }
}
