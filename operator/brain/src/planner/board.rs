//! The map while it is being changed. The phases move slots through it, and it keeps the sums.
//!
//! Loads are integers here (*ticks*, 2⁻⁴⁸ of the whole load): sums don't depend on their order, so a plan that is solved
//! again from its own result meets exactly the loads it ended with.
#![allow(clippy::indexing_slicing, reason = "every ordinal was checked by Problem::check or handed out here")]

use super::plan::Balance;
use super::{MemberPhase, Problem, ProblemError};

/// The whole load. Exact in an `f64`, with room for the rounding of 4,096 slots.
const WHOLE: f64 = (1u64 << 48) as f64;
/// A slot with less than this part of the mean slot's load is idle: all those together are 3 % of the whole.
const IDLE: u64 = 32;

pub(super) struct Board<'p> {
    pub(super) problem: &'p Problem,
    owners: Vec<Option<usize>>,
    ticks: Vec<u64>,
    members: Vec<Member>,
    /// Load units of a tick.
    unit: f64,
    /// Ticks per weight.
    mean: f64,
    band: f64,
    idle: u64,
    /// Moves that the budget pays: slots that left a member that works on them.
    moved: usize,
}

struct Member {
    weight: f64,
    phase: MemberPhase,
    load: u64,
    /// The most it ever had while this was planned.
    peak: u64,
    /// Its share.
    fair: u64,
    /// Its share and the band.
    allowed: u64,
    slots: usize,
    /// What may leave it, lightest first.
    movable: Vec<(u64, usize)>,
}

impl Member {
    /// So much, spread over the member's weight.
    fn pressure(&self, amount: u64) -> f64 {
        amount as f64 / self.weight
    }
}

impl<'p> Board<'p> {
    pub(super) fn new(problem: &'p Problem) -> Result<Self, ProblemError> {
        problem.check()?;
        let whole: f64 = problem.slots.iter().map(|s| s.load).sum();
        let unit = if whole > 0.0 { whole / WHOLE } else { 0.0 };
        let in_ticks = |load: f64| if unit > 0.0 { load / unit } else { 0.0 };
        let ticks: Vec<u64> = problem.slots.iter().map(|s| floor(in_ticks(s.load).round())).collect();

        let total: u64 = ticks.iter().sum();
        let active = problem.members.iter().filter(|m| m.state == MemberPhase::Active);
        let capacity: f64 = active.map(|m| m.weight).sum();
        let mean = if capacity > 0.0 { total as f64 / capacity } else { 0.0 };
        let band = mean + in_ticks(problem.policy.band_absolute).max(problem.policy.band_relative * mean);
        // Each slot was rounded by up to half a tick: that must not make a member hot that is exactly at the band.
        let slack = ticks.len() as u64;
        let members = problem.members.iter().map(|m| Member {
            weight: m.weight,
            phase: m.state,
            load: 0,
            peak: 0,
            fair: floor(mean * m.weight),
            allowed: floor(band * m.weight).saturating_add(slack),
            slots: 0,
            movable: Vec::new(),
        });
        let mut board = Self {
            problem,
            owners: vec![None; ticks.len()],
            members: members.collect(),
            unit,
            mean,
            band,
            idle: total / IDLE / (ticks.len() as u64).max(1),
            moved: 0,
            ticks,
        };
        for (slot, state) in problem.slots.iter().enumerate() {
            if let Some(owner) = state.owner {
                board.put(slot, owner);
            }
        }
        Ok(board)
    }

    pub(super) fn slots(&self) -> std::ops::Range<usize> {
        0..self.owners.len()
    }

    pub(super) fn owner(&self, slot: usize) -> Option<usize> {
        self.owners[slot]
    }

    /// The owner when planning began.
    pub(super) fn origin(&self, slot: usize) -> Option<usize> {
        self.problem.slots[slot].owner
    }

    pub(super) fn owners(&self) -> &[Option<usize>] {
        &self.owners
    }

    pub(super) fn ticks(&self, slot: usize) -> u64 {
        self.ticks[slot]
    }

    pub(super) fn phase(&self, member: usize) -> MemberPhase {
        self.members[member].phase
    }

    pub(super) fn members_in(&self, phase: MemberPhase) -> impl Iterator<Item = usize> {
        (0..self.members.len()).filter(move |&m| self.members[m].phase == phase)
    }

    pub(super) fn slots_of(&self, member: usize) -> usize {
        self.members[member].slots
    }

    /// What may leave a member, lightest first: (ticks, slot).
    pub(super) fn movable(&self, member: usize) -> &[(u64, usize)] {
        &self.members[member].movable
    }

    /// What a member has, in ticks per weight.
    pub(super) fn pressure(&self, member: usize) -> f64 {
        self.pressure_with(member, 0)
    }

    /// What a member would have with so much more.
    pub(super) fn pressure_with(&self, member: usize, ticks: u64) -> f64 {
        let m = &self.members[member];
        m.pressure(m.load + ticks)
    }

    /// What a member would have without so much.
    pub(super) fn pressure_without(&self, member: usize, ticks: u64) -> f64 {
        let m = &self.members[member];
        m.pressure(m.load.saturating_sub(ticks))
    }

    /// Whether a slot has no load to speak of.
    pub(super) fn is_idle(&self, slot: usize) -> bool {
        self.ticks[slot] <= self.idle
    }

    /// Slots per weight that a member would have with one more.
    pub(super) fn count_with_one(&self, member: usize) -> f64 {
        let m = &self.members[member];
        m.pressure(m.slots as u64 + 1)
    }

    /// The mean in ticks per weight.
    pub(super) fn mean(&self) -> f64 {
        self.mean
    }

    /// The most a member had while this was planned and what it has now, in load units per weight.
    pub(super) fn peak_and_load(&self, member: usize) -> (f64, f64) {
        let m = &self.members[member];
        (m.pressure(m.peak) * self.unit, m.pressure(m.load) * self.unit)
    }

    /// Ticks above the band; 0 within it.
    pub(super) fn surplus(&self, member: usize) -> u64 {
        let m = &self.members[member];
        m.load.saturating_sub(m.allowed)
    }

    /// Ticks above the share; 0 below it.
    pub(super) fn above_share(&self, member: usize) -> u64 {
        let m = &self.members[member];
        m.load.saturating_sub(m.fair)
    }

    /// Ticks below the share; 0 above it.
    pub(super) fn deficit(&self, member: usize) -> u64 {
        let m = &self.members[member];
        m.fair.saturating_sub(m.load)
    }

    /// Ticks up to the band.
    pub(super) fn room(&self, member: usize) -> u64 {
        let m = &self.members[member];
        m.allowed.saturating_sub(m.load)
    }

    /// Whether the budget pays for one more.
    pub(super) fn affords(&self, slot: usize) -> bool {
        self.is_paid(slot) || self.moved < self.problem.policy.max_moves
    }

    /// Takes a slot off its owner.
    pub(super) fn lift(&mut self, slot: usize) {
        if let Some(owner) = self.owners[slot] {
            self.moved += usize::from(!self.is_paid(slot));
            self.owners[slot] = None;
            let (ticks, m) = (self.ticks[slot], &mut self.members[owner]);
            m.load -= ticks;
            m.slots -= 1;
            if let Ok(at) = m.movable.binary_search(&(ticks, slot)) {
                m.movable.remove(at);
            }
        }
    }

    /// Gives a slot that nobody has to a member.
    pub(super) fn put(&mut self, slot: usize, member: usize) {
        self.owners[slot] = Some(member);
        let (ticks, m) = (self.ticks[slot], &mut self.members[member]);
        m.load += ticks;
        m.peak = m.peak.max(m.load);
        m.slots += 1;
        // A slot without load relieves nobody.
        if ticks > 0
            && !self.problem.slots[slot].pinned
            && let Err(at) = m.movable.binary_search(&(ticks, slot))
        {
            m.movable.insert(at, (ticks, slot));
        }
    }

    /// Whether moving the slot (further) costs nothing: nobody works on it, or its move is paid already.
    fn is_paid(&self, slot: usize) -> bool {
        self.owners[slot] != self.origin(slot)
            || self.origin(slot).is_none_or(|m| self.members[m].phase == MemberPhase::Gone)
    }

    pub(super) fn balance(&self) -> Balance {
        let pressure = |m: &usize| self.pressure(*m);
        let hottest_member = self
            .members_in(MemberPhase::Active)
            .reduce(|hottest, m| if pressure(&m) > pressure(&hottest) { m } else { hottest });
        Balance {
            hottest: hottest_member.map_or(0.0, |m| self.pressure(m) * self.unit),
            hottest_member,
            mean: self.mean * self.unit,
            band: if self.unit > 0.0 { self.band * self.unit } else { self.problem.policy.band_absolute },
            hot_members: self.members_in(MemberPhase::Active).filter(|&m| self.surplus(m) > 0).count(),
        }
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, as is meant")]
fn floor(ticks: f64) -> u64 {
    ticks as u64
}
