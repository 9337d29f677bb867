//! What should become of one look: the next map, and the next step of each GoChatRebalance. Writes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gochat_brain::planner::{self, MemberPhase, MoveReason, Observation, Outlook, Plan};
use gochat_crds::{GoChatPlacementSpec, GoChatRebalance, RebalanceMode, RebalancePhase, RebalanceStatus};
use gochat_senses::Picture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use tokio::time::Instant;

use super::super::moves::{self, Around};
use super::{Moment, Placed};

/// A rebalance of which nothing ends for so long has failed.
const STUCK: Duration = Duration::from_secs(300);

/// What should become of one look.
pub(super) struct Next {
    pub(super) outlook: Outlook,
    pub(super) plan: Plan,
    /// Slots that a GoChatRebalance moves, and its name.
    asked: Vec<(u32, usize, String)>,
    pub(super) map: Option<GoChatPlacementSpec>,
    /// In the order of the rebalances.
    pub(super) statuses: Vec<(Arc<GoChatRebalance>, RebalanceStatus)>,
}

impl Next {
    pub(super) fn decide(
        placed: &mut Placed,
        moment: &Moment<'_>,
        picture: &Picture,
        rebalances: &[Arc<GoChatRebalance>],
    ) -> Self {
        let settings = &moment.brief.spec.rebalance;
        let policy = gochat_senses::rebalancing(settings);
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
    pub(super) fn text(&self, picture: &Picture) -> String {
        let name = |member: usize| picture.names.get(member).cloned().unwrap_or_default();
        let mut parts = vec![self.plan.text(name)];
        parts.retain(|part| !part.is_empty());
        let mut by: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, _, rebalance) in &self.asked {
            *by.entry(rebalance).or_default() += 1;
        }
        parts.extend(
            by.iter().map(|(rebalance, slots)| format!("{slots} slots by GoChatRebalance {rebalance}")),
        );
        parts.join("; ")
    }

    pub(super) fn counts(&self) -> BTreeMap<&'static str, u64> {
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
