//! Which member owns which slot, and why. `README.md` beside this file explains the heuristic and its footguns.
//!
//! ```text
//! Problem ──▶ evacuate ──▶ fill ──▶ trim ──▶ done ──▶ Plan (owners, moves with reasons, balance before and after)
//!             off members   deal     shed     check
//!             that go       them     surplus  and tell
//! ```
//!
//! [`solve`] is a function of its argument alone. [`Rebalancer`] is the shell that decides when to act, with time as a
//! parameter. Neither knows names, Kubernetes or the log: slots and members are ordinals.

mod board;
mod done;
mod evacuate;
mod fill;
mod plan;
mod problem;
mod rebalancer;
mod trim;

use board::Board;
pub use plan::{Balance, Fault, Move, MoveReason, Plan};
pub use problem::{MemberPhase, MemberState, Policy, Problem, ProblemError, SlotState};
pub use rebalancer::{Decision, Observation, Outlook, RebalancePolicy, Rebalancer};

/// The new map, with a reason for each move.
///
/// # Guarantees
/// - Deterministic; a complete plan that was carried out is followed by an empty one.
/// - Slots without an owner and those of members that are gone are dealt whenever any member is active.
/// - At most `policy.max_moves` slots leave active and draining members; draining ones come first.
/// - Where every slot has an active owner, the hottest member never gets hotter, and within the band nothing moves.
/// - Never panics: a problem that makes no sense, and a result that breaks one of these, give the old map and a
///   [`Fault`].
pub fn solve(problem: &Problem) -> Plan {
    plan(problem, Scope::Everything)
}

/// What a plan may move.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Also what is only too unevenly spread.
    Everything,
    /// Only slots that can't stay: unowned, or of members that are gone or drain.
    Homeless,
}

fn plan(problem: &Problem, scope: Scope) -> Plan {
    let mut board = match Board::new(problem) {
        Ok(board) => board,
        Err(error) => return Plan::unchanged(problem, error.into()),
    };
    let before = board.balance();
    let evacuated = evacuate::run(&mut board);
    fill::run(&mut board);
    let trimmed = scope == Scope::Homeless || trim::run(&mut board);
    done::run(&board, before, evacuated && trimmed)
}
