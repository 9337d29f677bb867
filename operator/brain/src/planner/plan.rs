//! What the planner answers: the map, the moves with their reasons, and how even it was and gets.

use std::collections::BTreeSet;
use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use super::board::Board;
use super::{Problem, ProblemError};

/// Moves that a text tells one by one.
const TOLD: usize = 3;

/// The answer to a [`Problem`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Each slot's owner when the moves are made; `None` only where no member is active.
    pub owners: Vec<Option<usize>>,
    /// What changes, by slot.
    pub moves: Vec<Move>,
    /// Of the map as it was.
    pub before: Balance,
    /// Of the map as it gets, by the loads it was planned with.
    pub after: Balance,
    /// False where more should move than this plan does: the budget ran out, or no member is active.
    pub complete: bool,
    /// Why this is the old map, where the planner could not do its work.
    pub fault: Option<Fault>,
}

impl Plan {
    /// Whether nothing moves.
    pub fn is_empty(&self) -> bool {
        self.moves.is_empty()
    }

    /// Why slots move, for people, the first few in full: `16 slots dealt to 2 members; slot 3 a → b: a drains; 4 more`.
    /// Empty where none moves.
    pub fn text<N: Display>(&self, name: impl Fn(usize) -> N) -> String {
        let mut parts: Vec<String> = Vec::new();
        let unowned = |m: &&Move| m.reason == MoveReason::Unowned;
        let dealt = self.moves.iter().filter(unowned).count();
        if dealt > TOLD {
            let members: BTreeSet<_> = self.moves.iter().filter(unowned).map(|m| m.to).collect();
            let plural = if members.len() == 1 { "member" } else { "members" };
            parts.push(format!("{dealt} slots dealt to {} {plural}", members.len()));
        }
        let told = self.moves.iter().filter(|m| dealt <= TOLD || !unowned(m));
        parts.extend(told.clone().take(TOLD).map(|m| m.sentence(&name)));
        let more = told.count().saturating_sub(TOLD);
        if more > 0 {
            parts.push(format!("{more} more"));
        }
        parts.join("; ")
    }

    /// The old map, because of `fault`.
    pub(super) fn unchanged(problem: &Problem, fault: Fault) -> Self {
        let balance = Board::new(problem).map(|board| board.balance()).unwrap_or_default();
        Self {
            owners: problem.slots.iter().map(|s| s.owner).collect(),
            moves: Vec::new(),
            before: balance,
            after: balance,
            complete: false,
            fault: Some(fault),
        }
    }
}

/// Why there is no new map.
#[derive(Clone, Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
pub enum Fault {
    /// The problem makes no sense.
    #[error("nothing was planned: {0}")]
    Problem(#[from] ProblemError),
    /// A defect of the planner: its result broke a promise and was dropped.
    #[error("a plan was dropped, since {0}; please report this with the problem it was given")]
    Broken(String),
}

/// One slot gets another owner.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Move {
    /// Which.
    pub slot: usize,
    /// Who has it, where somebody does.
    pub from: Option<usize>,
    /// Who gets it.
    pub to: usize,
    /// Why.
    pub reason: MoveReason,
}

/// Why a slot moves. Loads are load units per weight.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum MoveReason {
    /// It had no owner.
    Unowned,
    /// Its owner is gone.
    MemberGone,
    /// Its owner drains.
    MemberDraining,
    /// Its owner has more than its share and the band.
    Surplus {
        /// What the owner has, slots included that this plan deals to it.
        member_load: f64,
        /// An equal share.
        mean: f64,
        /// The most it may have.
        band: f64,
        /// What it has after the plan.
        after: f64,
    },
}

impl Move {
    /// The move as a sentence: `slot 17 gateway-2 → gateway-0: gateway-2 is at 1.42 of its share, band 1.10; after: 1.06`.
    pub fn sentence<N: Display>(&self, name: impl Fn(usize) -> N) -> String {
        let Self { slot, to, .. } = *self;
        let to = name(to);
        let Some(from) = self.from.map(name) else {
            return format!("slot {slot} → {to}: it had no owner");
        };
        let why = match self.reason {
            MoveReason::Unowned => "it had no owner".to_owned(),
            MoveReason::MemberGone => format!("{from} is gone"),
            MoveReason::MemberDraining => format!("{from} drains"),
            MoveReason::Surplus { member_load, mean, band, after } => format!(
                "{from} is at {:.2} of its share, band {:.2}; after: {:.2}",
                member_load / mean,
                band / mean,
                after / mean
            ),
        };
        format!("slot {slot} {from} → {to}: {why}")
    }
}

impl Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence(|member| format!("member {member}")))
    }
}

/// How evenly the load lies on the active members. Loads are load units per weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Balance {
    /// Of the member that has the most.
    pub hottest: f64,
    /// Which that is.
    pub hottest_member: Option<usize>,
    /// An equal share of the whole load, that of draining members and of unowned slots included.
    pub mean: f64,
    /// The most that a member may have before slots leave it.
    pub band: f64,
    /// Members that have more.
    pub hot_members: usize,
}

impl Balance {
    /// The hottest member's load as a multiple of its share; 1 where there is no load.
    pub fn imbalance(&self) -> f64 {
        if self.mean > 0.0 { self.hottest / self.mean } else { 1.0 }
    }

    /// The band as a multiple of the share; infinite where there is no load.
    pub fn limit(&self) -> f64 {
        if self.mean > 0.0 { self.band / self.mean } else { f64::INFINITY }
    }

    /// Whether nobody has more than the band allows.
    pub const fn within_band(&self) -> bool {
        self.hot_members == 0
    }
}
