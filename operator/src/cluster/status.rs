//! What is true of a cluster, from what was observed and decided. Pure.

use gochat_crds::{
    ClusterStatus, ConditionType, GoChatCluster, Rollout, RolloutStep, ScaledWorkload, ServiceType,
    WorkloadStatus, Workloads,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::conditions::{self, Picture, Verdict};
use super::dereference::Facts;
use super::rollout::{Pods, Progress};
use super::scale::Decider;
use super::validate::Invalid;
use super::{Desired, Each};
use crate::names;

/// What happened while the objects were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The API server refused these: object and its words. Field conflicts name the other manager.
    pub refused: Vec<String>,
    /// What others wrote into fields of the operator's lately, and it put back: object, the other manager, and the fields.
    pub put_back: Vec<String>,
    /// The namespace is being deleted: nothing can be made any more.
    pub terminating: bool,
}

/// The status to write. Equal to the present one where nothing has changed: times are those of the last transitions.
pub fn status(
    cluster: &GoChatCluster,
    desired: Result<&Desired, &Invalid>,
    facts: &Facts,
    applied: &Applied,
    now: &Time,
) -> ClusterStatus {
    let before = cluster.status.clone().unwrap_or_default();
    let counts = Each::make(|workload| count(workload, desired, facts));
    let picture = Picture {
        desired,
        facts,
        applied,
        paused: is_paused(cluster),
        pods: Each::make(|workload| Pods::of(facts.deployments.get(&workload))),
        counts,
    };
    let conditions = conditions::all(&picture)
        .into_iter()
        .map(|(type_, verdict)| condition(type_, verdict, cluster, &before.conditions, now))
        .collect();
    let workload = |workload| workload_status(workload, *picture.counts.get(workload), desired, facts);
    ClusterStatus {
        observed_generation: cluster.metadata.generation,
        conditions,
        version: match desired {
            Ok(desired) if desired.rollout.progress == Progress::Done => {
                Some(desired.cluster.version.clone())
            }
            _ => before.version,
        },
        rollout: desired.ok().and_then(|desired| rollout(desired, before.rollout.as_ref(), now)),
        workloads: Workloads {
            gateway: workload(ScaledWorkload::Gateway),
            logic: workload(ScaledWorkload::Logic),
            repo: workload(ScaledWorkload::Repo),
            task: workload(ScaledWorkload::Task),
        },
        endpoint: endpoint(cluster, facts),
    }
}

/// Whether the operator is to change nothing.
pub fn is_paused(cluster: &GoChatCluster) -> bool {
    let annotations = cluster.metadata.annotations.as_ref();
    annotations.and_then(|annotations| annotations.get(names::PAUSED)).is_some_and(|value| value == "true")
}

/// Ready pods, and how many there should be.
fn count(workload: ScaledWorkload, desired: Result<&Desired, &Invalid>, facts: &Facts) -> Option<(u32, u32)> {
    let number = |n: Option<i32>| n.and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    let deployment = facts.deployments.get(&workload)?;
    let ready = number(deployment.status.as_ref().and_then(|status| status.ready_replicas));
    let wanted = desired.map_or_else(
        |_| number(deployment.spec.as_ref().and_then(|spec| spec.replicas)),
        |desired| desired.cluster.workloads.get(workload).scale.replicas,
    );
    Some((ready, wanted))
}

fn condition(
    type_: ConditionType,
    verdict: Verdict,
    cluster: &GoChatCluster,
    before: &[Condition],
    now: &Time,
) -> Condition {
    let status = verdict.holds.as_str();
    let same = before.iter().find(|before| before.type_ == type_.as_str() && before.status == status);
    Condition {
        type_: type_.as_str().to_owned(),
        status: status.to_owned(),
        reason: verdict.reason.name(),
        message: verdict.message,
        observed_generation: cluster.metadata.generation,
        last_transition_time: same.map_or_else(|| now.clone(), |same| same.last_transition_time.clone()),
    }
}

fn rollout(desired: &Desired, before: Option<&Rollout>, now: &Time) -> Option<Rollout> {
    let (step, stopped): (RolloutStep, _) = match &desired.rollout.progress {
        Progress::Done => return None,
        Progress::Moving { step, .. } => (*step, None),
        Progress::Stopped { step, why } => (*step, Some(why.clone())),
    };
    let version = desired.cluster.version.clone();
    let same = before.filter(|before| before.step == step && before.version == version);
    let since = same.and_then(|before| before.since.clone()).unwrap_or_else(|| now.clone());
    Some(Rollout { version, step, since: Some(since), stopped })
}

fn workload_status(
    workload: ScaledWorkload,
    count: Option<(u32, u32)>,
    desired: Result<&Desired, &Invalid>,
    facts: &Facts,
) -> WorkloadStatus {
    let deployment = facts.deployments.get(&workload);
    let scale = desired.ok().map(|desired| &desired.cluster.workloads.get(workload).scale);
    let (ready, wanted) = count.unwrap_or((0, scale.map_or(0, |scale| scale.replicas)));
    let updated = deployment.and_then(|found| found.status.as_ref()?.updated_replicas).unwrap_or(0);
    let version = deployment.and_then(|found| {
        let meta = found.spec.as_ref()?.template.metadata.as_ref()?;
        meta.annotations.as_ref()?.get(names::VERSION).cloned()
    });
    let scaling = match scale.map(|scale| &scale.decider) {
        Some(Decider::External(Some(manager))) => Some(format!("{wanted} by {manager}")),
        Some(Decider::External(None)) => Some(format!("{wanted} in mode External")),
        _ => facts.live.wanted.get(&workload).map(|wanted| wanted.reason.clone()),
    };
    let signed = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    WorkloadStatus {
        summary: format!("{ready}/{wanted}"),
        desired: signed(wanted),
        ready: signed(ready),
        updated,
        version,
        scaling,
    }
}

/// Where clients connect: from outside, where there is a way in.
fn endpoint(cluster: &GoChatCluster, facts: &Facts) -> Option<String> {
    let gateway = &cluster.spec.gateway;
    if let Some(ingress) = &gateway.ingress {
        let scheme = if ingress.tls_secret.is_some() { "https" } else { "http" };
        return Some(format!("{scheme}://{}", ingress.host));
    }
    if let Some(route) = &gateway.http_route {
        // Whether it speaks TLS is the Gateway's business.
        return route.hostnames.first().cloned();
    }
    let (name, namespace) = (cluster.metadata.name.as_deref()?, cluster.metadata.namespace.as_deref()?);
    let service = facts.gateway_service.as_ref()?;
    match gateway.service.type_ {
        ServiceType::ClusterIP => {
            Some(format!("http://{}.{namespace}.svc", names::workload(name, ScaledWorkload::Gateway)))
        }
        ServiceType::NodePort => {
            let port = service.spec.as_ref()?.ports.as_ref()?.first()?.node_port?;
            Some(format!("http://<any node>:{port}"))
        }
        ServiceType::LoadBalancer => {
            let ingress = service.status.as_ref()?.load_balancer.as_ref()?.ingress.as_ref()?.first()?;
            let host = ingress.hostname.as_ref().filter(|name| !name.is_empty()).or(ingress.ip.as_ref())?;
            Some(format!("http://{host}"))
        }
    }
}
