//! Phase 3: slots leave members that are above the band, for members that are below their share.
//!
//! The fewest that do it: if one slot brings the member into the band, that one; else the heaviest that fits somewhere,
//! and again. It may not push anybody above the band, unless the pair is better off by [`LEAST_GAIN`], and may not spend
//! more than the budget. What it does depends on the map alone, not on how the map came about: so that where it ends, it
//! ends again.

use super::MemberPhase;
use super::board::Board;

/// What a move has to win where the band can't be met, as a fraction of the mean: less is not worth a handover.
const LEAST_GAIN: f64 = 0.01;

/// Returns whether nothing more is to be won; false where the budget ran out first.
pub(super) fn run(board: &mut Board<'_>) -> bool {
    // Each step makes the hotter of two members cooler, so it ends; the bound is for the case that this is wrong.
    let mut steps = 4 * board.slots().len();
    loop {
        let mut hot: Vec<usize> =
            board.members_in(MemberPhase::Active).filter(|&m| board.surplus(m) > 0).collect();
        hot.sort_by(|&a, &b| board.pressure(b).total_cmp(&board.pressure(a)));
        let mut stuck = true;
        for from in hot {
            while board.surplus(from) > 0
                && let Some((slot, to)) = within_band(board, from).or_else(|| better_off(board, from))
            {
                if steps == 0 || !board.affords(slot) {
                    return false;
                }
                steps -= 1;
                stuck = false;
                board.lift(slot);
                board.put(slot, to);
            }
        }
        if stuck {
            return true;
        }
    }
}

fn below_share(board: &Board<'_>, from: usize) -> impl Iterator<Item = usize> {
    board.members_in(MemberPhase::Active).filter(move |&m| m != from && board.deficit(m) > 0)
}

/// The slot to give away and to whom, so that the receiver stays within the band.
fn within_band(board: &Board<'_>, from: usize) -> Option<(usize, usize)> {
    let surplus = board.surplus(from);
    let (room, deficit) = below_share(board, from)
        .map(|m| (board.room(m), board.deficit(m)))
        .reduce(|(room, deficit), (r, d)| (room.max(r), deficit.max(d)))?;

    let slots = board.movable(from);
    let (fitting, _) = slots.split_at(slots.partition_point(|&(ticks, _)| ticks <= room));
    let (_, sufficient) = fitting.split_at(fitting.partition_point(|&(ticks, _)| ticks < surplus));
    // Of those that do it alone, the one after which neither is far from its share: the next move is then furthest off.
    let ideal = board.above_share(from).min(deficit);
    let (ticks, slot) = sufficient
        .iter()
        .min_by_key(|(ticks, _)| ticks.abs_diff(ideal))
        .or_else(|| fitting.last())
        .copied()?;
    let after = |m: usize| board.pressure_with(m, ticks);
    below_share(board, from)
        .filter(|&m| board.room(m) >= ticks)
        .min_by(|&a, &b| after(a).total_cmp(&after(b)))
        .map(|to| (slot, to))
}

/// The move after which the hotter of the two is as cool as can be, where that is worth it.
fn better_off(board: &Board<'_>, from: usize) -> Option<(usize, usize)> {
    let worth_it = board.pressure(from) - LEAST_GAIN * board.mean();
    let mut best: Option<(f64, usize, usize)> = None;
    for &(ticks, slot) in board.movable(from) {
        let left = board.pressure_without(from, ticks);
        for to in below_share(board, from) {
            let hotter = board.pressure_with(to, ticks).max(left);
            if hotter < best.map_or(worth_it, |(least, ..)| least) {
                best = Some((hotter, slot, to));
            }
        }
    }
    best.map(|(_, slot, to)| (slot, to))
}
