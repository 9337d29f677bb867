//! The slots of one workload, look by look.
//!
//! ```text
//! stored ──▶ picture (senses) ──▶ next ──▶ write ──▶ report
//! map and rebalances              the map that should be,
//! as they are now                 the rebalances' steps
//! ```

mod next;
mod report;
mod stored;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gochat_brain::planner::{MemberPhase, Outlook, Rebalancer};
use gochat_crds::{
    GoChatPlacement, GoChatPlacementSpec, GoChatRebalance, Handover, PlacedWorkload, RebalancePhase,
};
use gochat_senses::{Capacity, Member, Picture};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

use super::brief::scaled;
use super::{Balance, Brief, Shared, write};
use next::Next;

pub(super) use report::hotter;
pub(super) use stored::{keep_placement, keep_rebalance};

/// A new cluster's first map waits so long for the members that were asked for: what one member is given alone would have
/// to be moved off it again.
const GATHER: Duration = Duration::from_secs(10);

/// When and with whom.
pub(super) struct Moment<'a> {
    pub(super) shared: &'a Shared,
    pub(super) brief: &'a Arc<Brief>,
    pub(super) now: Duration,
    pub(super) instant: Instant,
    pub(super) members: &'a [Member<'a>],
}

/// What a look came to.
pub(super) struct Seen {
    pub(super) balance: Option<Balance>,
    pub(super) handovers: usize,
    /// It should be looked at again soon.
    pub(super) busy: bool,
}

/// What is remembered of one workload.
pub(super) struct Placed {
    pub(super) workload: PlacedWorkload,
    rebalancer: Rebalancer,
    /// The answer to the last write, until the watch has it.
    answered: Option<Arc<GoChatPlacement>>,
    rebalances: BTreeMap<String, Arc<GoChatRebalance>>,
    map: GoChatPlacementSpec,
    loads: Vec<f64>,
    handovers: Option<Vec<Handover>>,
    reason: Option<String>,
    /// When there was a member first.
    since: Option<Instant>,
    summary_at: Option<Instant>,
    begun: Instant,
    published: Option<(Instant, Balance)>,
    /// Of the rebalance that moves: how many were moved, and since when.
    progress: Option<(String, i32, Instant)>,
}

impl Placed {
    pub(super) fn new(workload: PlacedWorkload) -> Self {
        Self {
            workload,
            rebalancer: Rebalancer::default(),
            answered: None,
            rebalances: BTreeMap::new(),
            map: GoChatPlacementSpec::default(),
            loads: Vec::new(),
            handovers: None,
            reason: None,
            since: None,
            summary_at: None,
            begun: Instant::now(),
            published: None,
            progress: None,
        }
    }

    /// Whether the map names a member.
    pub(super) fn names(&self, member: &String) -> bool {
        self.map.members.contains(member)
    }

    pub(super) async fn look(
        &mut self,
        moment: &Moment<'_>,
        placements: &BTreeMap<String, Arc<GoChatPlacement>>,
        rebalances: &BTreeMap<String, Arc<GoChatRebalance>>,
    ) -> Seen {
        let brief = moment.brief;
        let mut object = self.current(placements);
        self.map = object.as_ref().map_or_else(|| self.first(brief), |object| object.spec.clone());
        let rebalances = self.rebalances(rebalances);
        let mut picture = self.picture(moment, object.as_deref());
        let mut next = Next::decide(self, moment, &picture, &rebalances);
        let gathering = self.gathers(moment, &picture);
        if gathering || brief.paused {
            next.map = None;
            next.plan.moves.clear();
        }
        if let Some(map) = next.map.take() {
            match write::map(&moment.shared.client, brief, map, object.as_deref()).await {
                Ok(written) => {
                    self.tell(moment, &picture, &next, &written);
                    self.map = written.spec.clone();
                    picture = self.picture(moment, Some(&written));
                    self.answered = Some(Arc::clone(&written));
                    object = Some(written);
                }
                Err(error) => {
                    tracing::warn!(cluster = %brief.key, workload = self.workload.as_str(), %error, "the map was not written");
                    return Seen { balance: self.balance(), handovers: picture.handovers.len(), busy: true };
                }
            }
        }
        let balance = next.plan.after;
        let summary = picture.summary(&balance);
        if !brief.paused {
            if let Some(object) = &object {
                self.report(moment, object, &picture, summary.as_ref()).await;
            }
            for (rebalance, status) in &next.statuses {
                self.write_rebalance(moment, rebalance, status).await;
            }
        }
        let moving = next.statuses.iter().any(|(_, status)| status.phase == RebalancePhase::Moving);
        let calm = matches!(next.outlook, Outlook::Balanced | Outlook::NoMember | Outlook::Unmeasured);
        let busy = !calm || gathering || moving || !picture.handovers.is_empty();
        if summary.is_some() {
            self.publish(moment.instant, &picture, &balance);
        }
        Seen {
            balance: self.balance(),
            handovers: picture.handovers.len(),
            busy: busy && !moment.members.is_empty(),
        }
    }

    fn first(&self, brief: &Brief) -> GoChatPlacementSpec {
        let (cluster, workload) = (brief.key.name.clone(), self.workload);
        GoChatPlacementSpec { cluster, workload, ..GoChatPlacementSpec::default() }
    }

    fn picture(&mut self, moment: &Moment<'_>, object: Option<&GoChatPlacement>) -> Picture {
        let capacity = Capacity::of(&moment.brief.spec, self.workload);
        let slots = moment.brief.slots(self.workload);
        let recorded =
            || object.and_then(|object| object.status.as_ref()).map(|status| status.handovers.clone());
        let before = self.handovers.take().or_else(recorded).unwrap_or_default();
        let mut picture = Picture::of(&self.map, slots, moment.members, &capacity, &mut self.loads, &before);
        for handover in &mut picture.handovers {
            handover.since.get_or_insert_with(|| Time(Timestamp::now()));
        }
        self.handovers = Some(picture.handovers.clone());
        picture
    }

    /// Whether the first map should wait for more members.
    fn gathers(&mut self, moment: &Moment<'_>, picture: &Picture) -> bool {
        let active = moment.members.iter().filter(|member| member.phase == MemberPhase::Active).count();
        if active == 0 {
            self.since = None;
            return false;
        }
        let since = *self.since.get_or_insert(moment.instant);
        let asked = moment.brief.workloads.get(scaled(self.workload)).replicas as usize;
        let fresh = picture.observed.slots.iter().all(|slot| slot.owner.is_none());
        fresh && active < asked && moment.instant.duration_since(since) < GATHER
    }
}
