//! The slots of one workload: looks, decides, publishes the next map, and says why.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use gochat_brain::planner::{MemberPhase, Outlook, Rebalancer};
use gochat_coord::{Coord, Owners};
use gochat_core::{Epoch, MemberId, Placement, SlotCount, Workload};
use gochat_crds::{GoChatClusterSpec, GoChatPlacementSpec, Handover, PlacedWorkload, RebalanceMode};
use gochat_senses::{Capacity, Member, Picture};
use tokio::sync::watch;

use super::Sight;
use crate::say;

pub(super) struct Placed {
    workload: Workload,
    slots: SlotCount,
    coord: Coord,
    /// In force. On an etcd it may be of an earlier run.
    placement: watch::Receiver<Arc<Placement>>,
    owners: watch::Receiver<Arc<Owners>>,
    capacity: Capacity,
    rebalancer: Rebalancer,
    loads: Vec<f64>,
    handovers: Vec<Handover>,
    uneven: bool,
    /// The last one published, which may not be in force yet.
    published: Epoch,
}

impl Placed {
    pub(super) fn new(
        spec: &GoChatClusterSpec,
        placed: PlacedWorkload,
        workload: Workload,
        slots: SlotCount,
        coord: &Coord,
    ) -> Self {
        Self {
            workload,
            slots,
            coord: coord.clone(),
            placement: coord.placement(workload),
            owners: coord.owners(workload, slots),
            capacity: Capacity::of(spec, placed),
            rebalancer: Rebalancer::new(gochat_senses::rebalancing(&spec.rebalance)),
            loads: Vec::new(),
            handovers: Vec::new(),
            uneven: false,
            published: Epoch::default(),
        }
    }

    /// How many there are.
    pub(super) fn slots(&self) -> usize {
        self.slots.get() as usize
    }

    /// Whether the map names a member.
    pub(super) fn names(&self, member: &str) -> bool {
        self.placement.borrow().members.iter().any(|id| id.as_str() == member)
    }

    /// Whether load lies unevenly, so that slots may soon move.
    pub(super) fn is_uneven(&self) -> bool {
        self.uneven
    }

    /// Looks, and publishes the next map where there is one; returns how many slots are on their way.
    pub(super) async fn look(
        &mut self,
        spec: &GoChatClusterSpec,
        sights: &[Sight],
        asked: usize,
        now: Duration,
    ) -> usize {
        let current = Arc::clone(&self.placement.borrow_and_update());
        let owners = Arc::clone(&self.owners.borrow_and_update());
        // A view that was just opened is empty, which says nothing; and the first map waits for all.
        let known =
            owners.by_slot.iter().any(Option::is_some) && current.epoch >= owners.epoch.max(self.published);
        if !known || (current.owners.is_empty() && sights.len() < asked) {
            return self.handovers.len();
        }
        let map = as_spec(&current);
        let members: Vec<_> = sights.iter().map(member).collect();
        let picture =
            Picture::of(&map, self.slots(), &members, &self.capacity, &mut self.loads, &self.handovers);
        self.handovers.clone_from(&picture.handovers);
        let mut observed = picture.observed.clone();
        observed.measured &= spec.rebalance.mode == RebalanceMode::Auto;
        let decision = self.rebalancer.decide(now, &observed);
        self.uneven =
            !matches!(decision.outlook, Outlook::Balanced | Outlook::NoMember | Outlook::Unmeasured);
        if let Some(fault) = &decision.plan.fault {
            tracing::error!(workload = %self.workload, %fault, "no plan");
        }
        if decision.plan.owners == picture.owners() {
            return picture.handovers.len();
        }
        let Some(next) = picture.map(&map, &decision.plan.owners) else { return picture.handovers.len() };
        let next = as_placement(&next);
        match self.coord.put_placement(self.workload, &next).await {
            Ok(()) => {
                self.published = next.epoch;
                let name = |member: usize| picture.names.get(member).cloned().unwrap_or_default();
                let why = decision.plan.text(name);
                say::line(&format!("{} epoch {}: {why}; now {}", self.workload, next.epoch.0, shares(&next)));
                decision.plan.moves.len()
            }
            // The next look plans anew, on the map that is in force then.
            Err(error) => {
                tracing::warn!(workload = %self.workload, %error, "the map was not published");
                picture.handovers.len()
            }
        }
    }
}

/// As the planner takes it.
fn member(sight: &Sight) -> Member<'_> {
    let report = sight.heard.as_ref().map(|heard| heard.report.as_ref());
    let draining = sight.leaving.is_some() || report.is_some_and(|report| report.draining);
    let phase = if draining { MemberPhase::Draining } else { MemberPhase::Active };
    Member { name: &sight.name, phase, report }
}

fn as_spec(placement: &Placement) -> GoChatPlacementSpec {
    GoChatPlacementSpec {
        epoch: i64::try_from(placement.epoch.0).unwrap_or(i64::MAX),
        members: placement.members.iter().map(ToString::to_string).collect(),
        owners: placement.owners.clone(),
        ..GoChatPlacementSpec::default()
    }
}

fn as_placement(spec: &GoChatPlacementSpec) -> Placement {
    Placement {
        epoch: Epoch(u64::try_from(spec.epoch).unwrap_or_default()),
        members: spec.members.iter().map(|name| MemberId::from(name.as_str())).collect(),
        owners: spec.owners.clone(),
    }
}

/// `gateway-0 11, gateway-1 5`: how many slots each has.
fn shares(placement: &Placement) -> String {
    let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
    for owner in &placement.owners {
        *counts.entry(*owner).or_default() += 1;
    }
    let mut text = String::new();
    for (member, count) in counts {
        let comma = if text.is_empty() { "" } else { ", " };
        let name = placement.members.get(usize::from(member)).map(MemberId::as_str).unwrap_or_default();
        let _ = write!(text, "{comma}{name} {count}");
    }
    text
}

#[cfg(test)]
mod tests {
    use gochat_proto::ops::{LoadReport, SlotLoad};
    use gochat_senses::Heard;
    use tokio::time::Instant;

    use super::*;

    fn joins(id: &str) -> gochat_coord::Member {
        let address = "http://127.0.0.1:1".into();
        gochat_coord::Member { id: id.into(), workload: Workload::Gateway, address, draining: false }
    }

    fn sight(name: &str, report: Option<LoadReport>) -> Sight {
        let heard = report.map(|report| Heard { report: report.into(), at: Instant::now() });
        Sight { name: name.into(), leaving: None, heard }
    }

    fn owners(placement: &Placement, slots: &[u32]) -> Vec<String> {
        slots.iter().map(|slot| placement.owner(gochat_core::Slot(*slot)).unwrap().to_string()).collect()
    }

    #[tokio::test]
    async fn slots_are_dealt_evenly_follow_their_load_and_leave_a_member_that_goes() {
        let coord = Coord::connect(&gochat_coord::CoordConfig::default()).await.unwrap();
        let sessions = (coord.session(), coord.session());
        let _first = sessions.0.join(joins("gateway-0")).await.unwrap();
        let _second = sessions.1.join(joins("gateway-1")).await.unwrap();
        let (spec, slots) = (GoChatClusterSpec::default(), SlotCount::new(16).unwrap());
        let mut placed = Placed::new(&spec, PlacedWorkload::Gateway, Workload::Gateway, slots, &coord);
        placed.owners.wait_for(|owners| owners.by_slot.iter().all(Option::is_some)).await.unwrap();

        let at = Duration::from_secs;
        placed.look(&spec, &[sight("gateway-0", None)], 2, at(0)).await;
        assert_eq!(placed.placement.borrow().epoch, Epoch(0), "the first map waits for all");
        let both = [sight("gateway-0", None), sight("gateway-1", None)];
        placed.look(&spec, &both, 2, at(0)).await;
        let mut view = placed.placement.clone();
        let map = view.wait_for(|map| map.epoch == Epoch(1)).await.unwrap().clone();
        assert_eq!(shares(&map), "gateway-0 8, gateway-1 8");

        // All load on the slots of one member.
        let report = |member: &str, records_per_second| {
            let ours = (0..16).filter(|slot| owners(&map, &[*slot]) == [member]);
            let load = ours.map(|slot| SlotLoad { slot, records_per_second, ..SlotLoad::default() });
            LoadReport { epoch: 1, slots: load.collect(), ..LoadReport::default() }
        };
        let (hot, cold) = (report("gateway-0", 2_000.0), report("gateway-1", 0.0));
        let both = [sight("gateway-0", Some(hot)), sight("gateway-1", Some(cold))];
        placed.look(&spec, &both, 2, at(1)).await;
        assert_eq!(
            (placed.placement.borrow().epoch, placed.is_uneven()),
            (Epoch(1), true),
            "patient at first"
        );
        let moved = placed.look(&spec, &both, 2, at(40)).await;
        assert!(moved > 0, "slots follow the load");
        let map = view.wait_for(|map| map.epoch == Epoch(2)).await.unwrap().clone();
        assert_eq!(
            owners(&map, &(0..16).collect::<Vec<_>>()).iter().filter(|o| *o == "gateway-0").count(),
            8 - moved
        );

        let going = Sight { leaving: Some(Instant::now()), ..sight("gateway-0", None) };
        let going = [going, sight("gateway-1", None)];
        placed.look(&spec, &going, 1, at(100)).await;
        view.wait_for(|map| shares(map) == "gateway-1 16").await.unwrap();
        assert!(!placed.names("gateway-0"));
    }
}
