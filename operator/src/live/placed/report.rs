//! What is said of a workload's slots: an Event a map, the status of GoChatPlacement and GoChatRebalance, and the balance
//! that the cluster's conditions tell.

use std::sync::Arc;
use std::time::Duration;

use gochat_brain::planner;
use gochat_crds::{
    GoChatPlacement, GoChatRebalance, LoadSummary, PlacementStatus, RebalancePhase, RebalanceStatus,
};
use gochat_senses::Picture;
use kube::{Resource as _, ResourceExt as _};
use tokio::time::Instant;

use super::super::{Balance, write};
use super::next::Next;
use super::{Moment, Placed};

/// How often a load that moves a little is written.
const SUMMARY_EVERY: Duration = Duration::from_secs(30);
/// What is more than a little, relative to the mean.
const SUMMARY_STEP: f64 = 0.05;
/// Handovers that a status lists.
const LISTED: usize = 64;

impl Placed {
    /// A new map is an Event, a log line and a count, with its reasons.
    pub(super) fn tell(
        &mut self,
        moment: &Moment<'_>,
        picture: &Picture,
        next: &Next,
        written: &GoChatPlacement,
    ) {
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
    pub(super) async fn report(
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

    pub(super) async fn write_rebalance(
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
    pub(super) fn balance(&self) -> Option<Balance> {
        self.published.as_ref().map(|(_, balance)| balance.clone())
    }

    pub(super) fn publish(&mut self, now: Instant, picture: &Picture, balance: &planner::Balance) {
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

/// Whether a load summary is worth a write.
fn is_news(before: Option<&LoadSummary>, now: Option<&LoadSummary>, due: bool) -> bool {
    let (Some(before), Some(now)) = (before, now) else { return before.is_some() != now.is_some() && due };
    let ratio = |summary: &LoadSummary| summary.hottest.parse::<f64>().unwrap_or(f64::INFINITY);
    let step = (ratio(before) - ratio(now)).abs();
    due && (step > SUMMARY_STEP || before.reporting != now.reporting)
}

/// The one that is further above its band.
pub(in crate::live) fn hotter(one: Option<Balance>, other: Option<Balance>) -> Option<Balance> {
    match (one, other) {
        (Some(one), Some(other)) => {
            let over = |balance: &Balance| balance.hottest - balance.band;
            Some(if over(&other) > over(&one) { other } else { one })
        }
        (one, other) => one.or(other),
    }
}
