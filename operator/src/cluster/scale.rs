//! How many pods of a workload, and who says so. Pure.

use gochat_crds::{Autoscaling, GoChatClusterSpec, GoChatScaler, ScaledWorkload, ScalerMode};
use kube::ResourceExt as _;
use serde_json::Value;

use super::dereference::Facts;
use super::validate::ValidCluster;
use crate::names::FIELD_MANAGER;

/// Who decides the number of pods of a workload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Decider {
    /// The operator: by the spec's number, or by its autoscaler.
    #[default]
    Operator,
    /// Somebody else, through the GoChatScaler: the field manager that owns its `replicas`, where one does.
    External(Option<String>),
}

/// The number of pods of a workload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scale {
    /// Who decides.
    pub decider: Decider,
    /// So many, now.
    pub replicas: u32,
}

impl Scale {
    /// What the operator writes as the GoChatScaler's `spec.replicas`: nothing where somebody else owns it. In mode External
    /// the number stays until somebody does: without one `/scale` does not answer, and an HPA could never begin.
    pub fn scaler_replicas(&self) -> Option<u32> {
        let owned = matches!(self.decider, Decider::External(Some(_)));
        (!owned).then_some(self.replicas)
    }
}

/// The number of pods of a workload, and who decides it.
pub fn scale(spec: &GoChatClusterSpec, workload: ScaledWorkload, facts: &Facts) -> Scale {
    let scaler = facts.scalers.get(&workload);
    let at_present = scaler.and_then(|scaler| scaler.spec.replicas);
    let decider = scaler.map_or(Decider::Operator, decider);
    let initial = initial(spec, workload);
    let replicas = match (&decider, bounds(spec, workload)) {
        (Decider::External(_), _) => at_present.or_else(|| running(facts, workload)).unwrap_or(initial),
        (Decider::Operator, None) => initial,
        (Decider::Operator, Some((min, max))) => {
            let wanted = facts.live.wanted.get(&workload).map(|wanted| wanted.replicas);
            wanted.or(at_present).unwrap_or(initial).clamp(min, max.max(min))
        }
    };
    Scale { decider, replicas }
}

/// The workloads that are about to have fewer pods, and how many fewer.
pub(super) fn shrinking(cluster: &ValidCluster, facts: &Facts) -> Vec<(ScaledWorkload, u32)> {
    let fewer = |workload| {
        let wanted = cluster.workloads.get(workload).scale.replicas;
        let fewer = running(facts, workload)?.checked_sub(wanted)?;
        (fewer > 0).then_some((workload, fewer))
    };
    ScaledWorkload::ALL.into_iter().filter_map(fewer).collect()
}

fn running(facts: &Facts, workload: ScaledWorkload) -> Option<u32> {
    let replicas = facts.deployments.get(&workload)?.spec.as_ref()?.replicas?;
    u32::try_from(replicas).ok()
}

fn initial(spec: &GoChatClusterSpec, workload: ScaledWorkload) -> u32 {
    match workload {
        ScaledWorkload::Gateway => spec.gateway.initial_replicas(),
        ScaledWorkload::Logic => spec.logic.initial_replicas(),
        ScaledWorkload::Repo => spec.repo.initial_replicas(),
        ScaledWorkload::Task => spec.task.initial_replicas(),
    }
}

/// The autoscaler's bounds, where there is one.
pub fn bounds(spec: &GoChatClusterSpec, workload: ScaledWorkload) -> Option<(u32, u32)> {
    fn of<T: Default>(autoscaling: Option<&Autoscaling<T>>) -> Option<(u32, u32)> {
        autoscaling.map(|a| (a.min, a.max))
    }
    match workload {
        ScaledWorkload::Gateway => of(spec.gateway.autoscaling.as_ref()),
        ScaledWorkload::Logic => of(spec.logic.autoscaling.as_ref()),
        ScaledWorkload::Repo => of(spec.repo.autoscaling.as_ref()),
        ScaledWorkload::Task => of(spec.task.autoscaling.as_ref()),
    }
}

/// Who decides, by a scaler: its mode, and without one whoever wrote `replicas` through `/scale` or otherwise.
pub fn decider(scaler: &GoChatScaler) -> Decider {
    let other = scaler.managed_fields().iter().find_map(|entry| {
        let manager = entry.manager.as_deref().filter(|manager| *manager != FIELD_MANAGER)?;
        let fields: &Value = &entry.fields_v1.as_ref()?.0;
        fields.pointer("/f:spec/f:replicas").map(|_| manager.to_owned())
    });
    match (scaler.spec.mode, other) {
        (Some(ScalerMode::Auto), _) | (None, None) => Decider::Operator,
        (Some(ScalerMode::External), manager) | (None, manager @ Some(_)) => Decider::External(manager),
    }
}
