//! The handover of slots as one member sees it: what happened in, what to do out. No I/O, and the clock is a parameter.
//!
//! ```text
//!         mine               claimed, mine              another's, or the claim was taken
//!   Idle ──────▶ Wanted ───────────────────▶ Working ───────────────────────────────────▶ Releasing
//!    ▲             │           Acquire                           Release                      │
//!    └─────────────┴──────────────────────────────────────────────────────────────────────────┘
//!      no longer mine                        released: the claim is given up
//! ```
//!
//! # Guarantees
//! - `Acquire` and `Release` of a slot alternate, and `Acquire` comes only with the claim.
//! - Two members work on one slot at a time only where the second took the claim by force: after the handover
//!   timeout, or because the first one's lease is over and it doesn't know yet. Then the first is told to release as
//!   soon as it sees the other's claim.

use std::time::Duration;

use gochat_core::{Epoch, MemberId, Slot, SlotCount};
use tokio::time::Instant;

/// A change in what a member owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The slot is claimed: start work on it.
    Acquire(Slot, Epoch),
    /// Stop work, commit, then call [`Ownership::released`](crate::Ownership::released).
    Release(Slot, Epoch),
}

/// What the driver has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Try to claim; answer with `claimed`.
    Claim(Slot),
    /// Claim by force; answer with `claimed`.
    TakeOver(Slot),
    /// Give the claim up.
    Unclaim(Slot),
    Emit(Change),
}

/// Whose a slot is, by the effective owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Mine,
    Anothers,
    /// No member lives as far as is known: whoever works goes on.
    Nobodys,
}

#[derive(Debug)]
pub(crate) struct Handover {
    me: MemberId,
    timeout: Duration,
    /// After a failed attempt at a claim that looked free: the view is behind, or the backend is away.
    retry: Duration,
    epoch: Epoch,
    slots: Vec<State>,
}

#[derive(Clone, Debug)]
struct State {
    mine: bool,
    /// Of the claim, as last seen, and its revision.
    holder: Option<(MemberId, i64)>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    /// `trying`: an attempt at the claim is under way.
    Wanted {
        since: Instant,
        retry_at: Instant,
        trying: bool,
    },
    /// Claimed at this revision.
    Working {
        revision: i64,
    },
    Releasing,
}

impl Handover {
    pub(crate) fn new(me: MemberId, slots: SlotCount, timeout: Duration, retry: Duration) -> Self {
        let idle = State { mine: false, holder: None, phase: Phase::Idle };
        let slots = slots.slots().map(|_| idle.clone()).collect();
        Self { me, timeout, retry, epoch: Epoch::default(), slots }
    }

    /// The effective owners have changed; in the order of the slots.
    pub(crate) fn owners(
        &mut self,
        now: Instant,
        epoch: Epoch,
        owners: impl IntoIterator<Item = Whose>,
        out: &mut Vec<Step>,
    ) {
        self.epoch = epoch;
        for (slot, whose) in (0..).map(Slot).zip(owners) {
            let Some(state) = self.slots.get_mut(slot.index()) else { return };
            let mine = match whose {
                Whose::Mine => true,
                Whose::Anothers => false,
                Whose::Nobodys => continue,
            };
            if mine
                && !state.mine
                && let Phase::Wanted { since, .. } = &mut state.phase
            {
                *since = now;
            }
            state.mine = mine;
            self.advance(now, slot, out);
        }
    }

    /// What is now known of a slot's claim.
    pub(crate) fn holder(
        &mut self,
        now: Instant,
        slot: Slot,
        holder: Option<(&str, i64)>,
        out: &mut Vec<Step>,
    ) {
        let Some(state) = self.slots.get_mut(slot.index()) else { return };
        if state.holder.as_ref().map(|(id, at)| (id.as_str(), *at)) == holder {
            return;
        }
        state.holder = holder.map(|(id, at)| (id.into(), at));
        if let Phase::Wanted { retry_at, .. } = &mut state.phase {
            *retry_at = now;
        }
        self.advance(now, slot, out);
    }

    /// The claim of a slot that is worked on was taken, as its session knows; the view may show it later or never.
    pub(crate) fn lost(&mut self, slot: Slot, out: &mut Vec<Step>) {
        let epoch = self.epoch;
        if let Some(state) = self.slots.get_mut(slot.index())
            && matches!(state.phase, Phase::Working { .. })
        {
            state.phase = Phase::Releasing;
            out.push(Step::Emit(Change::Release(slot, epoch)));
        }
    }

    /// An attempt at the claim has ended: got, at this revision, or not.
    pub(crate) fn claimed(&mut self, now: Instant, slot: Slot, revision: Option<i64>, out: &mut Vec<Step>) {
        let retry_at = now + self.retry;
        let Some(state) = self.slots.get_mut(slot.index()) else { return };
        let Phase::Wanted { since, .. } = state.phase else { return };
        match (revision, state.mine) {
            (Some(revision), true) => {
                state.phase = Phase::Working { revision };
                out.push(Step::Emit(Change::Acquire(slot, self.epoch)));
            }
            (Some(_), false) => {
                state.phase = Phase::Idle;
                out.push(Step::Unclaim(slot));
            }
            (None, _) => state.phase = Phase::Wanted { since, retry_at, trying: false },
        }
        self.advance(now, slot, out);
    }

    /// Work on the slot has stopped.
    pub(crate) fn released(&mut self, now: Instant, slot: Slot, out: &mut Vec<Step>) {
        let Some(state) = self.slots.get_mut(slot.index()) else { return };
        if state.phase != Phase::Releasing {
            return;
        }
        // Given up even where it is ours again meanwhile: the next attempt gets it in a moment, and there is one way
        // to start working.
        state.phase = Phase::Idle;
        out.push(Step::Unclaim(slot));
        self.advance(now, slot, out);
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Instant, out: &mut Vec<Step>) {
        for slot in (0..).map(Slot).take(self.slots.len()) {
            self.advance(now, slot, out);
        }
    }

    /// When to tick next.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        self.slots
            .iter()
            .filter_map(|state| match state.phase {
                Phase::Wanted { since, retry_at, trying: false } if state.mine => {
                    let timeout = retry_at.max(since + self.timeout);
                    Some(if self.is_free(state) { retry_at } else { timeout })
                }
                _ => None,
            })
            .min()
    }

    fn is_free(&self, state: &State) -> bool {
        // One in our own name is of an earlier life of this member: it goes with its lease.
        state.holder.as_ref().is_none_or(|(holder, _)| *holder == self.me)
    }

    fn advance(&mut self, now: Instant, slot: Slot, out: &mut Vec<Step>) {
        let (epoch, timeout) = (self.epoch, self.timeout);
        let Some(state) = self.slots.get(slot.index()) else { return };
        let free = self.is_free(state);
        let taken_since = |revision: i64| {
            state.holder.as_ref().is_some_and(|(holder, at)| *holder != self.me && *at > revision)
        };
        let mut phase = state.phase;
        if phase == Phase::Idle && state.mine {
            phase = Phase::Wanted { since: now, retry_at: now, trying: false };
        }
        match phase {
            Phase::Wanted { trying: false, .. } if !state.mine => phase = Phase::Idle,
            Phase::Wanted { since, retry_at, trying: false } if now >= retry_at => {
                let overdue = now >= since + timeout;
                if free || overdue {
                    phase = Phase::Wanted { since, retry_at, trying: true };
                    out.push(if overdue { Step::TakeOver(slot) } else { Step::Claim(slot) });
                }
            }
            Phase::Working { revision } if taken_since(revision) || !state.mine => {
                phase = Phase::Releasing;
                out.push(Step::Emit(Change::Release(slot, epoch)));
            }
            _ => {}
        }
        if let Some(state) = self.slots.get_mut(slot.index()) {
            state.phase = phase;
        }
    }
}

#[cfg(test)]
mod tests;
