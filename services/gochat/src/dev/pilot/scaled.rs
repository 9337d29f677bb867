//! How many members of one workload there should be.

use std::time::Duration;

use gochat_brain::autoscaler::Autoscaler;
use gochat_core::Workload;
use gochat_crds::{GoChatClusterSpec, ScaledWorkload};
use gochat_senses::{Aged, Backlog, Crew, Scaling};
use tokio::time::Instant;

use super::Sight;
use crate::say;

pub(super) struct Scaled {
    workload: Workload,
    scaling: Scaling,
    autoscaler: Autoscaler,
    backlog: Backlog,
}

impl Scaled {
    /// Where the cluster has autoscaling for it. CPU is no signal here: what a member reports is the whole process's.
    pub(super) fn new(spec: &GoChatClusterSpec, workload: Workload) -> Option<Self> {
        let scaled = match workload {
            Workload::Gateway => ScaledWorkload::Gateway,
            Workload::Logic => ScaledWorkload::Logic,
            Workload::Repo => ScaledWorkload::Repo,
            Workload::Task => ScaledWorkload::Task,
        };
        let scaling = Scaling::of(spec, scaled, None)?;
        let autoscaler = Autoscaler::new(scaling.policy.clone());
        Some(Self { workload, scaling, autoscaler, backlog: Backlog::default() })
    }

    /// The number, where it should change; said with its reason.
    pub(super) fn decide(
        &mut self,
        crew: Crew,
        sights: &[Sight],
        now: Duration,
        instant: Instant,
    ) -> Option<u32> {
        if crew.ready == 0 {
            return None;
        }
        let serving = sights.iter().filter(|sight| sight.leaving.is_none());
        let aged: Vec<_> = serving
            .filter_map(|sight| sight.heard.as_ref())
            .map(|heard| Aged { report: &heard.report, age: instant.duration_since(heard.at) })
            .collect();
        let signals = self.scaling.readings(&aged, None, &mut self.backlog, now);
        let decision = self.autoscaler.decide(now, &self.scaling.observed(crew, signals, None));
        decision.is_change().then(|| {
            say::line(&format!("{} {decision}", self.workload));
            decision.replicas
        })
    }
}
