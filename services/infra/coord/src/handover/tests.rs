//! The handover, read as transcripts, and two members of it against invariants.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::*;

const TIMEOUT: Duration = Duration::from_secs(3);
const RETRY: Duration = Duration::from_millis(100);
const SLOT: Slot = Slot(0);

/// One slot of one member, told what happens and asked what it does.
struct Script {
    handover: Handover,
    now: Instant,
}

impl Script {
    fn new() -> Self {
        let handover = Handover::new("me".into(), SlotCount::new(1).unwrap(), TIMEOUT, RETRY);
        Self { handover, now: Instant::now() }
    }

    fn owner(&mut self, epoch: u64, whose: Whose) -> Vec<Step> {
        let mut out = Vec::new();
        self.handover.owners(self.now, Epoch(epoch), [whose], &mut out);
        out
    }

    fn holder(&mut self, holder: Option<(&str, i64)>) -> Vec<Step> {
        let mut out = Vec::new();
        self.handover.holder(self.now, SLOT, holder, &mut out);
        out
    }

    fn claimed(&mut self, revision: Option<i64>) -> Vec<Step> {
        let mut out = Vec::new();
        self.handover.claimed(self.now, SLOT, revision, &mut out);
        out
    }

    fn released(&mut self) -> Vec<Step> {
        let mut out = Vec::new();
        self.handover.released(self.now, SLOT, &mut out);
        out
    }

    fn wait_until_woken(&mut self) -> Vec<Step> {
        self.now = self.handover.wake_at().expect("it waits for nothing");
        let mut out = Vec::new();
        self.handover.tick(self.now, &mut out);
        out
    }
}

fn acquire(epoch: u64) -> Step {
    Step::Emit(Change::Acquire(SLOT, Epoch(epoch)))
}

fn release(epoch: u64) -> Step {
    Step::Emit(Change::Release(SLOT, Epoch(epoch)))
}

#[test]
fn a_free_slot_is_claimed_worked_on_and_given_up() {
    let mut s = Script::new();
    assert_eq!(s.owner(1, Whose::Mine), [Step::Claim(SLOT)]);
    assert_eq!(s.claimed(Some(7)), [acquire(1)]);
    assert_eq!(s.holder(Some(("me", 7))), []);
    assert_eq!(s.owner(2, Whose::Anothers), [release(2)]);
    assert_eq!(s.released(), [Step::Unclaim(SLOT)]);
    assert_eq!(s.holder(None), []);
    assert_eq!(s.handover.wake_at(), None);
}

#[test]
fn a_new_owner_starts_when_the_old_one_has_released() {
    let mut s = Script::new();
    s.holder(Some(("old", 5)));
    assert_eq!(s.owner(2, Whose::Mine), []);
    assert_eq!(s.holder(None), [Step::Claim(SLOT)]);
    assert_eq!(s.claimed(Some(9)), [acquire(2)]);
}

#[test]
fn a_new_owner_takes_over_when_the_handover_is_overdue() {
    let mut s = Script::new();
    s.holder(Some(("old", 5)));
    assert_eq!(s.owner(2, Whose::Mine), []);
    let start = s.now;
    assert_eq!(s.wait_until_woken(), [Step::TakeOver(SLOT)]);
    assert_eq!(s.now, start + TIMEOUT);
    assert_eq!(s.claimed(Some(9)), [acquire(2)]);
}

#[test]
fn an_attempt_that_failed_is_made_again() {
    let mut s = Script::new();
    s.owner(1, Whose::Mine);
    assert_eq!(s.claimed(None), []);
    assert_eq!(s.wait_until_woken(), [Step::Claim(SLOT)]);
}

#[test]
fn a_view_that_is_behind_takes_no_slot_away() {
    let mut s = Script::new();
    s.holder(Some(("old", 5)));
    s.owner(1, Whose::Mine);
    s.wait_until_woken();
    s.claimed(Some(9));
    assert_eq!(s.holder(Some(("old", 8))), [], "written before our claim");
    assert_eq!(s.holder(Some(("me", 9))), []);
}

#[test]
fn a_claim_taken_by_another_stops_the_work() {
    let mut s = Script::new();
    s.owner(1, Whose::Mine);
    s.claimed(Some(9));
    assert_eq!(s.holder(Some(("other", 12))), [release(1)]);
    // Still ours by the placement: it waits its turn.
    assert_eq!(s.released(), [Step::Unclaim(SLOT)]);
    assert_eq!(s.holder(None), [Step::Claim(SLOT)]);
}

#[test]
fn a_claim_that_vanishes_for_a_moment_is_kept() {
    let mut s = Script::new();
    s.owner(1, Whose::Mine);
    s.claimed(Some(9));
    s.holder(Some(("me", 9)));
    assert_eq!(s.holder(None), [], "the lease is being replaced");
    assert_eq!(s.holder(Some(("me", 15))), []);
    assert_eq!(s.holder(Some(("other", 20))), [release(1)]);
}

#[test]
fn where_nobody_is_known_to_live_work_goes_on() {
    let mut s = Script::new();
    s.owner(1, Whose::Mine);
    s.claimed(Some(9));
    assert_eq!(s.owner(1, Whose::Nobodys), []);
}

#[test]
fn a_slot_that_comes_back_while_it_is_released_is_claimed_anew() {
    let mut s = Script::new();
    s.owner(1, Whose::Mine);
    s.claimed(Some(9));
    assert_eq!(s.owner(2, Whose::Anothers), [release(2)]);
    assert_eq!(s.owner(3, Whose::Mine), []);
    assert_eq!(s.released(), [Step::Unclaim(SLOT), Step::Claim(SLOT)]);
    assert_eq!(s.claimed(Some(11)), [acquire(3)]);
}

#[test]
fn a_claim_that_comes_too_late_is_given_up_unused() {
    let mut s = Script::new();
    s.owner(1, Whose::Mine);
    assert_eq!(s.owner(2, Whose::Anothers), []);
    assert_eq!(s.claimed(Some(9)), [Step::Unclaim(SLOT)]);
}

/// Two members, the backend between them, and everything that is under way.
struct World {
    now: Instant,
    revision: i64,
    members: Vec<Handover>,
    /// What each slot's claim really is.
    claims: BTreeMap<Slot, (usize, i64)>,
    /// Attempts and views that have not arrived, oldest first, by member.
    arriving: Vec<VecDeque<Arriving>>,
    /// By member.
    working: Vec<BTreeSet<Slot>>,
    /// Members whose claim was taken by force: until they know and have stopped, two may work on the slot,
    /// even where the taker gave the claim up and got it again in good order.
    robbed: BTreeSet<(Slot, usize)>,
    releasing: Vec<VecDeque<Slot>>,
    owners: Vec<usize>,
    /// A lease has ended unnoticed, so that two may have worked on a slot without force.
    expired: bool,
}

enum Arriving {
    Attempt(Slot, Option<i64>),
    View(Slot, Option<(usize, i64)>),
}

const SLOTS: u32 = 3;

const NAMES: [&str; 2] = ["a", "b"];

impl World {
    fn new() -> Self {
        let slots = SlotCount::new(SLOTS).unwrap();
        Self {
            now: Instant::now(),
            revision: 0,
            members: (0..2).map(|m| Handover::new(NAMES[m].into(), slots, TIMEOUT, RETRY)).collect(),
            claims: BTreeMap::new(),
            arriving: vec![VecDeque::new(), VecDeque::new()],
            working: vec![BTreeSet::new(); 2],
            robbed: BTreeSet::new(),
            releasing: vec![VecDeque::new(), VecDeque::new()],
            owners: vec![0; SLOTS as usize],
            expired: false,
        }
    }

    fn set(&mut self, slot: Slot, holder: Option<usize>) -> i64 {
        self.revision += 1;
        match holder {
            Some(m) => self.claims.insert(slot, (m, self.revision)),
            None => self.claims.remove(&slot),
        };
        for arriving in &mut self.arriving {
            arriving.push_back(Arriving::View(slot, self.claims.get(&slot).copied()));
        }
        self.revision
    }

    fn take(&mut self, m: usize, steps: Vec<Step>) -> Result<(), TestCaseError> {
        for step in steps {
            match step {
                Step::Claim(slot) => {
                    let free = self.claims.get(&slot).is_none_or(|(holder, _)| *holder == m);
                    let revision = free.then(|| self.set(slot, Some(m)));
                    self.arriving[m].push_back(Arriving::Attempt(slot, revision));
                }
                Step::TakeOver(slot) => {
                    let held = self.claims.get(&slot).is_some_and(|(holder, _)| *holder != m);
                    if held || self.working[1 - m].contains(&slot) {
                        self.robbed.insert((slot, 1 - m));
                    }
                    let revision = self.set(slot, Some(m));
                    self.arriving[m].push_back(Arriving::Attempt(slot, Some(revision)));
                }
                Step::Unclaim(slot) => {
                    prop_assert!(!self.working[m].contains(&slot), "the claim goes only after the work");
                    self.robbed.remove(&(slot, m));
                    if self.claims.get(&slot).is_some_and(|(holder, _)| *holder == m) {
                        self.set(slot, None);
                    }
                }
                Step::Emit(Change::Acquire(slot, _)) => {
                    prop_assert!(self.working[m].insert(slot), "two Acquires without a Release");
                    // Its own claim was taken before it heard that it had got it.
                    let taken = self.claims.get(&slot).is_some_and(|(holder, _)| *holder != m);
                    let excused = taken || self.expired || self.robbed.contains(&(slot, 1 - m));
                    let both = self.working[1 - m].contains(&slot);
                    prop_assert!(!both || excused, "two members work on a slot, and no claim was forced");
                }
                Step::Emit(Change::Release(slot, _)) => {
                    prop_assert!(self.working[m].contains(&slot), "a Release without an Acquire");
                    self.releasing[m].push_back(slot);
                }
            }
        }
        Ok(())
    }

    fn arrive(&mut self, m: usize) -> Result<bool, TestCaseError> {
        let Some(arriving) = self.arriving[m].pop_front() else { return Ok(false) };
        let mut out = Vec::new();
        match arriving {
            Arriving::Attempt(slot, revision) => self.members[m].claimed(self.now, slot, revision, &mut out),
            Arriving::View(slot, holder) => {
                self.members[m].holder(self.now, slot, holder.map(|(h, at)| (NAMES[h], at)), &mut out);
            }
        }
        self.take(m, out)?;
        Ok(true)
    }

    fn learn_owners(&mut self, m: usize) -> Result<(), TestCaseError> {
        let mut out = Vec::new();
        let whose: Vec<Whose> =
            self.owners.iter().map(|o| if *o == m { Whose::Mine } else { Whose::Anothers }).collect();
        self.members[m].owners(self.now, Epoch(1), whose, &mut out);
        self.take(m, out)
    }

    fn release(&mut self, m: usize) -> Result<bool, TestCaseError> {
        let Some(slot) = self.releasing[m].pop_front() else { return Ok(false) };
        self.working[m].remove(&slot);
        let mut out = Vec::new();
        self.members[m].released(self.now, slot, &mut out);
        self.take(m, out)?;
        Ok(true)
    }

    fn expire(&mut self, m: usize) {
        self.expired = true;
        let held: Vec<Slot> =
            self.claims.iter().filter(|(_, (h, _))| *h == m).map(|(slot, _)| *slot).collect();
        for slot in held {
            self.set(slot, None);
        }
    }

    fn renew(&mut self, m: usize) -> Result<(), TestCaseError> {
        for slot in self.working[m].iter().copied().collect::<Vec<_>>() {
            match self.claims.get(&slot) {
                None => drop(self.set(slot, Some(m))),
                Some((holder, _)) if *holder != m => {
                    let mut out = Vec::new();
                    self.members[m].lost(slot, &mut out);
                    self.take(m, out)?;
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn pass(&mut self, time: Duration) -> Result<(), TestCaseError> {
        self.now += time;
        for m in 0..2 {
            let mut out = Vec::new();
            self.members[m].tick(self.now, &mut out);
            self.take(m, out)?;
        }
        Ok(())
    }
}

#[derive(Clone, Debug)]
enum Happening {
    Owner(u32, usize),
    Learn(usize),
    Arrive(usize),
    Release(usize),
    Pass(u64),
    /// The backend ends a member's lease: its claims vanish, and it doesn't know.
    Expire(usize),
    /// Its session notices: claims that nobody took are written again, the others are lost.
    Renew(usize),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        2 => (0..SLOTS, 0..2usize).prop_map(|(s, m)| Happening::Owner(s, m)),
        4 => (0..2usize).prop_map(Happening::Learn),
        8 => (0..2usize).prop_map(Happening::Arrive),
        4 => (0..2usize).prop_map(Happening::Release),
        2 => (1..2000u64).prop_map(Happening::Pass),
    ]
}

fn happening_with_expiry() -> impl Strategy<Value = Happening> {
    prop_oneof![
        16 => happening(),
        1 => (0..2usize).prop_map(Happening::Expire),
        1 => (0..2usize).prop_map(Happening::Renew),
    ]
}

fn play(happenings: Vec<Happening>) -> Result<(), TestCaseError> {
    let mut world = World::new();
    for happening in happenings {
        match happening {
            Happening::Owner(slot, m) => world.owners[slot as usize] = m,
            Happening::Learn(m) => world.learn_owners(m)?,
            Happening::Arrive(m) => drop(world.arrive(m)?),
            Happening::Release(m) => drop(world.release(m)?),
            Happening::Pass(ms) => world.pass(Duration::from_millis(ms))?,
            Happening::Expire(m) => world.expire(m),
            Happening::Renew(m) => world.renew(m)?,
        }
    }
    // Then the world calms down.
    for _ in 0..200 {
        for m in 0..2 {
            world.renew(m)?;
            world.learn_owners(m)?;
            while world.arrive(m)? || world.release(m)? {}
        }
        world.pass(Duration::from_millis(100))?;
    }
    for (slot, owner) in (0..).map(Slot).zip(world.owners.clone()) {
        prop_assert!(world.working[owner].contains(&slot), "slot {slot} is not worked on by its owner");
        prop_assert!(!world.working[1 - owner].contains(&slot), "slot {slot} is worked on twice");
        prop_assert_eq!(world.claims.get(&slot).map(|(holder, _)| *holder), Some(owner));
    }
    Ok(())
}

proptest! {
    #[test]
    fn one_member_works_on_a_slot_at_a_time_and_its_owner_does_in_the_end(
        happenings in proptest::collection::vec(happening(), 0..120)
    ) {
        play(happenings)?;
    }

    #[test]
    fn a_lease_that_ends_unnoticed_is_healed(
        happenings in proptest::collection::vec(happening_with_expiry(), 0..120)
    ) {
        play(happenings)?;
    }
}
