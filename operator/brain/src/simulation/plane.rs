//! A data plane of one workload, as simple as it can be and still wrong in no way that matters to the decisions:
//! pods take time to start and to drain, slots take time to move, and what can't be done at once waits.
//!
//! Deterministic: the same calls give the same state.

use std::collections::BTreeMap;

use super::setup::{Demand, Workload};
use crate::planner::{MemberPhase, MemberState, Move, SlotState};

/// A member's number; never used twice.
type Id = u32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Starting { ready_at: u32 },
    Ready,
    Draining { until: u32 },
    Lost,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    id: Id,
    phase: Phase,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Of the whole load.
    share: f64,
    owner: Option<Id>,
    /// On its way to `owner` until then.
    arrives_at: Option<u32>,
    /// Records that wait.
    backlog: f64,
}

/// What one member has before it and has done in the last second.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Work {
    pub(super) waiting: f64,
    pub(super) done: f64,
}

/// Members and slots.
#[derive(Clone, Debug)]
pub(super) struct Plane {
    members: Vec<Member>,
    slots: Vec<Slot>,
    next: Id,
    skew: Option<f64>,
    work: BTreeMap<Id, Work>,
}

impl Plane {
    /// All members are ready, and no slot has an owner yet.
    pub(super) fn new(workload: &Workload) -> Self {
        let members = (0..workload.members).map(|id| Member { id, phase: Phase::Ready }).collect();
        let slot = Slot { share: 0.0, owner: None, arrives_at: None, backlog: 0.0 };
        let slots = vec![slot; workload.slots];
        Self { members, slots, next: workload.members, skew: None, work: BTreeMap::new() }
    }

    /// Makes slots unequal by Zipf's law: the k-th largest has `1 / k^skew` of the largest.
    pub(super) fn skew(&mut self, skew: f64) {
        if self.skew.is_some_and(|now| now.total_cmp(&skew).is_eq()) {
            return;
        }
        self.skew = Some(skew);
        let mut order: Vec<(u64, usize)> = (0..self.slots.len()).map(|slot| (scatter(slot), slot)).collect();
        order.sort_unstable();
        let weight = |rank: usize| (rank as f64 + 1.0).powf(-skew);
        let sum: f64 = (0..self.slots.len()).map(weight).sum();
        for (rank, (_, slot)) in order.into_iter().enumerate() {
            if let Some(slot) = self.slots.get_mut(slot) {
                slot.share = weight(rank) / sum;
            }
        }
    }

    /// One member dies; another is started by whoever keeps their number.
    pub(super) fn lose_one(&mut self) {
        if let Some(member) = self.members.iter_mut().find(|member| member.phase == Phase::Ready) {
            member.phase = Phase::Lost;
        }
    }

    /// Starts members or asks the newest to go, until as many are there or on their way.
    pub(super) fn scale(&mut self, now: u32, desired: u32, workload: &Workload) {
        while self.staying() < desired {
            let ready_at = now.saturating_add(seconds(workload.starts_in));
            self.members.push(Member { id: self.next, phase: Phase::Starting { ready_at } });
            self.next = self.next.saturating_add(1);
        }
        while self.staying() > desired {
            let until = now.saturating_add(seconds(workload.drains_in));
            let newest = self.members.iter_mut().rev().find(|member| member.stays());
            match newest {
                Some(member) if member.phase == Phase::Ready => member.phase = Phase::Draining { until },
                // It has nothing yet, so there is nothing to wait for.
                Some(member) => member.phase = Phase::Draining { until: now },
                None => return,
            }
        }
    }

    /// Carries out moves; they name members by their position in [`members`](Self::members).
    pub(super) fn carry_out(&mut self, now: u32, moves: &[Move], handover: u32) {
        for step in moves {
            let to = self.members.get(step.to).map(|member| member.id);
            if let (Some(slot), Some(_)) = (self.slots.get_mut(step.slot), to) {
                slot.owner = to;
                slot.arrives_at = Some(now.saturating_add(handover));
            }
        }
    }

    /// One second: pods become ready or go, slots arrive, work comes in and is done.
    pub(super) fn advance(&mut self, now: u32, arrivals: f64, demand: Demand, halted: bool) {
        for member in &mut self.members {
            if matches!(member.phase, Phase::Starting { ready_at } if ready_at <= now) {
                member.phase = Phase::Ready;
            }
        }
        for slot in &mut self.slots {
            slot.arrives_at = slot.arrives_at.filter(|at| *at > now);
        }
        let owners: Vec<Id> = self.slots.iter().filter_map(|slot| slot.owner).collect();
        self.members.retain(|member| match member.phase {
            Phase::Draining { until } => until > now || owners.contains(&member.id),
            Phase::Lost => owners.contains(&member.id),
            _ => true,
        });
        if let Demand::Backlog { messages_per_member, .. } = demand {
            self.work(arrivals, if halted { 0.0 } else { messages_per_member });
        }
    }

    /// Every member spends its second on its slots, in proportion to what waits in them.
    fn work(&mut self, arrivals: f64, speed: f64) {
        for slot in &mut self.slots {
            slot.backlog += arrivals * slot.share;
        }
        self.work.clear();
        for member in &self.members {
            if matches!(member.phase, Phase::Lost) {
                continue;
            }
            let id = member.id;
            let mine = |slot: &&mut Slot| slot.owner == Some(id) && slot.arrives_at.is_none();
            let before: f64 = self.slots.iter_mut().filter(mine).map(|slot| slot.backlog).sum();
            let done = before.min(speed);
            if before > 0.0 {
                for slot in self.slots.iter_mut().filter(mine) {
                    slot.backlog *= 1.0 - done / before;
                }
            }
            let waiting = self.slots.iter().filter(|s| s.owner == Some(id)).map(|s| s.backlog).sum();
            self.work.insert(id, Work { waiting, done });
        }
    }

    /// Members that are ready and stay.
    pub(super) fn ready(&self) -> u32 {
        self.count(|member| member.phase == Phase::Ready)
    }

    /// Members that stay, ready or not.
    fn staying(&self) -> u32 {
        self.count(|member| member.stays())
    }

    fn count(&self, which: impl Fn(&Member) -> bool) -> u32 {
        u32::try_from(self.members.iter().filter(|member| which(member)).count()).unwrap_or(u32::MAX)
    }

    /// What each working member has before it and did.
    pub(super) fn works(&self) -> impl Iterator<Item = Work> {
        self.work.values().copied()
    }

    /// Records that wait, in all slots.
    pub(super) fn waiting(&self) -> f64 {
        self.slots.iter().map(|slot| slot.backlog).sum()
    }

    /// Slots on their way.
    pub(super) fn handovers(&self) -> usize {
        self.slots.iter().filter(|slot| slot.arrives_at.is_some()).count()
    }

    /// The slots for the planner, `load` being that of all of them.
    pub(super) fn slots(&self, load: f64) -> Vec<SlotState> {
        let position = |id| self.members.iter().position(|member| member.id == id);
        self.slots
            .iter()
            .map(|slot| SlotState {
                load: load * slot.share,
                owner: slot.owner.and_then(position),
                pinned: slot.arrives_at.is_some(),
            })
            .collect()
    }

    /// The members for the planner. Starting ones can't own a slot, and are as good as gone.
    pub(super) fn members(&self) -> Vec<MemberState> {
        let state = |member: &Member| match member.phase {
            Phase::Ready => MemberPhase::Active,
            Phase::Draining { .. } => MemberPhase::Draining,
            Phase::Starting { .. } | Phase::Lost => MemberPhase::Gone,
        };
        self.members.iter().map(|member| MemberState { weight: 1.0, state: state(member) }).collect()
    }

    /// The number of the member at a position.
    pub(super) fn id(&self, position: usize) -> Id {
        self.members.get(position).map_or(Id::MAX, |member| member.id)
    }
}

impl Member {
    fn stays(self) -> bool {
        matches!(self.phase, Phase::Starting { .. } | Phase::Ready)
    }
}

pub(super) fn seconds(duration: std::time::Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

/// Spreads the large slots over the range: splitmix64's finaliser.
fn scatter(slot: usize) -> u64 {
    let mut mixed = (slot as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planner::MoveReason;
    use crate::simulation::Setup;

    /// Logic: two members, 16 slots, 2,000 messages a second each; pods start in 20 s and drain in 30.
    fn logic() -> Workload {
        Setup::default().workloads[1].clone()
    }

    /// All slots to the members in turn.
    fn dealt(workload: &Workload) -> Plane {
        let mut plane = Plane::new(workload);
        plane.skew(0.0);
        let members = usize::try_from(workload.members).unwrap();
        let moves: Vec<Move> = (0..workload.slots).map(|slot| to(slot, slot % members)).collect();
        plane.carry_out(0, &moves, 0);
        plane
    }

    fn to(slot: usize, to: usize) -> Move {
        Move { slot, from: None, to, reason: MoveReason::Unowned }
    }

    #[test]
    fn what_comes_in_is_done_or_waits() {
        let workload = logic();
        let mut plane = dealt(&workload);
        let mut done = 0.0;
        for now in 1..=60 {
            plane.advance(now, 5_000.0, workload.demand, false);
            done += plane.works().map(|work| work.done).sum::<f64>();
        }
        assert!((done - 60.0 * 4_000.0).abs() < 1e-6, "{done}");
        assert!((plane.waiting() - 60.0 * 1_000.0).abs() < 1e-6, "{}", plane.waiting());
    }

    #[test]
    fn a_slot_on_its_way_and_a_dependency_that_is_away_make_work_wait() {
        let workload = logic();
        let mut plane = dealt(&workload);
        plane.carry_out(1, &[to(0, 1)], 2);
        plane.advance(2, 1_600.0, workload.demand, false);
        assert!((plane.waiting() - 100.0).abs() < 1e-9, "one slot of sixteen: {}", plane.waiting());
        plane.advance(3, 1_600.0, workload.demand, false);
        assert!(plane.waiting() < 1e-9, "it has arrived");
        plane.advance(4, 1_600.0, workload.demand, true);
        assert!((plane.waiting() - 1_600.0).abs() < 1e-9);
    }

    #[test]
    fn a_new_member_is_ready_in_its_time_and_one_that_goes_waits_for_its_slots() {
        let workload = logic();
        let mut plane = dealt(&workload);
        plane.scale(0, 3, &workload);
        plane.advance(19, 0.0, workload.demand, false);
        assert_eq!(plane.ready(), 2);
        plane.advance(20, 0.0, workload.demand, false);
        assert_eq!(plane.ready(), 3);

        plane.scale(20, 1, &workload);
        plane.advance(60, 0.0, workload.demand, false);
        let states = |plane: &Plane| plane.members().iter().map(|m| m.state).collect::<Vec<_>>();
        assert_eq!(states(&plane), [MemberPhase::Active, MemberPhase::Draining], "the third had no slots");
        let moves: Vec<Move> = (0..workload.slots).map(|slot| to(slot, 0)).collect();
        plane.carry_out(60, &moves, 0);
        plane.advance(61, 0.0, workload.demand, false);
        assert_eq!(states(&plane), [MemberPhase::Active]);
    }

    #[test]
    fn shares_follow_zipf_and_are_scattered() {
        let workload = logic();
        let mut plane = dealt(&workload);
        plane.skew(1.0);
        let mut shares: Vec<f64> = plane.slots(1.0).iter().map(|slot| slot.load).collect();
        assert!(shares[0] < shares.iter().copied().fold(0.0, f64::max), "{shares:?}");
        shares.sort_by(|one, other| other.total_cmp(one));
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!((shares[0] / shares[1] - 2.0).abs() < 1e-9 && (shares[0] / shares[3] - 4.0).abs() < 1e-9);
    }

    #[test]
    fn a_lost_member_keeps_its_slots_until_they_are_dealt_anew() {
        let workload = logic();
        let mut plane = dealt(&workload);
        plane.lose_one();
        plane.scale(1, 2, &workload);
        plane.advance(1, 800.0, workload.demand, false);
        assert_eq!(plane.ready(), 1);
        assert_eq!(plane.members()[0].state, MemberPhase::Gone);
        assert!((plane.waiting() - 400.0).abs() < 1e-9, "nobody works on its half");
    }
}
