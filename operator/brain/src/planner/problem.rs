//! What the planner is asked: slots, members, and how much change is welcome.

use serde::{Deserialize, Serialize};

/// Slots with their load, members with their capacity, and the policy. Slots and members are named by position.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// Each slot, in order.
    pub slots: Vec<SlotState>,
    /// Each member, in an order of the caller's.
    pub members: Vec<MemberState>,
    /// How much change is welcome.
    pub policy: Policy,
}

/// One slot as measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SlotState {
    /// In load units: the fraction of one standard member's capacity that it takes. Finite, not negative.
    pub load: f64,
    /// Its owner's position in `members`, where it has one.
    pub owner: Option<usize>,
    /// Cooling down or in a handover: stays where it is, unless its owner drains or is gone.
    pub pinned: bool,
}

/// One member.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberState {
    /// Capacity relative to a standard member's 1.0. Finite, above 0.
    pub weight: f64,
    /// Whether it may own slots.
    pub state: MemberPhase,
}

impl MemberState {
    /// A standard member that may own slots.
    pub const ACTIVE: Self = Self { weight: 1.0, state: MemberPhase::Active };
}

/// Whether a member may own slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MemberPhase {
    /// It may.
    Active,
    /// It still works on those it has and hands them over.
    Draining,
    /// Nobody works on those it had.
    Gone,
}

/// How uneven is too uneven, and how much may move at once.
///
/// A member is hot when its load per weight is above `mean + max(band_absolute, band_relative × mean)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// In load units: differences smaller than this are no reason to move, however idle the rest is.
    pub band_absolute: f64,
    /// As a fraction of the mean.
    pub band_relative: f64,
    /// Most slots that leave active and draining members in one plan. Slots that nobody works on don't count.
    pub max_moves: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self { band_absolute: 0.01, band_relative: 0.1, max_moves: 16 }
    }
}

/// A problem that makes no sense.
#[derive(Clone, Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum ProblemError {
    #[error("slot {slot} has the load {load}: must be finite and not negative")]
    Load { slot: usize, load: f64 },
    #[error("slot {slot} is owned by member {owner}, but there are {members}")]
    NoSuchMember { slot: usize, owner: usize, members: usize },
    #[error("member {member} has the weight {weight}: must be finite and above 0")]
    Weight { member: usize, weight: f64 },
    #[error("the band is {absolute} absolute and {relative} relative: both must be finite and not negative")]
    Band { absolute: f64, relative: f64 },
}

impl Problem {
    /// Whether it makes sense; [`solve`](super::solve) asks by itself.
    pub fn check(&self) -> Result<(), ProblemError> {
        let size = |value: f64| value.is_finite() && value >= 0.0;
        let Policy { band_absolute: absolute, band_relative: relative, .. } = self.policy;
        if !size(absolute) || !size(relative) {
            return Err(ProblemError::Band { absolute, relative });
        }
        for (member, &MemberState { weight, .. }) in self.members.iter().enumerate() {
            if !size(weight) || weight == 0.0 {
                return Err(ProblemError::Weight { member, weight });
            }
        }
        for (slot, &SlotState { load, owner, .. }) in self.slots.iter().enumerate() {
            if !size(load) {
                return Err(ProblemError::Load { slot, load });
            }
            if let Some(owner) = owner.filter(|&o| o >= self.members.len()) {
                return Err(ProblemError::NoSuchMember { slot, owner, members: self.members.len() });
            }
        }
        Ok(())
    }
}
