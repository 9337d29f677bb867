//! Phase 2: deals the slots that nobody has, heaviest first, each to the member that has the least with it.
//!
//! That is Graham's LPT rule (1969) for members of unequal speed. Idle slots follow by number: by load they would all go
//! to whoever is coldest, and a map without measured loads would not come out even. It may not move a slot that has an
//! owner.

use std::cmp::Reverse;

use super::MemberPhase;
use super::board::Board;

pub(super) fn run(board: &mut Board<'_>) {
    let active: Vec<usize> = board.members_in(MemberPhase::Active).collect();
    let mut homeless: Vec<usize> = board.slots().filter(|&slot| board.owner(slot).is_none()).collect();
    homeless.sort_by_key(|&slot| Reverse(board.ticks(slot)));
    for slot in homeless {
        let (ticks, idle) = (board.ticks(slot), board.is_idle(slot));
        let with_it = |m: usize| if idle { board.count_with_one(m) } else { board.pressure_with(m, ticks) };
        let least = active.iter().copied().min_by(|&a, &b| with_it(a).total_cmp(&with_it(b)));
        if let Some(member) = least {
            board.put(slot, member);
        }
    }
}
