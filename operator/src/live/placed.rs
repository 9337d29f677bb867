//! The slots of one workload: looks, decides, writes the map, and says what is true of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gochat_brain::planner::{
    self, MemberPhase, MoveReason, Observation, Outlook, Plan, Policy, RebalancePolicy, Rebalancer,
};
use gochat_crds::{
    GoChatPlacement, GoChatPlacementSpec, GoChatRebalance, Handover, LoadSummary, PlacedWorkload,
    PlacementStatus, Rebalance, RebalanceMode, RebalancePhase, RebalanceStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::{Resource as _, ResourceExt as _};
use tokio::time::Instant;

use super::brief::scaled;
use super::loads::Capacity;
use super::moves::{self, Around};
use super::picture::{Member, Picture};
use super::watch::Kept;
use super::{Balance, Brief, Shared, write};
use crate::cluster::ClusterKey;

/// A new cluster's first map waits so long for the members that were asked for: what one member is given alone would have
/// to be moved off it again.
const GATHER: Duration = Duration::from_secs(10);
/// How often a load that moves a little is written.
const SUMMARY_EVERY: Duration = Duration::from_secs(30);
/// What is more than a little, relative to the mean.
const SUMMARY_STEP: f64 = 0.05;
/// A rebalance of which nothing ends for so long has failed.
const STUCK: Duration = Duration::from_secs(300);
/// Handovers that a status lists.
const LISTED: usize = 64;
/// Moves that a reason tells one by one.
const TOLD: usize = 3;

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
        let stored = placements.values().find(|placement| placement.spec.workload == self.workload).cloned();
        let current = write::newest(stored.clone(), self.answered.as_ref());
        if let (Some(stored), Some(answered)) = (&stored, &self.answered)
            && !current.as_ref().is_some_and(|current| Arc::ptr_eq(current, answered))
        {
            tracing::trace!(epoch = stored.spec.epoch, "the watch has it");
            self.answered = None;
        }
        self.map = current.as_ref().map_or_else(|| self.first(brief), |current| current.spec.clone());
        let rebalances = self.rebalances(rebalances);
        let picture = self.picture(moment, current.as_deref());
        let mut next = Next::decide(self, moment, &picture, &rebalances);
        let gathering = self.gathers(moment, &picture);
        if gathering || brief.paused {
            next.map = None;
            next.plan.moves.clear();
        }
        let mut picture = picture;
        let mut object = current;
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

    /// Those of this workload, as they are known last; the oldest first.
    fn rebalances(&mut self, stored: &BTreeMap<String, Arc<GoChatRebalance>>) -> Vec<Arc<GoChatRebalance>> {
        let ours = stored.iter().filter(|(_, rebalance)| rebalance.spec.workload == self.workload);
        let same = |a: &GoChatRebalance, b: &GoChatRebalance| a.metadata.uid == b.metadata.uid;
        self.rebalances
            .retain(|name, answered| stored.get(name).is_some_and(|stored| same(stored, answered)));
        let newest = ours.filter_map(|(name, rebalance)| {
            let rebalance = write::newest(Some(Arc::clone(rebalance)), self.rebalances.get(name))?;
            // One that is being deleted begins nothing.
            rebalance.metadata.deletion_timestamp.is_none().then_some(rebalance)
        });
        let mut rebalances: Vec<_> = newest.collect();
        rebalances.sort_by_key(|rebalance| (rebalance.creation_timestamp(), rebalance.name_any()));
        rebalances
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

    /// A new map is an Event, a log line and a count, with its reasons.
    fn tell(&mut self, moment: &Moment<'_>, picture: &Picture, next: &Next, written: &GoChatPlacement) {
        let reason = next.text(picture);
        let note = format!("{} epoch {}: {reason}", self.workload.as_str(), written.spec.epoch);
        moment.shared.events.tell(moment.brief.reference.clone(), false, "SlotsMoved", note);
        for (why, moves) in next.counts() {
            let labels = [("workload", self.workload.as_str()), ("reason", why)];
            metrics::counter!("gochat_operator_moves_total", &labels).increment(moves);
        }
        self.reason = Some(reason);
    }

    /// Writes the status where it says something else.
    async fn report(
        &mut self,
        moment: &Moment<'_>,
        object: &Arc<GoChatPlacement>,
        picture: &Picture,
        summary: Option<&LoadSummary>,
    ) {
        let before = object.status.clone().unwrap_or_default();
        // What is there was written by an operator that knew all: one that was just started may not have heard all yet.
        let written = self.summary_at.or_else(|| before.load.as_ref().map(|_| self.begun));
        let due = written.is_none_or(|at| moment.instant.duration_since(at) >= SUMMARY_EVERY);
        let load =
            if is_news(before.load.as_ref(), summary, due) { summary.cloned() } else { before.load.clone() };
        let status = PlacementStatus {
            moving: i32::try_from(picture.handovers.len()).unwrap_or(i32::MAX),
            handovers: picture.handovers.iter().take(LISTED).cloned().collect(),
            load,
            reason: self.reason.clone().or_else(|| before.reason.clone()),
        };
        if object.status.is_some() && status == before {
            return;
        }
        if status.load != before.load {
            self.summary_at = Some(moment.instant);
        }
        match write::placement_status(&moment.shared.client, object, &status).await {
            Ok(written) => self.answered = Some(written),
            Err(error) => {
                tracing::debug!(cluster = %moment.brief.key, %error, "the placement's status was not written");
            }
        }
    }

    async fn write_rebalance(
        &mut self,
        moment: &Moment<'_>,
        rebalance: &Arc<GoChatRebalance>,
        status: &RebalanceStatus,
    ) {
        let before = rebalance.status.clone().unwrap_or_default();
        if rebalance.status.is_some() && before == *status {
            return;
        }
        match write::rebalance_status(&moment.shared.client, rebalance, status).await {
            Ok(written) => {
                if before.phase != status.phase || rebalance.status.is_none() {
                    let warning = status.phase == RebalancePhase::Failed;
                    let note =
                        format!("{:?}: {}", status.phase, status.message.as_deref().unwrap_or_default());
                    moment.shared.events.tell(rebalance.object_ref(&()), warning, "Rebalance", note);
                }
                self.rebalances.insert(rebalance.name_any(), written);
            }
            Err(error) => {
                tracing::debug!(rebalance = rebalance.name_any(), %error, "its status was not written");
            }
        }
    }

    /// Of the workload, as it was published last: what changes a little is no news.
    fn balance(&self) -> Option<Balance> {
        self.published.as_ref().map(|(_, balance)| balance.clone())
    }

    fn publish(&mut self, now: Instant, picture: &Picture, balance: &planner::Balance) {
        let (hottest, band) = (balance.imbalance(), balance.limit());
        // What the planner finds within the band is within it: 16 slots of 3 members are, and not by the last bit of a fraction.
        let hottest = if balance.within_band() { hottest.min(band) } else { hottest };
        let within = |hottest: f64, band: f64| hottest <= band;
        let keep = self.published.as_ref().is_some_and(|(at, before)| {
            within(before.hottest, before.band) == within(hottest, band)
                && (now.duration_since(*at) < SUMMARY_EVERY
                    || (before.hottest - hottest).abs() <= SUMMARY_STEP)
        });
        if keep {
            return;
        }
        let name = balance.hottest_member.and_then(|member| picture.names.get(member));
        let text = match name {
            Some(name) => {
                format!("{}: {name} is at {hottest:.2} of its share, band {band:.2}", self.workload.as_str())
            }
            None => format!("{}: no load", self.workload.as_str()),
        };
        let first = self.published.is_none();
        self.published = Some((now, Balance { hottest, band, text, first }));
    }
}

/// What should become of one look.
struct Next {
    outlook: Outlook,
    plan: Plan,
    /// Slots that a GoChatRebalance moves, and its name.
    asked: Vec<(u32, usize, String)>,
    map: Option<GoChatPlacementSpec>,
    /// In the order of the rebalances.
    statuses: Vec<(Arc<GoChatRebalance>, RebalanceStatus)>,
}

impl Next {
    fn decide(
        placed: &mut Placed,
        moment: &Moment<'_>,
        picture: &Picture,
        rebalances: &[Arc<GoChatRebalance>],
    ) -> Self {
        let settings = &moment.brief.spec.rebalance;
        let policy = policy(settings);
        let now = Time(Timestamp::now());
        let (mut statuses, mut asked) = (Vec::new(), Vec::new());
        let moving =
            |status: Option<&RebalanceStatus>| status.is_some_and(|s| s.phase == RebalancePhase::Moving);
        let mut mover = rebalances.iter().find(|r| moving(r.status.as_ref())).map(|r| r.name_any());
        for rebalance in rebalances {
            let name = rebalance.name_any();
            if rebalance.status.as_ref().is_some_and(moves::is_over) {
                continue;
            }
            let busy_with = mover.as_deref().filter(|mover| **mover != *name);
            let stuck = placed.is_stuck(&name, rebalance, moment.instant);
            let step = moves::step(
                rebalance,
                &Around { picture, policy: policy.policy, busy_with, stuck, now: &now },
            );
            if step.status.phase == RebalancePhase::Moving {
                mover = Some(name.clone());
            }
            asked.extend(step.start.into_iter().map(|(slot, to)| (slot, to, name.clone())));
            statuses.push((Arc::clone(rebalance), step.status));
        }
        let mut observed = picture.observed.clone();
        // While slots are moved by a person's plan, or only so, the loads are not looked at.
        observed.measured &= settings.mode == RebalanceMode::Auto && mover.is_none();
        evacuated(&mut observed, picture, rebalances);
        placed.rebalancer.set_policy(policy);
        let planner::Decision { plan, outlook } = placed.rebalancer.decide(moment.now, &observed);
        if let Some(fault) = &plan.fault {
            tracing::error!(cluster = %moment.brief.key, workload = placed.workload.as_str(), %fault, "no plan");
        }

        let before = picture.owners();
        let mut owners = plan.owners.clone();
        asked.retain(|(slot, to, _)| {
            let at = *slot as usize;
            let free = owners.get(at) == before.get(at);
            if let (Some(owner), true) = (owners.get_mut(at), free) {
                *owner = Some(*to);
            }
            free
        });
        let map = if owners == before { None } else { picture.map(&placed.map, &owners) };
        Self { outlook, plan, asked, map, statuses }
    }

    /// Why slots move, for people.
    fn text(&self, picture: &Picture) -> String {
        let name = |member: usize| picture.names.get(member).cloned().unwrap_or_default();
        let moves = &self.plan.moves;
        let mut parts: Vec<String> = Vec::new();
        let dealt = moves.iter().filter(|m| m.reason == MoveReason::Unowned).count();
        if dealt > TOLD {
            let members: std::collections::BTreeSet<_> = moves.iter().map(|m| m.to).collect();
            parts.push(format!("{dealt} slots dealt to {} members", members.len()));
        }
        let told = moves.iter().filter(|m| dealt <= TOLD || m.reason != MoveReason::Unowned);
        parts.extend(told.clone().take(TOLD).map(|m| m.sentence(name)));
        let more = told.count().saturating_sub(TOLD);
        if more > 0 {
            parts.push(format!("{more} more"));
        }
        let mut by: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, _, rebalance) in &self.asked {
            *by.entry(rebalance).or_default() += 1;
        }
        parts.extend(
            by.iter().map(|(rebalance, slots)| format!("{slots} slots by GoChatRebalance {rebalance}")),
        );
        parts.join("; ")
    }

    fn counts(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        let reasons = self.plan.moves.iter().map(|m| match m.reason {
            MoveReason::Unowned => "unowned",
            MoveReason::MemberGone => "gone",
            MoveReason::MemberDraining => "draining",
            MoveReason::Surplus { .. } => "surplus",
        });
        for reason in reasons.chain(self.asked.iter().map(|_| "asked")) {
            *counts.entry(reason).or_default() += 1;
        }
        counts
    }
}

impl Placed {
    /// Whether the rebalance that moves has got nowhere for too long. The memory is this process's: a restart waits anew.
    fn is_stuck(&mut self, name: &str, rebalance: &GoChatRebalance, now: Instant) -> bool {
        let Some(status) = rebalance.status.as_ref().filter(|s| s.phase == RebalancePhase::Moving) else {
            return false;
        };
        match &self.progress {
            Some((of, moved, since)) if of == name && *moved == status.moved => {
                now.duration_since(*since) >= STUCK
            }
            _ => {
                self.progress = Some((name.to_owned(), status.moved, now));
                false
            }
        }
    }
}

/// What a person has asked to be empty stays so for as long as the GoChatRebalance that says so is there.
fn evacuated(observed: &mut Observation, picture: &Picture, rebalances: &[Arc<GoChatRebalance>]) {
    let moved = |rebalance: &&Arc<GoChatRebalance>| {
        let phase = rebalance.status.as_ref().map(|status| status.phase);
        matches!(phase, Some(RebalancePhase::Moving | RebalancePhase::Done)) && !rebalance.spec.dry_run
    };
    let empty: Vec<&String> =
        rebalances.iter().filter(moved).flat_map(|rebalance| &rebalance.spec.evacuate).collect();
    let mut members = observed.members.clone();
    for (member, name) in members.iter_mut().zip(&picture.names) {
        if member.state == MemberPhase::Active && empty.contains(&name) {
            member.state = MemberPhase::Draining;
        }
    }
    // But somebody has to do the work.
    if members.iter().any(|member| member.state == MemberPhase::Active) {
        observed.members = members;
    }
}

fn policy(settings: &Rebalance) -> RebalancePolicy {
    let defaults = RebalancePolicy::default();
    let policy = Policy {
        band_relative: f64::from(settings.band_percent) / 100.0,
        max_moves: usize::try_from(settings.max_moves).unwrap_or(usize::MAX),
        ..defaults.policy
    };
    RebalancePolicy { policy, patience: settings.patience.0, cool_down: settings.cool_down.0, ..defaults }
}

/// Whether a load summary is worth a write.
fn is_news(before: Option<&LoadSummary>, now: Option<&LoadSummary>, due: bool) -> bool {
    let (Some(before), Some(now)) = (before, now) else { return before.is_some() != now.is_some() && due };
    let ratio = |summary: &LoadSummary| summary.hottest.parse::<f64>().unwrap_or(f64::INFINITY);
    let step = (ratio(before) - ratio(now)).abs();
    due && (step > SUMMARY_STEP || before.reporting != now.reporting)
}

/// The one that is further above its band.
pub(super) fn hotter(one: Option<Balance>, other: Option<Balance>) -> Option<Balance> {
    match (one, other) {
        (Some(one), Some(other)) => {
            let over = |balance: &Balance| balance.hottest - balance.band;
            Some(if over(&other) > over(&one) { other } else { one })
        }
        (one, other) => one.or(other),
    }
}

/// What is kept of a placement.
pub(super) fn keep_placement(placement: GoChatPlacement) -> Option<Kept<Arc<GoChatPlacement>>> {
    let name = placement.metadata.name.clone()?;
    let key =
        ClusterKey { namespace: placement.metadata.namespace.clone()?, name: placement.spec.cluster.clone() };
    // Another name is nobody's: no pod reads it.
    let ours = name == crate::names::placement(&key.name, placement.spec.workload);
    Some((key, name, ours.then(|| Arc::new(write::trimmed(placement)))))
}

/// What is kept of a rebalance.
pub(super) fn keep_rebalance(rebalance: GoChatRebalance) -> Option<Kept<Arc<GoChatRebalance>>> {
    let name = rebalance.metadata.name.clone()?;
    let key =
        ClusterKey { namespace: rebalance.metadata.namespace.clone()?, name: rebalance.spec.cluster.clone() };
    Some((key, name, Some(Arc::new(write::trimmed(rebalance)))))
}
