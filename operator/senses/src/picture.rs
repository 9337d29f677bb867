//! What is the case with one placed workload: members, map and reports become what the planner reads. Pure.

use std::collections::BTreeMap;

use gochat_brain::planner::{Balance, MemberPhase, MemberState, Observation, SlotState};
use gochat_crds::{GoChatPlacementSpec, Handover, HandoverState, LoadSummary};
use gochat_proto::ops::LoadReport;

use crate::loads::Capacity;

/// A member as it was seen.
#[derive(Clone, Debug)]
pub struct Member<'a> {
    /// As the map names it.
    pub name: &'a str,
    /// Whether it may own slots.
    pub phase: MemberPhase,
    /// The last one, where it is fresh.
    pub report: Option<&'a LoadReport>,
}

/// All that a decision about one workload's slots needs.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The planner's members by position: those that are there and those that the map names.
    pub names: Vec<String>,
    /// For the planner.
    pub observed: Observation,
    /// Slots whose new owner has not taken over yet.
    pub handovers: Vec<Handover>,
    /// Members that report, and those that are there.
    pub reporting: (usize, usize),
    /// Of the map and of all reports: what the next epoch has to be above of.
    pub epoch: i64,
}

impl Picture {
    /// Looks. `loads` is what was known of each slot, and is brought up to date; `before` are the handovers of the last look.
    pub fn of(
        map: &GoChatPlacementSpec,
        slots: usize,
        members: &[Member<'_>],
        capacity: &Capacity,
        loads: &mut Vec<f64>,
        before: &[Handover],
    ) -> Self {
        let slots = slots.max(map.owners.len());
        let present: BTreeMap<&str, &Member<'_>> =
            members.iter().map(|member| (member.name, member)).collect();
        let mut names: Vec<String> = present
            .keys()
            .copied()
            .chain(map.members.iter().map(String::as_str))
            .map(str::to_owned)
            .collect();
        names.sort();
        names.dedup();
        let member = |name: &String| present.get(name.as_str()).copied();

        let held = held(members, slots);
        loads.resize(slots, Capacity::idle(slots));
        for (load, holders) in loads.iter_mut().zip(&held) {
            // Of two that report it while it moves, one has stopped working on it.
            let known = holders.iter().map(|(_, slot)| capacity.load(slot, slots)).reduce(f64::max);
            *load = known.unwrap_or(*load);
        }

        let owners = (0..slots).map(|slot| {
            let owner = map.members.get(usize::from(*map.owners.get(slot)?))?;
            names.binary_search(owner).ok()
        });
        let owners: Vec<Option<usize>> = owners.collect();
        let mut handovers = Vec::new();
        for ((slot, owner), holders) in (0u32..).zip(&owners).zip(&held) {
            let Some(owner) = owner.and_then(|owner| names.get(owner)) else { continue };
            let old = find(before, slot).filter(|handover| &handover.to == owner);
            if let Some(handover) = handover(slot, owner, member(owner), holders, old) {
                handovers.push(handover);
            }
        }
        let slot_states = (0u32..).zip(owners.iter().zip(loads.iter())).map(|(slot, (owner, load))| {
            SlotState { load: *load, owner: *owner, pinned: find(&handovers, slot).is_some() }
        });
        let there = members.iter().filter(|member| member.phase != MemberPhase::Gone);
        let reporting = (there.clone().filter(|member| member.report.is_some()).count(), there.count());
        let observed = Observation {
            slots: slot_states.collect(),
            members: names
                .iter()
                .map(|name| MemberState {
                    weight: 1.0,
                    state: member(name).map_or(MemberPhase::Gone, |m| m.phase),
                })
                .collect(),
            measured: reporting.1 > 0 && reporting.0 == reporting.1,
            handovers: handovers.len(),
        };
        let reported = members.iter().filter_map(|member| i64::try_from(member.report?.epoch).ok());
        let epoch = reported.fold(map.epoch, i64::max);
        Self { names, observed, handovers, reporting, epoch }
    }

    /// The map of these owners, at the next epoch; `None` where a slot has no owner.
    pub fn map(&self, map: &GoChatPlacementSpec, owners: &[Option<usize>]) -> Option<GoChatPlacementSpec> {
        let mut used: Vec<usize> = owners.iter().copied().collect::<Option<_>>()?;
        used.sort_unstable();
        used.dedup();
        let members = used.iter().map(|owner| self.names.get(*owner).cloned()).collect::<Option<_>>()?;
        let index = |owner: &Option<usize>| u16::try_from(used.binary_search(&(*owner)?).ok()?).ok();
        let owners = owners.iter().map(index).collect::<Option<_>>()?;
        Some(GoChatPlacementSpec { epoch: self.epoch.saturating_add(1), members, owners, ..map.clone() })
    }

    /// Who owns each slot now, by position in [`Self::names`].
    pub fn owners(&self) -> Vec<Option<usize>> {
        self.observed.slots.iter().map(|slot| slot.owner).collect()
    }

    /// What the status says of a balance; nothing while loads are missing.
    pub fn summary(&self, balance: &Balance) -> Option<LoadSummary> {
        self.observed.measured.then(|| LoadSummary {
            hottest: format!("{:.2}", balance.imbalance()),
            hottest_member: balance.hottest_member.and_then(|member| self.names.get(member).cloned()),
            reporting: format!("{}/{}", self.reporting.0, self.reporting.1),
        })
    }
}

/// Of a slot; they are in the order of slots.
fn find(handovers: &[Handover], slot: u32) -> Option<&Handover> {
    handovers.get(handovers.binary_search_by_key(&slot, |handover| handover.slot).ok()?)
}

/// By slot, who says that it works on it.
fn held<'a>(members: &[Member<'a>], slots: usize) -> Vec<Vec<(&'a str, &'a gochat_proto::ops::SlotLoad)>> {
    let mut held = vec![Vec::new(); slots];
    for member in members {
        for slot in member.report.iter().flat_map(|report| &report.slots) {
            if let Some(holders) = held.get_mut(slot.slot as usize) {
                holders.push((member.name, slot));
            }
        }
    }
    held
}

/// How far a slot is on its way to its owner. A member that does not report says nothing: what was known stays.
fn handover(
    slot: u32,
    owner: &str,
    member: Option<&Member<'_>>,
    holders: &[(&str, &gochat_proto::ops::SlotLoad)],
    old: Option<&Handover>,
) -> Option<Handover> {
    if holders.iter().any(|(holder, _)| *holder == owner) {
        return None;
    }
    let other = holders.first().map(|(holder, _)| (*holder).to_owned());
    if member.is_none_or(|member| member.report.is_none()) && other.is_none() {
        return old.cloned();
    }
    let state = if other.is_some() { HandoverState::Planned } else { HandoverState::Released };
    let from = other.or_else(|| old.and_then(|old| old.from.clone()));
    Some(Handover { slot, from, to: owner.to_owned(), state, since: old.and_then(|old| old.since.clone()) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use gochat_crds::{GoChatClusterSpec, PlacedWorkload};
    use gochat_proto::ops::SlotLoad;

    use super::*;

    fn report(epoch: u64, slots: &[u32]) -> LoadReport {
        let slots =
            slots.iter().map(|&slot| SlotLoad { slot, records_per_second: 1_000.0, ..SlotLoad::default() });
        LoadReport { epoch, slots: slots.collect(), ..LoadReport::default() }
    }

    fn map(epoch: i64, members: &[&str], owners: &[u16]) -> GoChatPlacementSpec {
        let members = members.iter().map(|&name| name.to_owned()).collect();
        GoChatPlacementSpec {
            cluster: "chat".into(),
            epoch,
            members,
            owners: owners.to_vec(),
            ..Default::default()
        }
    }

    fn look(map: &GoChatPlacementSpec, members: &[Member<'_>], before: &[Handover]) -> Picture {
        let capacity = Capacity::of(&GoChatClusterSpec::default(), PlacedWorkload::Logic);
        Picture::of(map, 4, members, &capacity, &mut Vec::new(), before)
    }

    fn member<'a>(name: &'a str, report: Option<&'a LoadReport>) -> Member<'a> {
        Member { name, phase: MemberPhase::Active, report }
    }

    #[test]
    fn a_slot_moves_from_planned_to_released_to_done_as_the_members_report_it() {
        let map = map(7, &["a", "b"], &[0, 0, 1, 1]);
        let (a, b) = (report(6, &[0, 1, 2]), report(6, &[3]));
        let planned = look(&map, &[member("a", Some(&a)), member("b", Some(&b))], &[]).handovers;
        let expected =
            |state| Handover { slot: 2, from: Some("a".into()), to: "b".into(), state, since: None };
        assert_eq!(planned, [expected(HandoverState::Planned)]);

        let a = report(7, &[0, 1]);
        let picture = look(&map, &[member("a", Some(&a)), member("b", Some(&b))], &planned);
        assert_eq!(picture.handovers, [expected(HandoverState::Released)]);
        assert!(picture.observed.slots[2].pinned);

        let silent = look(&map, &[member("a", Some(&a)), member("b", None)], &picture.handovers);
        assert_eq!(silent.handovers, picture.handovers, "what was known stays");
        assert!(!silent.observed.measured);
        assert_eq!(silent.reporting, (1, 2));

        let b = report(7, &[2, 3]);
        let done = look(&map, &[member("a", Some(&a)), member("b", Some(&b))], &silent.handovers);
        assert_eq!((done.handovers.len(), done.observed.measured, done.epoch), (0, true, 7));
    }

    #[test]
    fn a_member_that_the_map_names_and_nobody_sees_is_gone() {
        let a = report(9, &[0]);
        let picture = look(&map(3, &["z", "a"], &[0, 1, 0, 1]), &[member("a", Some(&a))], &[]);
        assert_eq!(picture.names, ["a", "z"]);
        assert_eq!(picture.observed.members[1].state, MemberPhase::Gone);
        assert_eq!(picture.owners(), [Some(1), Some(0), Some(1), Some(0)]);
        let next = picture.map(&map(3, &["z", "a"], &[0, 1, 0, 1]), &[Some(0); 4]).unwrap();
        assert_eq!(
            (next.epoch, next.members, next.owners),
            (10, vec!["a".to_owned()], vec![0; 4]),
            "above what members obey"
        );
    }

    #[test]
    fn a_new_cluster_has_slots_without_owners_and_an_owner_out_of_range_is_none() {
        let a = report(0, &[]);
        let picture = look(&map(0, &["a"], &[5]), &[member("a", Some(&a))], &[]);
        assert_eq!(picture.owners(), [None; 4]);
        assert_eq!(picture.map(&map(0, &[], &[]), &[None; 4]), None);
    }
}
